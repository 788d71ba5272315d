import { type AutoscalingV1HorizontalPodAutoscaler, type HorizontalPodAutoscaler, resource } from '#api';
import { defineKind, type TypedColumn } from '../definition.ts';
import { defaultCpuPercent } from './autoscaler-defaults.ts';
import { autoscalerColumns } from './horizontal-pod-autoscaler-columns.ts';
import { autoscalerFromV1, autoscalerToV1 } from './version-conversion.ts';
import { validateAutoscalerStatus, validateAutoscalerV1 } from './autoscaler-validation.ts';

/** Where clients of this version keep metrics beyond CPU. */
const metricsAnnotation = 'autoscaling.alpha.kubernetes.io/metrics';

type V1 = AutoscalingV1HorizontalPodAutoscaler;

export const horizontalPodAutoscalerV1Kind = defineKind<V1>({
  resource: resource('autoscaling/v1', 'horizontalpodautoscalers'),
  storageSegment: 'horizontalpodautoscalers',
  storageVersion: 'autoscaling/v2',
  fromStorage: (draft) => autoscalerToV1(draft as unknown as HorizontalPodAutoscaler),
  toStorage: (draft) => autoscalerFromV1(draft) as unknown as V1,
  status: true,
  initialStatus: { currentReplicas: 0, desiredReplicas: 0 },
  applyDefaults: (draft) => {
    draft.spec ??= {} as V1['spec'];
    draft.spec.minReplicas ??= 1;
    if (!draft.metadata.annotations?.[metricsAnnotation])
      draft.spec.targetCPUUtilizationPercentage ??= defaultCpuPercent;
  },
  validate: validateAutoscalerV1,
  validateStatusUpdate: validateAutoscalerStatus,
  columns: autoscalerColumns.map(
    (column): TypedColumn<V1> => ({
      ...column,
      value: (object, context) => column.value(autoscalerFromV1(object), context),
    }),
  ),
});
