import { resource, type StatefulSet } from '#api';
import { ageColumn, nameColumn, textColumn, workloadColumns } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { workloadScale } from '../workload-scale.ts';
import { applyStatefulSetDefaults } from './workload-defaults.ts';
import { validateStatefulSet, validateReplicaStatus, validateStatefulSetUpdate } from './workload-validation.ts';

export const statefulSetKind = defineKind<StatefulSet>({
  resource: resource('apps/v1', 'statefulsets'),
  storageSegment: 'statefulsets',
  status: true,
  initialStatus: { replicas: 0, availableReplicas: 0 },
  generation: true,
  scale: workloadScale,
  applyDefaults: applyStatefulSetDefaults,
  validate: validateStatefulSet,
  validateUpdate: validateStatefulSetUpdate,
  validateStatusUpdate: ({ status }, old) =>
    validateReplicaStatus(status, old.status, ['readyReplicas', 'currentReplicas', 'updatedReplicas']),
  columns: [
    nameColumn,
    textColumn(
      'Ready',
      'Ready pods of those wanted.',
      ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
    ),
    ageColumn,
    ...workloadColumns<StatefulSet>((object) => object.spec?.template?.spec?.containers, undefined),
  ],
});
