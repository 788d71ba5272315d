import type { Pod } from '#api';
import type { AdmissionPlugin } from '../contract.ts';

const keys = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'] as const;
const upstreamSeconds = 300;

/** Pods that say nothing else stay so long (upstream: five minutes) on a node that has stopped answering. */
export function defaultTolerationSeconds(tolerationSeconds: number = upstreamSeconds): AdmissionPlugin {
  return {
    name: 'DefaultTolerationSeconds',
    handles: (operation, definition, subresource) =>
      operation === 'CREATE' &&
      subresource === '' &&
      definition?.resource.plural === 'pods' &&
      definition.resource.group === '',
    mutate({ object }) {
      const { spec } = object as unknown as Pod;
      if (spec === undefined) return;
      const held = spec.tolerations ?? [];
      const missing = keys.filter(
        (key) =>
          !held.some(
            (one) =>
              (one.key === key || (one.key ?? '') === '') && (one.effect === 'NoExecute' || (one.effect ?? '') === ''),
          ),
      );
      if (missing.length === 0) return;
      spec.tolerations = [
        ...held,
        ...missing.map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds })),
      ];
    },
  };
}
