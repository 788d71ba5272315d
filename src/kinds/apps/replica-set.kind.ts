import { type ReplicaSet, resource } from '#api';
import { ageColumn, integerColumn, nameColumn, selectorText, workloadColumns } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { workloadScale } from '../workload-scale.ts';
import { applyReplicaSetDefaults } from './workload-defaults.ts';
import { validateReplicaSet, validateReplicaStatus, validateSelectorUpdate } from './workload-validation.ts';

export const replicaSetKind = defineKind<ReplicaSet>({
  resource: resource('apps/v1', 'replicasets'),
  storageSegment: 'replicasets',
  status: true,
  initialStatus: { replicas: 0 },
  generation: true,
  scale: workloadScale,
  applyDefaults: applyReplicaSetDefaults,
  validate: validateReplicaSet,
  validateUpdate: validateSelectorUpdate,
  validateStatusUpdate: ({ status }, old) =>
    validateReplicaStatus(status, old.status, ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas']),
  columns: [
    nameColumn,
    integerColumn('Desired', 'Pods wanted.', (object) => object.spec?.replicas ?? 0),
    integerColumn('Current', 'Pods that exist.', (object) => object.status?.replicas ?? 0),
    integerColumn('Ready', 'Pods that are ready.', (object) => object.status?.readyReplicas ?? 0),
    ageColumn,
    ...workloadColumns<ReplicaSet>(
      (object) => object.spec?.template?.spec?.containers,
      (object) => selectorText(object.spec?.selector),
    ),
  ],
  fieldSelectors: { 'status.replicas': (object) => String(object.status?.replicas ?? 0) },
});
