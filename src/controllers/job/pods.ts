import { type Job, type NewObject, type Pod, type PodSpec, resource } from '#api';
import { parseTimeMs } from '#machinery';
import { podFromTemplate } from '../pods/from-template.ts';

export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';
export const indexKey = 'batch.kubernetes.io/job-completion-index';
export const failureCountKey = 'batch.kubernetes.io/job-index-failure-count';
const jobs = resource('batch/v1', 'jobs');

export const isTracked = (pod: Pod): boolean => pod.metadata.finalizers?.includes(trackingFinalizer) ?? false;
export const isIndexed = (job: Job): boolean => job.spec.completionMode === 'Indexed';

/** The pod's completion index; undefined when it has none that the job knows. */
export function indexOf(pod: Pod, job: Job): number | undefined {
  const text = pod.metadata.annotations?.[indexKey];
  if (text === undefined || !/^\d+$/.test(text)) return undefined;
  const index = Number(text);
  return index < (job.spec.completions ?? 0) ? index : undefined;
}

export const failuresOf = (pod: Pod): number => Number(pod.metadata.annotations?.[failureCountKey] ?? 0);

/** When the pod's last container ended; its deletion or creation where no container says. */
export function finishedAtMs(pod: Pod): number {
  let latest = Number.NaN;
  for (const { state } of pod.status?.containerStatuses ?? []) {
    const endedMs = parseTimeMs(state?.terminated?.finishedAt);
    if (!(endedMs <= latest)) latest = Number.isNaN(endedMs) ? latest : endedMs;
  }
  if (!Number.isNaN(latest)) return latest;
  return parseTimeMs(pod.metadata.deletionTimestamp ?? pod.metadata.creationTimestamp);
}

/** A pod for one more try of the job, of a certain index when it is indexed. */
export function podOfJob(job: Job, index?: number, failures?: number): NewObject<Pod> {
  const pod = podFromTemplate(job.spec.template, job, jobs);
  const finalizers = [...(pod.metadata.finalizers ?? []), trackingFinalizer];
  if (index === undefined) return { ...pod, metadata: { ...pod.metadata, finalizers } };
  const { name } = job.metadata;
  const annotations = {
    ...pod.metadata.annotations,
    [indexKey]: String(index),
    ...(job.spec.backoffLimitPerIndex === undefined ? {} : { [failureCountKey]: String(failures ?? 0) }),
  };
  const labels = { ...pod.metadata.labels, [indexKey]: String(index) };
  const prefix = `${name.slice(0, 63 - 6 - String(index).length - 1)}-${index}-`;
  const spec = { ...withIndexVariable(pod.spec as PodSpec), hostname: `${name}-${index}` };
  return { ...pod, metadata: { ...pod.metadata, finalizers, annotations, labels, generateName: prefix }, spec };
}

function withIndexVariable(spec: PodSpec): PodSpec {
  const variable = {
    name: 'JOB_COMPLETION_INDEX',
    valueFrom: { fieldRef: { fieldPath: `metadata.labels['${indexKey}']` } },
  };
  const add = <C extends { env?: { name: string }[] }>(container: C): C =>
    container.env?.some((one) => one.name === variable.name)
      ? container
      : { ...container, env: [...(container.env ?? []), variable] };
  return {
    ...spec,
    containers: spec.containers.map(add),
    ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(add) }),
  };
}
