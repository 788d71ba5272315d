import { type LabelSelector, type ReplicationController, resource } from '#api';
import { defineController } from '../definition.ts';
import { type ReplicaOwner, startReplicas } from '../replica-set/replicas.ts';

/** A ReplicationController's selector is a bare map; remembered so that each is turned into a selector once. */
const selectors = new WeakMap<object, LabelSelector>();

function selectorOf(owner: ReplicationController): LabelSelector | undefined {
  const map = owner.spec?.selector;
  if (map === undefined) return undefined;
  let selector = selectors.get(map);
  if (selector === undefined) {
    selector = Object.freeze({ matchLabels: map });
    selectors.set(map, selector);
  }
  return selector;
}

export const replicationControllerController = defineController({
  name: 'replicationcontroller-controller',
  start: (context) =>
    startReplicas(context, {
      name: 'replicationcontroller',
      component: 'replication-controller',
      resource: resource('v1', 'replicationcontrollers'),
      selector: (owner: ReplicationController & ReplicaOwner) => selectorOf(owner),
    }),
});
