import type { Pod, PriorityClass } from '#api';
import type { PolicyObject } from '../authz/index.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../contract.ts';
import type { AdmissionOptions } from './options.ts';
import { refuse } from './refuse.ts';

/** The two classes that every cluster has. */
export const systemPriorityClasses: readonly PolicyObject[] = [
  {
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name: 'system-node-critical' },
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
    preemptionPolicy: 'PreemptLowerPriority',
  },
  {
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name: 'system-cluster-critical' },
    value: 2_000_000_000,
    description:
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
    preemptionPolicy: 'PreemptLowerPriority',
  },
];

/** Turns a pod's priorityClassName into its number; keeps one global default at most. */
export function priority({ objects }: AdmissionOptions): AdmissionPlugin {
  const view = objects.view('scheduling.k8s.io/v1', 'priorityclasses');
  const classes = (): readonly PriorityClass[] => view.list() as unknown as readonly PriorityClass[];

  const globalDefault = (): PriorityClass | undefined =>
    classes()
      .filter((one) => one.globalDefault === true)
      .sort((a, b) => (a.value ?? 0) - (b.value ?? 0))[0];

  const resolvePod = (attributes: AdmissionAttributes): void => {
    const { spec } = attributes.object as unknown as Pod;
    if (spec === undefined) return;
    if (attributes.operation === 'UPDATE') {
      const old = (attributes.oldObject as unknown as Pod).spec;
      if (spec.priority === undefined && old?.priority !== undefined) spec.priority = old.priority;
      if (spec.preemptionPolicy === undefined && old?.preemptionPolicy !== undefined)
        spec.preemptionPolicy = old.preemptionPolicy;
      return;
    }
    let found: PriorityClass | undefined;
    if ((spec.priorityClassName ?? '') === '') {
      found = globalDefault();
      if (found !== undefined) spec.priorityClassName = found.metadata.name;
    } else {
      found = view.get(undefined, spec.priorityClassName as string) as unknown as PriorityClass | undefined;
      if (found === undefined)
        throw refuse(attributes, `no PriorityClass with name ${spec.priorityClassName} was found`);
    }
    const computed = found?.value ?? 0;
    if (spec.priority !== undefined && spec.priority !== computed) {
      throw refuse(
        attributes,
        `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${computed} from the given PriorityClass name`,
      );
    }
    spec.priority = computed;
    const policy = found?.preemptionPolicy ?? 'PreemptLowerPriority';
    if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy) {
      throw refuse(
        attributes,
        `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
      );
    }
    spec.preemptionPolicy = policy;
  };

  return {
    name: 'Priority',
    handles: (operation, definition, subresource) =>
      (operation === 'CREATE' || operation === 'UPDATE') &&
      subresource === '' &&
      (definition?.resource.plural === 'pods' || definition?.resource.plural === 'priorityclasses'),
    mutate(attributes) {
      if (attributes.resource !== 'pods' || attributes.group !== '') return undefined;
      return view.isReady ? resolvePod(attributes) : view.ready.then(() => resolvePod(attributes));
    },
    async validate(attributes) {
      if (attributes.resource !== 'priorityclasses') return;
      await view.ready;
      const wanted = attributes.object as unknown as PriorityClass;
      if (wanted.globalDefault !== true) return;
      const other = classes().find((one) => one.globalDefault === true && one.metadata.name !== wanted.metadata.name);
      if (other !== undefined)
        throw refuse(
          attributes,
          `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`,
        );
    },
  };
}
