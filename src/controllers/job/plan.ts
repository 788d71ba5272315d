import type { Job, JobCondition, JobStatus, Pod } from '#api';
import { isPodActive, isPodReady } from '#kinds';
import { deepEqual, parseTimeMs } from '#machinery';
import { formatIndexes, parseIndexes } from './indexes.ts';
import { matchFailure } from './pod-failure-policy.ts';
import { failuresOf, finishedAtMs, indexOf, isIndexed, isTracked } from './pods.ts';

const burst = 500;
const backoffMs = { first: 10_000, longest: 600_000 };

export interface JobView {
  readonly job: Job;
  /** Claimed pods, those with a deletion of ours under way left out of `active` by `isGoing`. */
  readonly pods: readonly Pod[];
  readonly isGoing: (pod: Pod) => boolean;
  readonly now: { readonly ms: number; readonly text: string };
}

/** What to do, in this order: write `counting` (who is about to be counted), take finalizers off, pods, write `status`. */
export interface JobPlan {
  /** The status with newly finished pods noted by uid; absent when none finished. */
  readonly counting?: JobStatus;
  /** Pods whose tracking finalizer goes. */
  readonly release: readonly Pod[];
  readonly remove: readonly Pod[];
  /** One entry a pod to make; with its index where the job has them. */
  readonly create: readonly { readonly index?: number; readonly failures?: number }[];
  /** The status afterwards; absent when nothing changes. */
  readonly status?: JobStatus;
  readonly events: readonly {
    readonly type: 'Normal' | 'Warning';
    readonly reason: string;
    readonly message: string;
  }[];
  readonly requeueAfterMs?: number;
}

interface Verdict {
  readonly kind: 'Complete' | 'Failed';
  readonly reason: string;
  readonly message: string;
}

export const finishedCondition = (job: Job): JobCondition | undefined =>
  job.status?.conditions?.find((one) => (one.type === 'Complete' || one.type === 'Failed') && one.status === 'True');

/** Counts each finished pod once, whatever crashes in between, and keeps the right number of pods running. */
export function planJob(view: JobView): JobPlan {
  const { job, pods, isGoing, now } = view;
  if (finishedCondition(job) !== undefined) {
    return {
      release: pods.filter(isTracked),
      remove: pods.filter((pod) => isPodActive(pod) && !isGoing(pod)),
      create: [],
      events: [],
    };
  }
  const tally = takeTally(view);
  const active = pods.filter((pod) => isPodActive(pod) && !isGoing(pod));
  const verdict = judge(view, tally, active);
  const events: JobPlan['events'][number][] = [];
  const status = statusOf(view, tally, active, verdict, events);
  const suspended = job.spec.suspend === true && verdict === undefined;
  const work =
    verdict !== undefined || suspended || job.metadata.deletionTimestamp !== undefined
      ? { remove: verdict || suspended ? active : [], create: [] }
      : planPods(view, tally, active);
  const create = 'waitMs' in work && work.waitMs !== undefined && work.waitMs > 0 ? [] : work.create;
  if (verdict === undefined) status.active = active.length - work.remove.length + create.length;
  else status.active = 0;
  tidy(status);
  const waits = [deadlineInMs(job, status, now.ms), 'waitMs' in work ? work.waitMs : undefined].filter(
    (one) => one !== undefined && one > 0,
  );
  const counting = tally.fresh.length === 0 ? undefined : countingStatus(job, tally);
  return {
    ...(counting === undefined ? {} : { counting }),
    release: tally.release,
    remove: work.remove,
    create,
    ...(deepEqual(status, job.status ?? {}) && counting === undefined ? {} : { status }),
    events,
    ...(waits.length === 0 ? {} : { requeueAfterMs: Math.min(...(waits as number[])) }),
  };
}

interface Tally {
  /** Finished pods not noted before. */
  readonly fresh: readonly { readonly pod: Pod; readonly succeeded: boolean }[];
  readonly release: readonly Pod[];
  readonly succeeded: number;
  readonly failed: number;
  readonly completed: Set<number>;
  readonly failedIndexes: Set<number>;
  /** A failure that fails the whole job, by policy. */
  readonly fatal?: string;
  readonly lastFailureMs?: number;
}

