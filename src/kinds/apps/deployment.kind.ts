import { type Deployment, resource } from '#api';
import { ageColumn, nameColumn, selectorText, textColumn, workloadColumns } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { workloadScale } from '../workload-scale.ts';
import { applyDeploymentDefaults } from './workload-defaults.ts';
import { validateDeployment, validateReplicaStatus, validateSelectorUpdate } from './workload-validation.ts';

export const deploymentKind = defineKind<Deployment>({
  resource: resource('apps/v1', 'deployments'),
  storageSegment: 'deployments',
  status: true,
  statusKeeps: ['labels'],
  initialStatus: {},
  generation: true,
  generationCounts: 'annotations',
  scale: workloadScale,
  applyDefaults: applyDeploymentDefaults,
  validate: validateDeployment,
  validateUpdate: validateSelectorUpdate,
  validateStatusUpdate: ({ status }, old) =>
    validateReplicaStatus(status, old.status, ['updatedReplicas', 'readyReplicas', 'availableReplicas']),
  columns: [
    nameColumn,
    textColumn(
      'Ready',
      'Ready pods of those wanted.',
      ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
    ),
    textColumn('Up-to-date', 'Pods of the present template.', (object) => object.status?.updatedReplicas ?? 0),
    textColumn('Available', 'Pods available to users.', (object) => object.status?.availableReplicas ?? 0),
    ageColumn,
    ...workloadColumns<Deployment>(
      (object) => object.spec?.template?.spec?.containers,
      (object) => selectorText(object.spec?.selector),
    ),
  ],
});
