import { type Job, type JobCondition, resource } from '#api';
import { goQuote, humanDuration, parseTimeMs } from '#machinery';
import { ageColumn, nameColumn, selectorText, textColumn, workloadColumns } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { applyJobDefaults } from './job-defaults.ts';
import { generateJobSelector } from './job-selector.ts';
import { validateJob, validateJobStatusUpdate, validateJobUpdate } from './job-validation.ts';

const conditionOf = (job: Job, type: string): JobCondition | undefined =>
  job.status?.conditions?.find((one) => one.type === type && one.status === 'True');

function statusText(job: Job): string {
  if (conditionOf(job, 'Complete')) return 'Complete';
  if (conditionOf(job, 'Failed')) return 'Failed';
  if (job.metadata.deletionTimestamp) return 'Terminating';
  if (conditionOf(job, 'Suspended')) return 'Suspended';
  if (conditionOf(job, 'FailureTarget')) return 'FailureTarget';
  if (conditionOf(job, 'SuccessCriteriaMet')) return 'SuccessCriteriaMet';
  return 'Running';
}

function completionsText({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec?.completions != null) return `${succeeded}/${spec.completions}`;
  const parallelism = spec?.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function durationText({ status }: Job, nowMs: number): string {
  if (!status?.startTime) return '';
  const endMs = status.completionTime ? parseTimeMs(status.completionTime) : nowMs;
  return humanDuration(endMs - parseTimeMs(status.startTime));
}

export const jobKind = defineKind<Job>({
  resource: resource('batch/v1', 'jobs'),
  storageSegment: 'jobs',
  status: true,
  initialStatus: {},
  generation: true,
  defaultPropagation: 'orphan',
  applyDefaults: applyJobDefaults,
  prepareForCreate: generateJobSelector,
  validate: validateJob,
  validateUpdate: validateJobUpdate,
  validateStatusUpdate: validateJobStatusUpdate,
  columns: [
    nameColumn,
    textColumn('Status', 'State of the job in one word.', statusText),
    textColumn('Completions', 'Pods that succeeded, of those wanted.', completionsText),
    textColumn('Duration', 'Time that it ran.', (job, { nowMs }) => durationText(job, nowMs)),
    ageColumn,
    ...workloadColumns<Job>(
      (job) => job.spec?.template?.spec?.containers,
      (job) => selectorText(job.spec?.selector),
    ),
  ],
  fieldSelectors: { 'status.successful': (job) => String(job.status?.succeeded ?? 0) },
  unknownFieldSelector: (label) => `field label ${goQuote(label)} not supported for batchv1.Job`,
});
