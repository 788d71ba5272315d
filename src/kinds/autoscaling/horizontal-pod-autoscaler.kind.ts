import { type HorizontalPodAutoscaler, resource } from '#api';
import { defineKind } from '../definition.ts';
import { autoscalerColumns } from './horizontal-pod-autoscaler-columns.ts';
import { applyAutoscalerDefaults } from './autoscaler-defaults.ts';
import { validateAutoscaler, validateAutoscalerStatus } from './autoscaler-validation.ts';

export const horizontalPodAutoscalerKind = defineKind<HorizontalPodAutoscaler>({
  resource: resource('autoscaling/v2', 'horizontalpodautoscalers'),
  storageSegment: 'horizontalpodautoscalers',
  storageVersion: 'autoscaling/v2',
  status: true,
  initialStatus: { currentReplicas: 0, desiredReplicas: 0 },
  applyDefaults: applyAutoscalerDefaults,
  validate: validateAutoscaler,
  validateStatusUpdate: validateAutoscalerStatus,
  columns: autoscalerColumns,
});
