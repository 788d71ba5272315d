import type { HorizontalPodAutoscaler, HPAScalingRules } from '#api';

export const defaultCpuPercent = 80;

const scaleUp: HPAScalingRules = {
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
};

const scaleDown: HPAScalingRules = {
  selectPolicy: 'Max',
  policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
};

export function applyAutoscalerDefaults(autoscaler: HorizontalPodAutoscaler): void {
  const spec = (autoscaler.spec ??= {} as HorizontalPodAutoscaler['spec']);
  spec.minReplicas ??= 1;
  if (!spec.metrics?.length)
    spec.metrics = [
      {
        type: 'Resource',
        resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: defaultCpuPercent } },
      },
    ];
  if (spec.behavior == null) return;
  spec.behavior.scaleUp = filled(spec.behavior.scaleUp, scaleUp);
  spec.behavior.scaleDown = filled(spec.behavior.scaleDown, scaleDown);
}

function filled(rules: HPAScalingRules | undefined, defaults: HPAScalingRules): HPAScalingRules {
  const result = { ...rules };
  result.selectPolicy ??= defaults.selectPolicy;
  if (defaults.stabilizationWindowSeconds !== undefined)
    result.stabilizationWindowSeconds ??= defaults.stabilizationWindowSeconds;
  result.policies ??= defaults.policies?.map((one) => ({ ...one }));
  return result;
}
