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
import { sameValue } from '../findings.ts';
import { applyDaemonSetDefaults } from './workload-defaults.ts';
import { validateDaemonSet, validateReplicaStatus, validateSelectorUpdate } from './workload-validation.ts';

const generationAnnotation = 'deprecated.daemonset.template.generation';

/** Counts changes of the template, for clients that still look there. */
function setTemplateGeneration({ metadata }: DaemonSet, generation: number): void {
  metadata.annotations = { ...metadata.annotations, [generationAnnotation]: String(generation) };
}

export const daemonSetKind = defineKind<DaemonSet>({
  resource: resource('apps/v1', 'daemonsets'),
  storageSegment: 'daemonsets',
  status: true,
  initialStatus: { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 },
  generation: true,
  applyDefaults: applyDaemonSetDefaults,
  prepareForCreate: (draft) => setTemplateGeneration(draft, 1),
  prepareForUpdate: (draft, old) => {
    const before = Number(old.metadata.annotations?.[generationAnnotation]) || 1;
    setTemplateGeneration(draft, sameValue(draft.spec?.template, old.spec?.template) ? before : before + 1);
  },
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