function takeTally({ job, pods }: JobView): Tally {
  const { status = {}, spec } = job;
  const noted = {
    succeeded: new Set(status.uncountedTerminatedPods?.succeeded),
    failed: new Set(status.uncountedTerminatedPods?.failed),
  };
  const completions = spec.completions ?? 0;
  const completed = parseIndexes(status.completedIndexes, completions);
  const failedIndexes = parseIndexes(status.failedIndexes, completions);
  const onlyFailed = spec.podReplacementPolicy === 'Failed' || spec.podFailurePolicy !== undefined;
  const fresh: { pod: Pod; succeeded: boolean }[] = [];
  const release: Pod[] = [];
  let fatal: string | undefined;
  let lastFailureMs: number | undefined;
  let ignored = 0;
  for (const pod of pods) {
    const phase = pod.status?.phase;
    const succeeded = phase === 'Succeeded';
    const failed = phase === 'Failed' || (pod.metadata.deletionTimestamp !== undefined && !succeeded && !onlyFailed);
    if (!succeeded && !failed) continue;
    if (failed) lastFailureMs = Math.max(lastFailureMs ?? 0, finishedAtMs(pod));
    if (!isTracked(pod)) continue;
    release.push(pod);
    const { uid } = pod.metadata;
    if (noted.succeeded.has(uid) || noted.failed.has(uid)) continue;
    const index = isIndexed(job) ? indexOf(pod, job) : undefined;
    if (isIndexed(job) && (index === undefined || (succeeded && completed.has(index)))) continue;
    if (failed) {
      const { action, message } = matchFailure(spec.podFailurePolicy, pod);
      if (action === 'FailJob') fatal ??= message;
      if (action === 'Ignore') {
        ignored++;
        continue;
      }
      if (index !== undefined && spec.backoffLimitPerIndex !== undefined) {
        if (action === 'FailIndex' || failuresOf(pod) >= spec.backoffLimitPerIndex) failedIndexes.add(index);
      }
    }
    if (succeeded && index !== undefined) completed.add(index);
    fresh.push({ pod, succeeded });
  }
  const count = (succeeded: boolean): number => fresh.filter((one) => one.succeeded === succeeded).length;
  const succeeded = isIndexed(job) ? completed.size : (status.succeeded ?? 0) + noted.succeeded.size + count(true);
  const failed = (status.failed ?? 0) + noted.failed.size + count(false);
  return {
    fresh,
    release,
    succeeded,
    failed,
    completed,
    failedIndexes,
    ...(fatal === undefined ? {} : { fatal }),
    ...(lastFailureMs === undefined || ignored > 0 ? {} : { lastFailureMs }),
  };
}

/** Before finalizers go, the finished are noted by uid: a crash then counts none twice and loses none. */
function countingStatus(job: Job, { fresh }: Tally): JobStatus {
  const old = job.status?.uncountedTerminatedPods;
  const uids = (succeeded: boolean): string[] =>
    fresh.filter((one) => one.succeeded === succeeded).map((one) => one.pod.metadata.uid);
  const noted = {
    succeeded: [...(old?.succeeded ?? []), ...(isIndexed(job) ? [] : uids(true))],
    failed: [...(old?.failed ?? []), ...uids(false)],
  };
  return { ...job.status, uncountedTerminatedPods: noted };
}

function judge({ job, pods, now }: JobView, tally: Tally, active: readonly Pod[]): Verdict | undefined {
  const { spec, status } = job;
  const target = status?.conditions?.find((one) => one.type === 'FailureTarget' && one.status === 'True');
  if (target !== undefined) return { kind: 'Failed', reason: target.reason ?? '', message: target.message ?? '' };
  const met = status?.conditions?.find((one) => one.type === 'SuccessCriteriaMet' && one.status === 'True');
  if (met !== undefined) return { kind: 'Complete', reason: met.reason ?? '', message: met.message ?? '' };
  const failed = (reason: string, message: string): Verdict => ({ kind: 'Failed', reason, message });
  const complete = (reason: string, message: string): Verdict => ({ kind: 'Complete', reason, message });
  if (tally.fatal !== undefined) return failed('PodFailurePolicy', tally.fatal);
  const policy = successPolicyRule(job, tally.completed);
  if (policy !== undefined) return complete('SuccessPolicy', `Matched rules at index ${policy}`);
  const limit = spec.backoffLimit ?? 6;
  if (tally.failed > limit || restartsBeyond(job, pods, limit))
    return failed('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  if (!spec.suspend && spec.activeDeadlineSeconds !== undefined && status?.startTime !== undefined) {
    if (now.ms - parseTimeMs(status.startTime) >= spec.activeDeadlineSeconds * 1000) {
      return failed('DeadlineExceeded', 'Job was active longer than specified deadline');
    }
  }
  if (spec.maxFailedIndexes !== undefined && tally.failedIndexes.size > spec.maxFailedIndexes) {
    return failed('MaxFailedIndexesExceeded', 'Job has exceeded the specified maximal number of failed indexes');
  }
  const reached = complete('CompletionsReached', 'Reached expected number of succeeded pods');
  if (spec.completions === undefined) return tally.succeeded > 0 && active.length === 0 ? reached : undefined;
  if (tally.succeeded >= spec.completions) return reached;
  if (
    tally.failedIndexes.size > 0 &&
    active.length === 0 &&
    tally.completed.size + tally.failedIndexes.size >= spec.completions
  ) {
    return failed('FailedIndexes', 'Job has failed indexes');
  }
  return undefined;
}

