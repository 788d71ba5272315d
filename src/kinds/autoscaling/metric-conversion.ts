import type { AutoscalingV1MetricSpec, AutoscalingV1MetricStatus, MetricSpec, MetricStatus, MetricTarget } from '#api';

/** A metric of v2 in the form that autoscaling/v1 keeps in its annotation. */
export function metricToV1(spec: MetricSpec): AutoscalingV1MetricSpec {
  const { type, resource, containerResource, pods, object, external } = spec;
  return compact({
    type,
    resource: resource && {
      name: resource.name,
      targetAverageUtilization: resource.target?.averageUtilization,
      targetAverageValue: resource.target?.averageValue,
    },
    containerResource: containerResource && {
      name: containerResource.name,
      container: containerResource.container,
      targetAverageUtilization: containerResource.target?.averageUtilization,
      targetAverageValue: containerResource.target?.averageValue,
    },
    pods: pods && {
      metricName: pods.metric?.name,
      selector: pods.metric?.selector,
      targetAverageValue: pods.target?.averageValue ?? '0',
    },
    object: object && {
      target: object.describedObject,
      metricName: object.metric?.name,
      selector: object.metric?.selector,
      targetValue: object.target?.value ?? '0',
      averageValue: object.target?.averageValue,
    },
    external: external && {
      metricName: external.metric?.name,
      metricSelector: external.metric?.selector,
      targetValue: external.target?.value,
      targetAverageValue: external.target?.averageValue,
    },
  });
}

/** The inverse of `metricToV1`. */
export function metricFromV1(spec: AutoscalingV1MetricSpec): MetricSpec {
  const { type, resource, containerResource, pods, object, external } = spec;
  return compact({
    type,
    resource: resource && {
      name: resource.name,
      target: targetOf(undefined, resource.targetAverageValue, resource.targetAverageUtilization),
    },
    containerResource: containerResource && {
      name: containerResource.name,
      container: containerResource.container,
      target: targetOf(undefined, containerResource.targetAverageValue, containerResource.targetAverageUtilization),
    },
    pods: pods && {
      metric: { name: pods.metricName, selector: pods.selector },
      target: targetOf(undefined, pods.targetAverageValue, undefined),
    },
    object: object && {
      describedObject: object.target,
      metric: { name: object.metricName, selector: object.selector },
      target: targetOf(object.averageValue == null ? object.targetValue : undefined, object.averageValue, undefined),
    },
    external: external && {
      metric: { name: external.metricName, selector: external.metricSelector },
      target: targetOf(external.targetValue, external.targetAverageValue, undefined),
    },
  });
}

/** A measured metric of v2 in the form that autoscaling/v1 keeps in its annotation. */
export function measureToV1(status: MetricStatus): AutoscalingV1MetricStatus {
  const { type, resource, containerResource, pods, object, external } = status;
  return compact({
    type,
    resource: resource && {
      name: resource.name,
      currentAverageUtilization: resource.current?.averageUtilization,
      currentAverageValue: resource.current?.averageValue ?? '0',
    },
    containerResource: containerResource && {
      name: containerResource.name,
      container: containerResource.container,
      currentAverageUtilization: containerResource.current?.averageUtilization,
      currentAverageValue: containerResource.current?.averageValue ?? '0',
    },
    pods: pods && {
      metricName: pods.metric?.name,
      selector: pods.metric?.selector,
      currentAverageValue: pods.current?.averageValue ?? '0',
    },
    object: object && {
      target: object.describedObject,
      metricName: object.metric?.name,
      selector: object.metric?.selector,
      currentValue: object.current?.value ?? '0',
      averageValue: object.current?.averageValue,
    },
    external: external && {
      metricName: external.metric?.name,
      metricSelector: external.metric?.selector,
      currentValue: external.current?.value ?? '0',
      currentAverageValue: external.current?.averageValue,
    },
  });
}

/** The inverse of `measureToV1`. */
export function measureFromV1(status: AutoscalingV1MetricStatus): MetricStatus {
  const { type, resource, containerResource, pods, object, external } = status;
  return compact({
    type,
    resource: resource && {
      name: resource.name,
      current: { averageUtilization: resource.currentAverageUtilization, averageValue: resource.currentAverageValue },
    },
    containerResource: containerResource && {
      name: containerResource.name,
      container: containerResource.container,
      current: {
        averageUtilization: containerResource.currentAverageUtilization,
        averageValue: containerResource.currentAverageValue,
      },
    },
    pods: pods && {
      metric: { name: pods.metricName, selector: pods.selector },
      current: { averageValue: pods.currentAverageValue },
    },
    object: object && {
      describedObject: object.target,
      metric: { name: object.metricName, selector: object.selector },
      current: { value: object.currentValue, averageValue: object.averageValue },
    },
    external: external && {
      metric: { name: external.metricName, selector: external.metricSelector },
      current: { value: external.currentValue, averageValue: external.currentAverageValue },
    },
  });
}

function targetOf(
  value: string | undefined,
  averageValue: string | undefined,
  averageUtilization: number | undefined,
): MetricTarget {
  const type = averageUtilization != null ? 'Utilization' : averageValue != null ? 'AverageValue' : 'Value';
  return { type, value, averageValue, averageUtilization };
}

/** Drops undefined fields on the three levels that metrics have. */
function compact<T extends object>(object: T, levels = 3): T {
  for (const key of Object.keys(object) as (keyof T)[]) {
    const value = object[key];
    if (value === undefined) delete object[key];
    else if (levels > 1 && typeof value === 'object' && value !== null && !Array.isArray(value)) {
      object[key] = compact({ ...value } as object, levels - 1) as T[keyof T];
    }
  }
  return object;
}
