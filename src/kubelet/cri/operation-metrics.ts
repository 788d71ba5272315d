import { type Clock, processMetrics } from '#base';

const labels = ['operation_type'];
const all = processMetrics.counter({
  name: 'kubelet_runtime_operations_total',
  help: 'Calls to the container runtime.',
  labels,
});
const failed = processMetrics.counter({
  name: 'kubelet_runtime_operations_errors_total',
  help: 'Calls to the container runtime that failed.',
  labels,
});
const durations = processMetrics.histogram({
  name: 'kubelet_runtime_operations_duration_seconds',
  help: 'Time that calls to the container runtime took.',
  labels,
  // 5 ms, each 2.5 times the one before, as upstream.
  buckets: Array.from({ length: 14 }, (_, power) => Number((0.005 * 2.5 ** power).toPrecision(12))),
});

/** Counts one call, `ListPodSandbox` as upstream's `list_podsandbox`; the answer is told how it ended. */
export function measureOperation(method: string, clock: Clock): (succeeded: boolean) => void {
  const beganMs = clock.monotonicMs();
  const type = method
    .replace('PodSandbox', 'Podsandbox')
    .replace(/(?<!^)[A-Z]/g, (capital) => `_${capital}`)
    .toLowerCase();
  return (succeeded) => {
    all.of(type).value++;
    if (!succeeded) failed.of(type).value++;
    durations.of(type).observe((clock.monotonicMs() - beganMs) / 1000);
  };
}
