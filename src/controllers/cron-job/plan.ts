import { rfc3339 } from '#base';
import { type CronJob, type CronJobStatus, type Job, type NewObject, type ObjectReference, resource } from '#api';
import { controllerReference, deepEqual, parseTimeMs } from '#machinery';
import { finishedCondition } from '../job/plan.ts';
import { dueTimes, parseSchedule, type Schedule } from './schedule.ts';

const cronJobs = resource('batch/v1', 'cronjobs');
const scheduledAnnotation = 'batch.kubernetes.io/cronjob-scheduled-timestamp';

export interface CronPlan {
  /** Jobs to delete: history beyond the limits, or running ones that are to be replaced. */
  readonly remove: readonly Job[];
  readonly create?: NewObject<Job>;
  /** The status afterwards, without a job made now; absent when nothing changes. */
  readonly status?: CronJobStatus;
  /** The time the created job is for. */
  readonly scheduledTime?: string;
  readonly events: readonly {
    readonly type: 'Normal' | 'Warning';
    readonly reason: string;
    readonly message: string;
  }[];
  readonly requeueAfterMs?: number;
}

export interface CronView {
  readonly cronJob: CronJob;
  /** Jobs it controls. */
  readonly jobs: readonly Job[];
  readonly nowMs: number;
}

/** What is due now: history tidied, finished jobs noted, and at most one new job, for the newest time missed. */
export function planCronJob(view: CronView): CronPlan {
  const { cronJob, jobs, nowMs } = view;
  const events: CronPlan['events'][number][] = [];
  const status = noteFinished(view, events);
  const remove = surplusHistory(cronJob, jobs);
  const plan = { remove, events, ...(deepEqual(status, cronJob.status ?? {}) ? {} : { status }) };
  if (cronJob.metadata.deletionTimestamp !== undefined || cronJob.spec.suspend) return plan;
  let schedule: Schedule;
  try {
    schedule = parseSchedule(cronJob.spec.schedule, cronJob.spec.timeZone);
  } catch {
    events.push({
      type: 'Warning',
      reason: 'UnparseableSchedule',
      message: `unparseable schedule: ${cronJob.spec.schedule}`,
    });
    return plan;
  }
  const nextMs = schedule.next(nowMs);
  const rest = nextMs === undefined ? {} : { requeueAfterMs: nextMs - nowMs + 100 };
  const due = dueTimes(schedule, earliestMs(cronJob, status, nowMs), nowMs);
  if (due.latestMs === undefined) return { ...plan, ...rest };
  if (due.count > 100) {
    events.push({
      type: 'Warning',
      reason: 'TooManyMissedTimes',
      message: 'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew',
    });
  }
  const stamp = rfc3339(due.latestMs);
  const deadline = cronJob.spec.startingDeadlineSeconds;
  if (deadline !== undefined && due.latestMs + deadline * 1000 < nowMs) {
    events.push({ type: 'Warning', reason: 'MissSchedule', message: `Missed scheduled time to start a job: ${stamp}` });
    return { ...plan, ...rest };
  }
  const name = `${cronJob.metadata.name}-${Math.floor(due.latestMs / 60_000)}`;
  if (status.active?.some((one) => one.name === name) || status.lastScheduleTime === stamp) return { ...plan, ...rest };
  const running = status.active ?? [];
  if (cronJob.spec.concurrencyPolicy === 'Forbid' && running.length > 0) {
    events.push({
      type: 'Normal',
      reason: 'JobAlreadyActive',
      message: 'Not starting job because prior execution is running and concurrency policy is Forbid',
    });
    return { ...plan, ...rest };
  }
  const replaced =
    cronJob.spec.concurrencyPolicy === 'Replace'
      ? jobs.filter((job) => running.some((one) => one.uid === job.metadata.uid))
      : [];
  return {
    ...plan,
    ...rest,
    remove: [...remove, ...replaced],
    create: jobOf(cronJob, name, stamp),
    scheduledTime: stamp,
  };
}

/** From here on times count as missed: the last one used, or the creation; not longer ago than the deadline. */
function earliestMs(cronJob: CronJob, status: CronJobStatus, nowMs: number): number {
  const fromMs = parseTimeMs(status.lastScheduleTime ?? cronJob.metadata.creationTimestamp);
  const { startingDeadlineSeconds } = cronJob.spec;
  return startingDeadlineSeconds === undefined ? fromMs : Math.max(fromMs, nowMs - startingDeadlineSeconds * 1000);
}

function noteFinished({ cronJob, jobs }: CronView, events: CronPlan['events'][number][]): CronJobStatus {
  const status: CronJobStatus = { ...cronJob.status };
  const byUid = new Map(jobs.map((job) => [job.metadata.uid, job]));
  const active: ObjectReference[] = [];
  for (const one of status.active ?? []) {
    const job = byUid.get(one.uid ?? '');
    if (job === undefined) {
      events.push({ type: 'Normal', reason: 'MissingJob', message: `Active job went missing: ${one.name}` });
      continue;
    }
    const finished = finishedCondition(job);
    if (finished === undefined) active.push(one);
    else
      events.push({
        type: 'Normal',
        reason: 'SawCompletedJob',
        message: `Saw completed job: ${one.name}, condition: ${finished.type}`,
      });
  }
  for (const job of jobs) {
    const { uid, name } = job.metadata;
    if (finishedCondition(job) === undefined) {
      if (!active.some((one) => one.uid === uid)) {
        active.push(referenceTo(job));
        if (!cronJob.status?.active?.some((one) => one.uid === uid) && Object.keys(cronJob.status ?? {}).length > 0) {
          events.push({
            type: 'Warning',
            reason: 'UnexpectedJob',
            message: `Saw a job that the controller did not create or forgot: ${name}`,
          });
        }
      }
      continue;
    }
    const ended = finishedCondition(job)?.type === 'Complete' ? job.status?.completionTime : undefined;
    if (ended !== undefined && !(parseTimeMs(ended) <= parseTimeMs(status.lastSuccessfulTime)))
      status.lastSuccessfulTime = ended;
  }
  if (active.length > 0) status.active = active;
  else delete status.active;
  return status;
}

export function referenceTo({ metadata }: Job): ObjectReference {
  const { namespace, name, uid, resourceVersion } = metadata;
  return { kind: 'Job', namespace, name, uid, apiVersion: 'batch/v1', resourceVersion };
}

function surplusHistory({ spec }: CronJob, jobs: readonly Job[]): Job[] {
  const ended = (type: string): Job[] =>
    jobs
      .filter((job) => finishedCondition(job)?.type === type)
      .toSorted(
        (a, b) =>
          parseTimeMs(a.status?.startTime ?? a.metadata.creationTimestamp) -
          parseTimeMs(b.status?.startTime ?? b.metadata.creationTimestamp),
      );
  const beyond = (all: Job[], limit: number): Job[] => all.slice(0, Math.max(0, all.length - limit));
  return [
    ...beyond(ended('Complete'), spec.successfulJobsHistoryLimit ?? 3),
    ...beyond(ended('Failed'), spec.failedJobsHistoryLimit ?? 1),
  ];
}

function jobOf(cronJob: CronJob, name: string, stamp: string): NewObject<Job> {
  const { metadata, spec } = cronJob.spec.jobTemplate;
  return {
    metadata: {
      namespace: cronJob.metadata.namespace,
      name,
      ...(metadata?.labels === undefined ? {} : { labels: metadata.labels }),
      annotations: { ...metadata?.annotations, [scheduledAnnotation]: stamp },
      ownerReferences: [controllerReference(cronJob, cronJobs)],
    },
    spec: spec ?? { template: {} },
  };
}