function successPolicyRule(job: Job, completed: ReadonlySet<number>): number | undefined {
  const completions = job.spec.completions ?? 0;
  for (const [at, { succeededIndexes, succeededCount }] of (job.spec.successPolicy?.rules ?? []).entries()) {
    const wanted = succeededIndexes === undefined ? undefined : parseIndexes(succeededIndexes, completions);
    const done = wanted === undefined ? completed.size : [...wanted].filter((index) => completed.has(index)).length;
    if (done >= (succeededCount ?? wanted?.size ?? Number.POSITIVE_INFINITY)) return at;
  }
  return undefined;
}

/** Pods that restart in place (OnFailure) use up the limit by their restarts. */
function restartsBeyond(job: Job, pods: readonly Pod[], limit: number): boolean {
  if (job.spec.template.spec?.restartPolicy !== 'OnFailure') return false;
  let restarts = 0;
  for (const { status } of pods) {
    if (status?.phase !== 'Running' && status?.phase !== 'Pending') continue;
    for (const one of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])])
      restarts += one.restartCount;
  }
  return limit === 0 ? restarts > 0 : restarts >= limit;
}

function planPods(
  { job, pods, isGoing, now }: JobView,
  tally: Tally,
  active: readonly Pod[],
): { remove: readonly Pod[]; create: JobPlan['create']; waitMs?: number } {
  const { spec } = job;
  const parallelism = spec.parallelism ?? 1;
  const terminating = pods.filter(
    (pod) =>
      !isPodActive(pod) &&
      pod.metadata.deletionTimestamp !== undefined &&
      pod.status?.phase !== 'Succeeded' &&
      pod.status?.phase !== 'Failed',
  );
  const held =
    spec.podReplacementPolicy === 'Failed' || spec.podFailurePolicy !== undefined
      ? terminating.length + pods.filter((pod) => isGoing(pod)).length
      : 0;
  const waitMs = backoffLeftMs(tally, now.ms);
  if (isIndexed(job)) {
    const taken = new Map<number, Pod>();
    const surplus: Pod[] = [];
    for (const pod of active) {
      const index = indexOf(pod, job);
      if (index === undefined || taken.has(index) || tally.completed.has(index) || tally.failedIndexes.has(index))
        surplus.push(pod);
      else taken.set(index, pod);
    }
    const indexes: number[] = [];
    for (let index = 0; index < (spec.completions ?? 0); index++) {
      if (indexes.length + taken.size + held >= parallelism || indexes.length >= burst) break;
      if (!taken.has(index) && !tally.completed.has(index) && !tally.failedIndexes.has(index)) indexes.push(index);
    }
    const tooMany = taken.size - parallelism;
    const remove = tooMany > 0 ? [...surplus, ...youngest([...taken.values()], tooMany)] : surplus;
    return {
      remove,
      create: indexes.map((index) => ({ index, failures: failuresBefore(job, pods, index) })),
      ...(waitMs > 0 ? { waitMs } : {}),
    };
  }
  const left =
    spec.completions === undefined
      ? tally.succeeded > 0
        ? active.length
        : parallelism
      : Math.max(0, spec.completions - tally.succeeded);
  const wanted = Math.min(parallelism, left);
  const surplus = active.length - wanted;
  if (surplus > 0) return { remove: youngest(active, surplus), create: [] };
  const missing = Math.max(0, Math.min(wanted - active.length - held, burst));
  return {
    remove: [],
    create: Array.from({ length: missing }, () => ({})),
    ...(missing > 0 && waitMs > 0 ? { waitMs } : {}),
  };
}

function failuresBefore(job: Job, pods: readonly Pod[], index: number): number {
  if (job.spec.backoffLimitPerIndex === undefined) return 0;
  const earlier = pods.filter((pod) => indexOf(pod, job) === index && pod.status?.phase === 'Failed');
  return earlier.length === 0 ? 0 : Math.max(...earlier.map(failuresOf)) + 1;
}

