import type { Node } from '#api';
import type { AdmissionPlugin } from '../contract.ts';

const notReady = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };

/** A new node takes no pods before its lifecycle controller has seen it ready. */
export function taintNodesByCondition(): AdmissionPlugin {
  return {
    name: 'TaintNodesByCondition',
    handles: (operation, definition, subresource) =>
      operation === 'CREATE' &&
      subresource === '' &&
      definition?.resource.plural === 'nodes' &&
      definition.resource.group === '',
    mutate({ object }) {
      const node = object as unknown as Node;
      node.spec ??= {};
      const taints = node.spec.taints ?? [];
      if (!taints.some((one) => one.key === notReady.key && one.effect === notReady.effect))
        node.spec.taints = [...taints, { ...notReady }];
    },
  };
}
