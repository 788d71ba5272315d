import type { HorizontalPodAutoscaler } from '#api';
import { ageColumn, integerColumn, nameColumn, textColumn } from '../columns.ts';
import type { TypedColumn } from '../definition.ts';
import { metricsText } from './metrics-text.ts';

/** The table of autoscalers; both versions print it from the v2 form. */
export const autoscalerColumns: readonly TypedColumn<HorizontalPodAutoscaler>[] = [
  nameColumn,
  textColumn(
    'Reference',
    'What it scales.',
    ({ spec }) => `${spec?.scaleTargetRef?.kind ?? ''}/${spec?.scaleTargetRef?.name ?? ''}`,
  ),
  textColumn('Targets', 'Present and wanted value of each metric.', ({ spec, status }) =>
    metricsText(spec?.metrics, status?.currentMetrics),
  ),
  textColumn('MinPods', 'Fewest pods.', ({ spec }) =>
    spec?.minReplicas == null ? '<unset>' : String(spec.minReplicas),
  ),
  textColumn('MaxPods', 'Most pods.', ({ spec }) => spec?.maxReplicas ?? 0),
  textColumn('Replicas', 'Pods at present.', ({ status }) => status?.currentReplicas ?? 0),
  ageColumn,
];
