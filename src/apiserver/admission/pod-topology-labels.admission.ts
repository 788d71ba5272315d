import type { AdmissionPlugin } from '../contract.ts';
import type { AdmissionOptions } from './options.ts';

const labels = ['topology.kubernetes.io/zone', 'topology.kubernetes.io/region'];

/** A binding carries the node's zone and region to the pod. */
export function podTopologyLabels({ objects }: AdmissionOptions): AdmissionPlugin {
  const view = objects.view('v1', 'nodes');
  return {
    name: 'PodTopologyLabels',
    handles: (operation, definition, subresource) =>
      operation === 'CREATE' &&
      ((definition?.resource.plural === 'pods' && subresource === 'binding') ||
        (definition?.resource.plural === 'bindings' && subresource === '')),
    mutate({ object }) {
      const target = (object as { target?: { kind?: string; name?: string } } | undefined)?.target;
      if (object === undefined || target?.name === undefined || (target.kind ?? 'Node') !== 'Node') return undefined;
      const found = view.get(undefined, target.name)?.metadata.labels;
      if (found === undefined) return;
      for (const label of labels)
        if (found[label] !== undefined) object.metadata.labels = { ...object.metadata.labels, [label]: found[label] };
    },
  };
}
