import type { EndpointSlice, KubeObject, Pod, Service } from '#api';
import { changesOf, type Informer, type InformerOptions, keyOf, type Source } from '#client';
import { deepEqual } from '#machinery';
import { serviceNameLabel } from './plan.ts';

const pairIndex = 'selector-pair';

/** Services by one pair of their selector: a pod's services are found through its labels, however many services there are. */
export const serviceIndexes: NonNullable<InformerOptions<Service>['indexes']> = {
  [pairIndex]: (service) => {
    const pairs = Object.entries(service.spec.selector ?? {}).map(([key, value]) => `${key}=${value}`);
    return pairs.length === 0 ? [] : [`${service.metadata.namespace}/${pairs.toSorted()[0]}`];
  },
};

/** Services whose selector matches the pod. */
export function servicesOf(pod: Pod, services: Informer<Service>): Service[] {
  const { namespace, labels = {} } = pod.metadata;
  return Object.entries(labels).flatMap(([key, value]) =>
    services
      .byIndex(pairIndex, `${namespace}/${key}=${value}`)
      .filter(({ spec }) =>
        Object.entries(spec.selector ?? {}).every(([k, v]) => Object.hasOwn(labels, k) && labels[k] === v),
      ),
  );
}

/** All that endpoints depend on: other changes of a pod wake nobody. */
function endpointFacts({ metadata, spec, status }: Pod): unknown {
  return [
    metadata.labels,
    metadata.deletionTimestamp === undefined,
    spec.nodeName,
    spec.hostname,
    spec.subdomain,
    status?.phase === 'Succeeded' || status?.phase === 'Failed',
    status?.podIPs ?? status?.podIP,
    status?.conditions?.find((one) => one.type === 'Ready')?.status,
  ];
}

/** Wakes the services that a changed pod belongs or belonged to. */
export function podChanges(pods: Informer<Pod>, services: Informer<Service>): Source {
  return changesOf(pods, (pod, { type, object, old }) => {
    if (services.list(pod.metadata.namespace).length === 0) return undefined;
    if (type === 'updated' && old !== undefined && deepEqual(endpointFacts(object), endpointFacts(old)))
      return undefined;
    return servicesOf(pod, services).map(keyOf);
  });
}

/** Pods that a service selects. */
export function podsOf(service: Service, pods: Informer<Pod>): Pod[] {
  const wanted = Object.entries(service.spec.selector ?? {});
  const [first] = wanted.map(([key, value]) => `${key}=${value}`).toSorted();
  if (first === undefined) return [];
  return pods
    .byIndex(labelPairIndex, `${service.metadata.namespace}/${first}`)
    .filter(({ metadata: { labels = {} } }) =>
      wanted.every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value),
    );
}

const labelPairIndex = 'label-pair';

/** Pods by each of their labels, so that a service's pods are found without looking at all. */
export const podIndexes: NonNullable<InformerOptions<KubeObject>['indexes']> = {
  [labelPairIndex]: ({ metadata }) =>
    Object.entries(metadata.labels ?? {}).map(([key, value]) => `${metadata.namespace}/${key}=${value}`),
};

/** The Service that a slice belongs to, as the keys of its queue. */
export function sliceServiceKeys({ metadata }: EndpointSlice): string[] {
  const name = metadata.labels?.[serviceNameLabel];
  return name ? [`${metadata.namespace}/${name}`] : [];
}

/** Slices by their Service. */
export const sliceIndexes: NonNullable<InformerOptions<EndpointSlice>['indexes']> = { service: sliceServiceKeys };
