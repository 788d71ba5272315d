import { type ReplicaSet, resource } from '#api';
import { defineController } from '../definition.ts';
import { startReplicas } from './replicas.ts';

export const replicaSetController = defineController({
  name: 'replicaset-controller',
  start: (context) =>
    startReplicas<ReplicaSet>(context, {
      name: 'replicaset',
      component: 'replicaset-controller',
      resource: resource('apps/v1', 'replicasets'),
      selector: (set) => set.spec.selector,
    }),
});
