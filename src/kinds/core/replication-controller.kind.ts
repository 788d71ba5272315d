import { type ReplicationController, resource } from '#api';
import { ageColumn, integerColumn, labelsText, nameColumn, workloadColumns } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { applyPodTemplateDefaults } from './pod-defaults.ts';
import { validateReplicationController } from './replication-controller-validation.ts';
import { validateReplicaStatus } from '../apps/workload-validation.ts';

function applyReplicationControllerDefaults(draft: ReplicationController): void {
  const spec = (draft.spec ??= {});
  spec.replicas ??= 1;
  if (spec.template == null) return;
  applyPodTemplateDefaults(spec.template);
  const labels = spec.template.metadata?.labels ?? {};
  if (Object.keys(labels).length === 0) return;
  if (Object.keys(spec.selector ?? {}).length === 0) spec.selector = { ...labels };
  if (Object.keys(draft.metadata.labels ?? {}).length === 0) draft.metadata.labels = { ...labels };
}

export const replicationControllerKind = defineKind<ReplicationController>({
  resource: resource('v1', 'replicationcontrollers'),
  storageSegment: 'controllers',
  status: true,
  initialStatus: { replicas: 0 },
  generation: true,
  defaultPropagation: 'orphan',
  scale: {
    replicas: (object) => object.spec?.replicas ?? 0,
    setReplicas: (draft, replicas) => {
      draft.spec = { ...draft.spec, replicas };
    },
    statusReplicas: (object) => object.status?.replicas ?? 0,
    selector: (object) => {
      const text = labelsText(object.spec?.selector);
      return text === '<none>' ? '' : text;
    },
  },
  applyDefaults: applyReplicationControllerDefaults,
  validate: validateReplicationController,
  validateStatusUpdate: ({ status }, old) =>
    validateReplicaStatus(status, old.status, ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas']),
  columns: [
    nameColumn,
    integerColumn('Desired', 'Pods wanted.', (object) => object.spec?.replicas ?? 0),
    integerColumn('Current', 'Pods that exist.', (object) => object.status?.replicas ?? 0),
    integerColumn('Ready', 'Pods that are ready.', (object) => object.status?.readyReplicas ?? 0),
    ageColumn,
    ...workloadColumns<ReplicationController>(
      (object) => object.spec?.template?.spec?.containers,
      (object) => labelsText(object.spec?.selector),
    ),
  ],
  fieldSelectors: { 'status.replicas': (object) => String(object.status?.replicas ?? 0) },
});
