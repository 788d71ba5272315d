import type { MetricSpec, MetricStatus, MetricTarget, MetricValueStatus } from '#api';

const unknown = '<unknown>';

function valueOrAverage(target: MetricTarget | undefined, current: MetricValueStatus | undefined): string {
  return target?.averageValue != null
    ? `${current?.averageValue ?? unknown}/${target.averageValue} (avg)`
    : `${current?.value ?? unknown}/${target?.value ?? '0'}`;
}

function resourceText(name: string, target: MetricTarget | undefined, current: MetricValueStatus | undefined): string {
  if (target?.averageValue != null) return `${name}: ${current?.averageValue ?? unknown}/${target.averageValue}`;
  const used = current?.averageUtilization == null ? unknown : `${current.averageUtilization}%`;
  const wanted = target?.averageUtilization == null ? '<auto>' : `${target.averageUtilization}%`;
  return `${name}: ${used}/${wanted}`;
}

function metricText(spec: MetricSpec, status: MetricStatus | undefined): string {
  switch (spec.type) {
    case 'External':
      return valueOrAverage(spec.external?.target, status?.external?.current);
    case 'Pods':
      return `${status?.pods?.current?.averageValue ?? unknown}/${spec.pods?.target?.averageValue ?? '0'}`;
    case 'Object':
      return valueOrAverage(spec.object?.target, status?.object?.current);
    case 'Resource':
      return resourceText(spec.resource?.name ?? '', spec.resource?.target, status?.resource?.current);
    case 'ContainerResource':
      return resourceText(
        spec.containerResource?.name ?? '',
        spec.containerResource?.target,
        status?.containerResource?.current,
      );
    default:
      return '<unknown type>';
  }
}

/** `cpu: 12%/80%, 10/5 (avg)`: present over wanted value of each metric, two at most. */
export function metricsText(
  specs: readonly MetricSpec[] | undefined,
  statuses: readonly MetricStatus[] | undefined,
): string {
  if (!specs?.length) return '<none>';
  const list = specs.map((spec, index) => metricText(spec, statuses?.[index]));
  const shown = list.slice(0, 2).join(', ');
  return list.length > 2 ? `${shown} + ${list.length - 2} more...` : shown;
}
