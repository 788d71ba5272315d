import { type DaemonSet, resource } from '#api';
import {
  ageColumn,
  integerColumn,
  labelsText,
  nameColumn,
  selectorText,
  textColumn,
  workloadColumns,
} from '../columns.ts';
import { defineKind } from '../definition.ts';
import { applyDaemonSetDefaults } from './workload-defaults.ts';
import { validateDaemonSet, validateReplicaStatus, validateSelectorUpdate } from './workload-validation.ts';

export const daemonSetKind = defineKind<DaemonSet>({
  resource: resource('apps/v1', 'daemonsets'),
  storageSegment: 'daemonsets',
  status: true,
  generation: true,
  applyDefaults: applyDaemonSetDefaults,
  validate: validateDaemonSet,
  validateUpdate: validateSelectorUpdate,
  validateStatusUpdate: ({ status }, old) => validateReplicaStatus(status, old.status, []),
  columns: [
    nameColumn,
    integerColumn('Desired', 'Nodes that should run it.', (object) => object.status?.desiredNumberScheduled ?? 0),
    integerColumn('Current', 'Nodes that should and do.', (object) => object.status?.currentNumberScheduled ?? 0),
    integerColumn('Ready', 'Nodes where its pod is ready.', (object) => object.status?.numberReady ?? 0),
    integerColumn(
      'Up-to-date',
      'Nodes with a pod of the present template.',
      (object) => object.status?.updatedNumberScheduled ?? 0,
    ),
    integerColumn('Available', 'Nodes where its pod is available.', (object) => object.status?.numberAvailable ?? 0),
    textColumn('Node Selector', 'Labels of the nodes.', (object) =>
      labelsText(object.spec?.template?.spec?.nodeSelector),
    ),
    ageColumn,
    ...workloadColumns<DaemonSet>(
      (object) => object.spec?.template?.spec?.containers,
      (object) => selectorText(object.spec?.selector),
    ),
  ],
});
