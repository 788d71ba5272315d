import { resource } from '#api';
import { RawConnection } from '../load/raw-http2.ts';
import type { Bench } from '../measurement.ts';
import { runLoad } from '../load/generator.ts';
import { answers, type ApiTarget, openApiTarget, until } from '../target/api-target.ts';
import { createEmptyNodes, smallPod } from '../target/empty-nodes.ts';
import { loadToken } from '../target/load-token.ts';
import { createNamespace, removeNamespace } from '../target/namespaces.ts';
import { cpuSeconds, residentMib } from '../target/process.ts';
import { startServerProcess } from '../target/server-process.ts';
import { sleepMs } from '../measurement.ts';

/** A control plane on LMDB in a process of its own (or one that a kubeconfig names) gets pods over TLS until all are bound. */
export const benchBigCluster: Bench = async ({ quick, kubeconfig }, report) => {
  const nodeCount = quick ? 200 : 1000;
  const podCount = quick ? 1000 : 5000;
  const server = kubeconfig === undefined ? await startServerProcess() : undefined;
  const api = await openApiTarget(kubeconfig ?? (server?.kubeconfig as string));
  const account = '/api/v1/namespaces/default/serviceaccounts/default';
  await until(() => answers(api, account), { limitMs: 60_000, what: 'the default ServiceAccount' });
  const namespace = `bench-pods-${Date.now().toString(36)}`;
  await createNamespace(api, namespace);
  const ownAccount = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
  await until(() => answers(api, ownAccount), { limitMs: 60_000, what: "the namespace's ServiceAccount" });
  const { token, revoke } = await loadToken(api, namespace);
  try {
    await createEmptyNodes(api.client, nodeCount, 60_000);
    const counter = await countBound(api, namespace, token);
    const create = () =>
      runLoad({
        server: api.server,
        method: 'POST',
        path: `/api/v1/namespaces/${namespace}/pods`,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...smallPod(namespace) }),
        connections: 16,
        streams: 8,
        requests: podCount,
      });
    const cpuBefore = server === undefined ? 0 : cpuSeconds(server.pid);
    const startMs = performance.now();
    const [{ generator }] = await Promise.all([create(), counter.reached(podCount, 60_000)]);
    report({
      name: `scheduling: create and bind ${podCount} pods on ${nodeCount} empty nodes, server process`,
      value: (podCount / (counter.lastMs - startMs)) * 1000,
      unit: 'pods/s',
      note: `first POST to last bound, over TLS, LMDB, ${generator}`,
    });
    if (server !== undefined) {
      const each = ((cpuSeconds(server.pid) - cpuBefore) / podCount) * 1e6;
      report({
        name: 'CPU: create and bind a pod',
        value: each,
        unit: 'µs',
        note: 'of the server process, all controllers',
      });
    }
    await Promise.all([create(), counter.reached(2 * podCount, 120_000)]);
    counter.close();
    if (server !== undefined) {
      await sleepMs(quick ? 2000 : 10_000);
      report({
        name: `memory: server process with ${nodeCount} nodes and ${2 * podCount} pods`,
        value: residentMib(server.pid),
        unit: 'MiB',
        note: 'store, API, controllers and scheduler; some seconds later',
      });
    }
  } finally {
    if (server === undefined) await remove(api, namespace, nodeCount);
    await revoke();
    await api.close();
    await server?.stop();
  }
};

/** Watches the pods and counts those that have a node. */
async function countBound(api: ApiTarget, namespace: string, token: string) {
  const connection = await RawConnection.open(api as { server: string });
  const bound = new Set<string>();
  let rest = '';
  const counter = {
    lastMs: 0,
    close: () => connection.close(),
    async reached(count: number, limitMs: number): Promise<void> {
      await until(async () => bound.size >= count, { limitMs, what: `${count} pods bound`, everyMs: 10 });
    },
  };
  await new Promise<void>((resolve) =>
    connection.send(
      {
        method: 'GET',
        path: `/api/v1/namespaces/${namespace}/pods?watch=true&resourceVersion=0`,
        headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
      },
      {
        onStatus: () => resolve(),
        onData(piece) {
          const lines = (rest + piece.toString('latin1')).split('\n');
          rest = lines.pop() as string;
          for (const line of lines) {
            if (!line.includes('"nodeName":"')) continue;
            bound.add(/"name":"(pod-[^"]+)"/.exec(line)?.[1] ?? '');
            counter.lastMs = performance.now();
          }
        },
        onEnd: () => {},
      },
    ),
  );
  return counter;
}

async function remove(api: ApiTarget, namespace: string, nodeCount: number): Promise<void> {
  await removeNamespace(api, namespace);
  for (let i = 0; i < nodeCount; i++) await api.client.delete(resource('v1', 'nodes'), `node-${i}`).catch(() => {});
}
