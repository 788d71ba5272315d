import { openApiLoad } from '../load/api-load.ts';
import { type LoadResult, perSecond } from '../load/generator.ts';
import type { Bench } from '../measurement.ts';
import { answers, openApiTarget, until } from '../target/api-target.ts';
import { cpuSeconds, listenerOf, residentMib } from '../target/process.ts';
import { startServerProcess } from '../target/server-process.ts';

const perRequest =
  'user and system time of the server process a request, all its threads; an etcd beside it not counted';

/** Requests over TLS and HTTP/2 to an API server in a process of its own: ours on LMDB, or any that a kubeconfig names. */
export const benchApi: Bench = async ({ quick, kubeconfig }, report) => {
  const server = kubeconfig === undefined ? await startServerProcess() : undefined;
  const api = await openApiTarget(kubeconfig ?? (server?.kubeconfig as string));
  await until(() => answers(api, '/readyz'), { limitMs: 20_000, what: '/readyz' });
  const load = await openApiLoad(api);
  const pid = server?.pid ?? listenerOf(Number(new URL(api.server).port));
  const seconds = quick ? 2 : 5;
  const more = quick ? 10_000 : 30_000;
  const row = async (name: string, how: string, run: () => Promise<LoadResult>): Promise<LoadResult> => {
    const before = pid === undefined ? 0 : cpuSeconds(pid);
    const result = await run();
    const each = pid === undefined ? undefined : ((cpuSeconds(pid) - before) / result.succeeded) * 1e6;
    const failed = result.failed === 0 ? '' : `, ${result.failed} failed`;
    const note = `${how}, ${result.generator}${failed}`;
    report({ name: `api: ${name}`, value: perSecond(result), unit: '/s', note });
    if (each !== undefined) report({ name: `CPU: ${name}`, value: each, unit: 'µs', note: perRequest });
    return result;
  };
  try {
    await row('create, the first 10,000', 'cold server, 16×8, durable', () => load.create('listed', 10_000));
    await row('create a small ConfigMap', `16×8, durable, ${more} more`, () => load.create('written', more));
    await row('get one object', '16×8', () => load.get(seconds));
    await row('list 500 of 10,000', '4×2, limit=500', () => load.listPage(seconds));
    const all = await row('list all 10,000', '4×1, resourceVersion=0', () => load.listAll(seconds));
    report({ name: 'api: list all 10,000, bytes', value: all.bytes / all.seconds / 1e6, unit: 'MB/s' });
    const name = 'api: memory of the server after that';
    if (pid === undefined) report({ name, skipped: 'its process cannot be seen from here' });
    else report({ name, value: residentMib(pid), unit: 'MiB', note: `${10_000 + more} ConfigMaps` });
  } finally {
    if (server === undefined) await load.remove();
    await api.close();
    await server?.stop();
  }
};
