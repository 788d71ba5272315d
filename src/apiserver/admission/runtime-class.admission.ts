import type { Pod, RuntimeClass } from '#api';
import { deepEqual, goQuote } from '#machinery';
import type { AdmissionAttributes, AdmissionPlugin } from '../contract.ts';
import type { AdmissionOptions } from './options.ts';
import { refuse } from './refuse.ts';

/** What a pod's RuntimeClass says of overhead and of the nodes that have it becomes the pod's own. */
export function runtimeClass({ objects }: AdmissionOptions): AdmissionPlugin {
  const view = objects.view('node.k8s.io/v1', 'runtimeclasses');
  const apply = (attributes: AdmissionAttributes): void => {
    const { spec } = attributes.object as unknown as Pod;
    const name = spec?.runtimeClassName;
    if (spec === undefined || name === undefined || name === '') {
      if (spec?.overhead !== undefined && Object.keys(spec.overhead).length > 0) {
        throw refuse(attributes, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
      }
      return;
    }
    const found = view.get(undefined, name) as unknown as RuntimeClass | undefined;
    if (found === undefined) throw refuse(attributes, `pod rejected: RuntimeClass ${goQuote(name)} not found`);
    const overhead = found.overhead?.podFixed;
    if (overhead !== undefined) {
      if (spec.overhead !== undefined && !deepEqual(spec.overhead, overhead)) {
        throw refuse(attributes, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
      }
      spec.overhead = { ...overhead };
    } else if (spec.overhead !== undefined && Object.keys(spec.overhead).length > 0) {
      throw refuse(attributes, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
    }
    for (const [key, value] of Object.entries(found.scheduling?.nodeSelector ?? {})) {
      const own = spec.nodeSelector?.[key];
      if (own !== undefined && own !== value) {
        throw refuse(
          attributes,
          `pod rejected: conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`,
        );
      }
      spec.nodeSelector = { ...spec.nodeSelector, [key]: value };
    }
    const more = (found.scheduling?.tolerations ?? []).filter(
      (one) => !(spec.tolerations ?? []).some((held) => deepEqual(held, one)),
    );
    if (more.length > 0) spec.tolerations = [...(spec.tolerations ?? []), ...more.map((one) => ({ ...one }))];
  };
  return {
    name: 'RuntimeClass',
    handles: (operation, definition, subresource) =>
      operation === 'CREATE' &&
      subresource === '' &&
      definition?.resource.plural === 'pods' &&
      definition.resource.group === '',
    mutate(attributes) {
      const { spec } = attributes.object as unknown as Pod;
      if ((spec?.runtimeClassName ?? '') === '' && spec?.overhead === undefined) return undefined;
      return view.isReady ? apply(attributes) : view.ready.then(() => apply(attributes));
    },
  };
}
