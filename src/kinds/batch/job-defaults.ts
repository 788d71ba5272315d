import type { CronJob, Job, JobSpec } from '#api';
import { applyPodTemplateDefaults } from '../core/pod-defaults.ts';

const maxInt32 = 2147483647;

export function applyJobDefaults(job: Job): void {
  const spec = (job.spec ??= {} as JobSpec);
  spec.template ??= {};
  applyPodTemplateDefaults(spec.template);
  if (spec.completions == null && spec.parallelism == null) spec.completions = 1;
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex == null ? 6 : maxInt32;
  const labels = job.metadata.labels ?? {};
  const templateLabels = spec.template.metadata?.labels ?? {};
  if (Object.keys(labels).length === 0 && Object.keys(templateLabels).length > 0)
    job.metadata.labels = { ...templateLabels };
  spec.completionMode ??= 'NonIndexed';
  spec.suspend ??= false;
  for (const rule of spec.podFailurePolicy?.rules ?? [])
    for (const pattern of rule.onPodConditions ?? []) if (!pattern.status) pattern.status = 'True';
  spec.podReplacementPolicy ??= spec.podFailurePolicy == null ? 'TerminatingOrFailed' : 'Failed';
}

export function applyCronJobDefaults(cronJob: CronJob): void {
  const spec = (cronJob.spec ??= {} as NonNullable<CronJob['spec']>);
  spec.jobTemplate ??= {};
  spec.jobTemplate.spec ??= {} as JobSpec;
  spec.jobTemplate.spec.template ??= {};
  applyPodTemplateDefaults(spec.jobTemplate.spec.template);
  if (!spec.concurrencyPolicy) spec.concurrencyPolicy = 'Allow';
  spec.suspend ??= false;
  spec.successfulJobsHistoryLimit ??= 3;
  spec.failedJobsHistoryLimit ??= 1;
}
