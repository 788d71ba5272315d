import { type Clock, processMetrics } from '#base';
import type { QueuedPod } from './queue/scheduling-queue.ts';

/** `count` limits from `first`, each twice the one before: upstream's buckets. */
const doubling = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, power) => Number((first * 2 ** power).toPrecision(12)));

const metrics = {
  attempts: processMetrics.counter({
    name: 'scheduler_schedule_attempts_total',
    help: 'Attempts to schedule a pod by how they ended: scheduled, unschedulable, or error.',
    labels: ['result', 'profile'],
  }),
  attemptDuration: processMetrics.histogram({
    name: 'scheduler_scheduling_attempt_duration_seconds',
    help: 'Time of an attempt, the binding included.',
    labels: ['result', 'profile'],
    buckets: doubling(0.001, 15),
  }),
  algorithmDuration: processMetrics.histogram({
    name: 'scheduler_scheduling_algorithm_duration_seconds',
    help: 'Time that the choice of a node took.',
    buckets: doubling(0.001, 15),
  }),
  podDuration: processMetrics.histogram({
    name: 'scheduler_pod_scheduling_sli_duration_seconds',
    help: 'Time from when a pod was first seen until it was bound, by attempts.',
    labels: ['attempts'],
    buckets: doubling(0.01, 20),
  }),
  podAttempts: processMetrics.histogram({
    name: 'scheduler_pod_scheduling_attempts',
    help: 'Attempts that a pod needed until it was bound.',
    buckets: doubling(1, 5),
  }),
  pending: processMetrics.gauge({
    name: 'scheduler_pending_pods',
    help: 'Pods without a node: active (next), backoff (delayed), unschedulable (wait for a change), gated.',
    labels: ['queue'],
  }),
  preemptions: processMetrics.counter({
    name: 'scheduler_preemption_attempts_total',
    help: 'Times that room was made for a pod.',
  }),
  victims: processMetrics.histogram({
    name: 'scheduler_preemption_victims',
    help: 'Pods that were removed to make room for one.',
    buckets: doubling(1, 7),
  }),
  cacheSize: processMetrics.gauge({
    name: 'scheduler_cache_size',
    help: 'Nodes and pods that the scheduler knows.',
    labels: ['type'],
  }),
};

/** What a scheduler is asked when its metrics are read. */
export interface SchedulerGauges {
  readonly waiting: () => Readonly<Record<'active' | 'backoff' | 'unschedulable' | 'gated', number>>;
  readonly nodes: () => number;
}

const running = new Set<SchedulerGauges>();

processMetrics.onRead(() => {
  metrics.pending.clear();
  metrics.cacheSize.clear();
  for (const { waiting, nodes } of running) {
    for (const [queue, count] of Object.entries(waiting())) metrics.pending.add(count, queue);
    metrics.cacheSize.add(nodes(), 'nodes');
  }
});

/** Counts one scheduler's work under `scheduler_…`, profile its name. Schedulers of one process are counted together. */
export class SchedulerMetrics {
  readonly #clock: Clock;
  readonly #profile: string;
  readonly #gauges: SchedulerGauges;

  constructor(options: { readonly clock: Clock; readonly profile: string; readonly gauges: SchedulerGauges }) {
    this.#clock = options.clock;
    this.#profile = options.profile;
    this.#gauges = options.gauges;
    running.add(options.gauges);
  }

  decided(beganMs: number): void {
    metrics.algorithmDuration.observe((this.#clock.monotonicMs() - beganMs) / 1000);
  }

  ended(result: 'scheduled' | 'unschedulable' | 'error', queued: QueuedPod, beganMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    metrics.attempts.of(result, this.#profile).value++;
    metrics.attemptDuration.of(result, this.#profile).observe((nowMs - beganMs) / 1000);
    if (result !== 'scheduled') return;
    metrics.podAttempts.observe(queued.attempts);
    const attempts = queued.attempts < 16 ? String(queued.attempts) : '16+';
    metrics.podDuration.of(attempts).observe((nowMs - queued.addedMs) / 1000);
  }

  preempted(victims: number): void {
    metrics.preemptions.add(1);
    metrics.victims.observe(victims);
  }

  close(): void {
    running.delete(this.#gauges);
  }
}