/** After the n-th failure the next pod waits 10 s · 2^(n-1), 10 min at most, from when the last one ended. */
function backoffLeftMs({ failed, lastFailureMs }: Tally, nowMs: number): number {
  if (lastFailureMs === undefined || failed === 0) return 0;
  const delayMs = Math.min(backoffMs.longest, backoffMs.first * 2 ** Math.min(failed - 1, 20));
  return lastFailureMs + delayMs - nowMs;
}

function youngest(pods: readonly Pod[], count: number): Pod[] {
  const age = (pod: Pod): number => parseTimeMs(pod.metadata.creationTimestamp);
  const rank = (pod: Pod): number => (isPodReady(pod) ? 2 : pod.spec.nodeName ? 1 : 0);
  return pods.toSorted((a, b) => rank(a) - rank(b) || age(b) - age(a)).slice(0, count);
}

function statusOf(
  { job, pods, now }: JobView,
  tally: Tally,
  active: readonly Pod[],
  verdict: Verdict | undefined,
  events: JobPlan['events'][number][],
): JobStatus {
  const { spec } = job;
  const status: JobStatus = { ...job.status, conditions: [...(job.status?.conditions ?? [])] };
  const set = (type: string, flag: string, reason: string, message: string): void => {
    const conditions = status.conditions ?? [];
    const at = conditions.findIndex((one) => one.type === type);
    const present = conditions[at];
    if (present?.status === flag && present.reason === reason) return;
    const condition = { type, status: flag, reason, message, lastProbeTime: now.text, lastTransitionTime: now.text };
    if (at === -1) conditions.push(condition);
    else conditions[at] = condition;
  };
  const wasSuspended = status.conditions?.some((one) => one.type === 'Suspended' && one.status === 'True') ?? false;
  if (verdict === undefined && spec.suspend && !wasSuspended) {
    set('Suspended', 'True', 'JobSuspended', 'Job suspended');
    delete status.startTime;
    events.push({ type: 'Normal', reason: 'Suspended', message: 'Job suspended' });
  } else if (verdict === undefined && !spec.suspend && wasSuspended) {
    set('Suspended', 'False', 'JobResumed', 'Job resumed');
    status.startTime = now.text;
    events.push({ type: 'Normal', reason: 'Resumed', message: 'Job resumed' });
  }
  if (!spec.suspend) status.startTime ??= now.text;
  status.succeeded = tally.succeeded;
  status.failed = tally.failed;
  status.ready = verdict === undefined ? active.filter(isPodReady).length : 0;
  const terminating = pods.filter(
    (pod) =>
      pod.metadata.deletionTimestamp !== undefined &&
      pod.status?.phase !== 'Succeeded' &&
      pod.status?.phase !== 'Failed',
  ).length;
  status.terminating = terminating + (verdict === undefined ? 0 : active.length);
  status.uncountedTerminatedPods = {};
  if (isIndexed(job)) {
    status.completedIndexes = formatIndexes(tally.completed);
    if (spec.backoffLimitPerIndex !== undefined) status.failedIndexes = formatIndexes(tally.failedIndexes);
  }
  if (verdict === undefined) return status;
  const { kind, reason, message } = verdict;
  set(kind === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget', 'True', reason, message);
  if (status.terminating === 0) {
    set(kind, 'True', reason, message);
    if (kind === 'Complete') {
      status.completionTime = now.text;
      events.push({ type: 'Normal', reason: 'Completed', message: 'Job completed' });
    } else events.push({ type: 'Warning', reason, message });
  }
  return status;
}

/** Zeros and empties that upstream leaves out. `ready` and `terminating` are pointers and stay. */
function tidy(status: JobStatus): void {
  for (const field of ['active', 'succeeded', 'failed'] as const) if (status[field] === 0) delete status[field];
  for (const field of ['completedIndexes', 'failedIndexes'] as const) if (status[field] === '') delete status[field];
  if (status.conditions?.length === 0) delete status.conditions;
}

function deadlineInMs(job: Job, status: JobStatus, nowMs: number): number | undefined {
  const { activeDeadlineSeconds, suspend } = job.spec;
  if (activeDeadlineSeconds === undefined || suspend || status.startTime === undefined) return undefined;
  return parseTimeMs(status.startTime) + activeDeadlineSeconds * 1000 - nowMs;
}
