import {
  type KubeObject,
  type ReplicaSet,
  type ReplicationController,
  resource,
  type Service,
  type StatefulSet,
} from '#api';
import type { Informers } from '#client';
import { controllerOf, LabelSelector, type LabelRequirement, labelSelectorFromMap, labelSelectorOf } from '#machinery';
import type { OwnSelector } from './plugins/pod-topology-spread.plugin.ts';
import type { PodInfo } from './state/pod-info.ts';

const mostRemembered = 4096;

export interface OwnSelectors {
  readonly selectorOf: OwnSelector;
  readonly synced: Promise<unknown>;
  close(): void;
}

/** The selector that the pods of one Service or workload share: what the system's default spreading counts by. */
export function openOwnSelector(informers: Informers): OwnSelectors {
  const services = informers.of<Service>(resource('v1', 'services'));
  const replicaSets = informers.of<ReplicaSet>(resource('apps/v1', 'replicasets'));
  const statefulSets = informers.of<StatefulSet>(resource('apps/v1', 'statefulsets'));
  const controllers = informers.of<ReplicationController>(resource('v1', 'replicationcontrollers'));
  const remembered = new Map<string, LabelSelector | null>();

  const forget = (change: { type: string; object: KubeObject; old?: KubeObject }): void => {
    const renewed = change.type === 'updated' && change.object.metadata.generation === change.old?.metadata.generation;
    if (!renewed) remembered.clear();
  };
  const endings = [replicaSets, statefulSets, controllers].map((one) => one.onChange(forget as never));
  endings.push(services.onChange(() => remembered.clear()));

  function ofOwner(pod: PodInfo): LabelSelector | undefined {
    const owner = controllerOf(pod.pod);
    if (owner === undefined) return undefined;
    switch (owner.kind) {
      case 'ReplicaSet':
        return labelSelectorOf(replicaSets.get(pod.namespace, owner.name)?.spec?.selector);
      case 'StatefulSet':
        return labelSelectorOf(statefulSets.get(pod.namespace, owner.name)?.spec?.selector);
      case 'ReplicationController':
        return labelSelectorFromMap(controllers.get(pod.namespace, owner.name)?.spec?.selector);
      default:
        return undefined;
    }
  }

  function find(pod: PodInfo): LabelSelector | undefined {
    const requirements: LabelRequirement[] = [];
    for (const { spec } of services.list(pod.namespace)) {
      const selector = spec?.selector;
      if (selector === undefined || Object.keys(selector).length === 0) continue;
      const made = labelSelectorFromMap(selector);
      if (made.matches(pod.labels)) requirements.push(...made.requirements);
    }
    const owned = ofOwner(pod);
    if (owned !== undefined && !owned.isNothing()) requirements.push(...owned.requirements);
    return requirements.length === 0 ? undefined : new LabelSelector(requirements);
  }

  return {
    synced: Promise.all([services, replicaSets, statefulSets, controllers].map((one) => one.synced)),
    selectorOf(pod) {
      const key = `${pod.namespace}/${controllerOf(pod.pod)?.uid ?? ''}/${JSON.stringify(pod.labels ?? {})}`;
      let known = remembered.get(key);
      if (known === undefined) {
        known = find(pod) ?? null;
        if (remembered.size >= mostRemembered) remembered.clear();
        remembered.set(key, known);
      }
      return known ?? undefined;
    },
    close() {
      for (const end of endings) end();
      for (const one of [services, replicaSets, statefulSets, controllers]) one.close();
    },
  };
}
