/**
 * `k8ts server` with a watch on its event loop and a profiler: `node bench/target/instrumented-server.ts CONFIG`, started with an
 * IPC channel. Every message is answered.
 */
import { Session } from 'node:inspector/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { runServer } from '#assembly';

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const session = new Session();
session.connect();

const answers: Readonly<Record<string, () => unknown>> = {
  eventLoopDelay() {
    const answer = { p99Ms: delay.percentile(99) / 1e6, maxMs: delay.max / 1e6 };
    delay.reset();
    return answer;
  },
  memoryUsage() {
    (globalThis as { gc?: () => void }).gc?.();
    return inMib(process.memoryUsage());
  },
  async startProfile() {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: 1000 });
    return session.post('Profiler.start');
  },
  startAllocations: () =>
    session.post('HeapProfiler.startSampling', {
      samplingInterval: 16_384,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    }),
  stopAllocations: async () => (await session.post('HeapProfiler.stopSampling')).profile,
  stopProfile: async () => (await session.post('Profiler.stop')).profile,
};
function inMib(usage: NodeJS.MemoryUsage): Record<string, number> {
  return Object.fromEntries(Object.entries(usage).map(([name, bytes]) => [name, Math.round(bytes / 2 ** 20)]));
}

process.on('message', async (question: string) => process.send?.((await answers[question]?.()) ?? {}));
process.channel?.unref();
await runServer(process.argv[2] as string);
