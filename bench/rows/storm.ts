import { perSecond } from '../load/generator.ts';
import { openApiLoad } from '../load/api-load.ts';
import type { Bench } from '../measurement.ts';
import { answers, openApiTarget, until } from '../target/api-target.ts';
import { startServerProcess } from '../target/server-process.ts';

/** What whole lists of 50,000 objects, four at a time without a pause, do to everyone else: the delay of the server's event loop. */
export const benchStorm: Bench = async ({ quick }, report) => {
  const objects = quick ? 10_000 : 50_000;
  const seconds = quick ? 3 : 10;
  const server = await startServerProcess({ instrumented: true });
  const api = await openApiTarget(server.kubeconfig);
  await until(() => answers(api, '/readyz'), { limitMs: 20_000, what: '/readyz' });
  const load = await openApiLoad(api);
  await load.create('listed', objects);
  await server.eventLoopDelay();
  const lists = await load.listAll(seconds);
  const { p99Ms, maxMs } = await server.eventLoopDelay();
  const name = `event loop: storm of lists of ${objects.toLocaleString('en')} objects`;
  const note = `4×1 for ${seconds} s, ${perSecond(lists).toFixed(1)} lists/s, ${Math.round(lists.bytes / lists.seconds / 1e6)} MB/s, in the server process`;
  report({ name: `${name}, p99 delay`, value: p99Ms, unit: 'ms', note });
  report({ name: `${name}, longest delay`, value: maxMs, unit: 'ms', note });
  await api.close();
  await server.stop();
};
