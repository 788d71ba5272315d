import { runLoadFile } from '../load/child.ts';
import type { WatchLoadResult } from '../load/watch-load.ts';
import type { Bench } from '../measurement.ts';
import { answers, openApiTarget, until } from '../target/api-target.ts';
import { loadToken } from '../target/load-token.ts';
import { createNamespace, removeNamespace } from '../target/namespaces.ts';
import { startServerProcess } from '../target/server-process.ts';

/** Many watchers of one kind over TLS and HTTP/2 while one writer creates objects at a steady pace. */
export const benchWatch: Bench = async ({ quick, kubeconfig }, report) => {
  const server = kubeconfig === undefined ? await startServerProcess() : undefined;
  const api = await openApiTarget(kubeconfig ?? (server?.kubeconfig as string));
  await until(() => answers(api, '/readyz'), { limitMs: 20_000, what: '/readyz' });
  const seconds = quick ? 2 : 10;
  try {
    for (const [watchers, writesPerSecond] of [
      [100, 100],
      [1000, 100],
    ] as const) {
      const namespace = `bench-watch-${watchers}-${Date.now().toString(36)}`;
      await createNamespace(api, namespace);
      const { token, revoke } = await loadToken(api, namespace);
      const result = await runLoadFile<WatchLoadResult>('watch-load.ts', {
        server: api.server,
        ca: api.ca,
        headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
        ...{ namespace, watchers, writesPerSecond, seconds },
      });
      const name = `watch: ${watchers} watchers, ${writesPerSecond} writes/s`;
      const note = `${seconds} s, own generator at ${Math.round(result.generatorLoad * 100)} % of a core`;
      const lost = result.expected - result.delivered;
      const wrong = lost + result.outOfOrder + result.ended;
      report({
        name: `${name}, events lost or out of order`,
        value: wrong,
        unit: 'events',
        note: `of ${result.expected}: ${lost} not there after 10 s, ${result.outOfOrder} out of order, ${result.ended} watches ended`,
      });
      report({ name: `${name}, p50`, value: result.p50Ms, unit: 'ms', note });
      report({ name: `${name}, p99`, value: result.p99Ms, unit: 'ms', note });
      await removeNamespace(api, namespace);
      await revoke();
    }
  } finally {
    await api.close();
    await server?.stop();
  }
};
