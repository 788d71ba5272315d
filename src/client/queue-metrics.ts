import { type Clock, processMetrics } from '#base';

/** What one queue tells of its keys. */
export interface QueueMeasures {
  added(key: string): void;
  retried(): void;
  taken(key: string): void;
  done(key: string): void;
  close(): void;
}

interface Measured {
  readonly name: string;
  readonly clock: Clock;
  readonly depth: () => number;
  /** Since when keys are being worked on. */
  readonly working: ReadonlyMap<string, number>;
}

/** 1 µs to 1000 s, as upstream. */
const buckets = Array.from({ length: 10 }, (_, power) => Number(`1e${power - 6}`));
const labels = ['name'];
/** Keys whose times are kept: a queue that is longer still counts, but the time that the newest wait is not measured. */
const mostTimed = 10_000;

const metrics = {
  depth: processMetrics.gauge({ name: 'workqueue_depth', help: 'Keys that wait in a queue now.', labels }),
  adds: processMetrics.counter({ name: 'workqueue_adds_total', help: 'Keys that were added to a queue.', labels }),
  retries: processMetrics.counter({
    name: 'workqueue_retries_total',
    help: 'Keys whose work failed and that were added again.',
    labels,
  }),
  queued: processMetrics.histogram({
    name: 'workqueue_queue_duration_seconds',
    help: 'Time that keys waited in a queue.',
    labels,
    buckets,
  }),
  worked: processMetrics.histogram({
    name: 'workqueue_work_duration_seconds',
    help: 'Time that the work on a key took.',
    labels,
    buckets,
  }),
  unfinished: processMetrics.gauge({
    name: 'workqueue_unfinished_work_seconds',
    help: 'Time that the work on keys which is going on has taken so far, all together: if it grows steadily, work is stuck.',
    labels,
  }),
  longest: processMetrics.gauge({
    name: 'workqueue_longest_running_processor_seconds',
    help: 'Time that the oldest work which is going on has taken so far.',
    labels,
  }),
};

const queues = new Set<Measured>();

processMetrics.onRead(() => {
  for (const gauge of [metrics.depth, metrics.unfinished, metrics.longest]) gauge.clear();
  for (const { name, clock, depth, working } of queues) {
    metrics.depth.add(depth(), name);
    const nowMs = clock.monotonicMs();
    let [all, oldest] = [0, 0];
    for (const sinceMs of working.values()) {
      all += nowMs - sinceMs;
      oldest = Math.max(oldest, nowMs - sinceMs);
    }
    metrics.unfinished.add(all / 1000, name);
    const longest = metrics.longest.of(name);
    longest.value = Math.max(longest.value, oldest / 1000);
  }
});

/** Measures a queue under `workqueue_…{name}` until it is closed. Queues of one name are counted together. */
export function measureQueue(name: string, clock: Clock, depth: () => number): QueueMeasures {
  const added = new Map<string, number>();
  const working = new Map<string, number>();
  const measured: Measured = { name, clock, depth, working };
  queues.add(measured);
  const series = {
    adds: metrics.adds.of(name),
    retries: metrics.retries.of(name),
    queued: metrics.queued.of(name),
    worked: metrics.worked.of(name),
  };
  return {
    added(key) {
      // Added while it was worked on, it waits already.
      if (added.has(key)) return;
      series.adds.value++;
      if (added.size < mostTimed) added.set(key, clock.monotonicMs());
    },
    retried() {
      series.retries.value++;
    },
    taken(key) {
      const nowMs = clock.monotonicMs();
      const sinceMs = added.get(key);
      if (sinceMs !== undefined) {
        added.delete(key);
        series.queued.observe((nowMs - sinceMs) / 1000);
      }
      working.set(key, nowMs);
    },
    done(key) {
      const sinceMs = working.get(key);
      if (sinceMs === undefined) return;
      working.delete(key);
      series.worked.observe((clock.monotonicMs() - sinceMs) / 1000);
    },
    close() {
      queues.delete(measured);
      added.clear();
    },
  };
}
