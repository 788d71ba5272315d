import { type PodDisruptionBudget, resource } from '#api';
import { ageColumn, integerColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateDisruptionBudget, validateDisruptionBudgetStatus } from './policy-validation.ts';

export const podDisruptionBudgetKind = defineKind<PodDisruptionBudget>({
  resource: resource('policy/v1', 'poddisruptionbudgets'),
  storageSegment: 'poddisruptionbudgets',
  status: true,
  initialStatus: { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 },
  generation: true,
  allowUnconditionalUpdate: false,
  validate: validateDisruptionBudget,
  validateStatusUpdate: validateDisruptionBudgetStatus,
  columns: [
    nameColumn,
    textColumn('Min Available', 'Fewest pods that must be available.', ({ spec }) =>
      String(spec?.minAvailable ?? 'N/A'),
    ),
    textColumn('Max Unavailable', 'Most pods that may be missing.', ({ spec }) =>
      String(spec?.maxUnavailable ?? 'N/A'),
    ),
    integerColumn(
      'Allowed Disruptions',
      'Pods that may be disrupted now.',
      ({ status }) => status?.disruptionsAllowed ?? 0,
    ),
    ageColumn,
  ],
});
