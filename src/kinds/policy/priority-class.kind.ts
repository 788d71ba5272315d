import { type PriorityClass, resource } from '#api';
import { ageColumn, booleanColumn, integerColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validatePriorityClass, validatePriorityClassUpdate } from './policy-validation.ts';

export const priorityClassKind = defineKind<PriorityClass>({
  resource: resource('scheduling.k8s.io/v1', 'priorityclasses'),
  storageSegment: 'priorityclasses',
  generation: true,
  generationCounts: 'nothing',
  applyDefaults: (draft) => {
    draft.preemptionPolicy ??= 'PreemptLowerPriority';
  },
  validate: validatePriorityClass,
  validateUpdate: validatePriorityClassUpdate,
  columns: [
    nameColumn,
    integerColumn('Value', 'The priority.', (object) => object.value ?? 0),
    booleanColumn('Global-Default', 'Whether pods without a class get it.', (object) => object.globalDefault ?? false),
    ageColumn,
    textColumn('PreemptionPolicy', 'Whether its pods displace others.', (object) => object.preemptionPolicy ?? ''),
  ],
});
