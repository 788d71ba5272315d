import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { eventually, Machine, run } from './harness.ts';

/** Upstream's own client for Node, as any program would use it. */
const k8s = createRequire(new URL('../tools/package.json', import.meta.url))(
  '@kubernetes/client-node',
) as typeof import('../tools/node_modules/@kubernetes/client-node/dist/index.js');

const machine = new Machine('e2e-library');

type ConfigMap = import('../tools/node_modules/@kubernetes/client-node/dist/index.js').V1ConfigMap;

async function serverPid(): Promise<number> {
  const { stdout } = await machine.k8ts('status', '--name', machine.name, '-o', 'json');
  const { processes } = JSON.parse(stdout) as { processes: { name: string; pid: number }[] };
  const found = processes.find((one) => one.name === 'server');
  assert.ok(found, stdout);
  return found.pid;
}

describe("upstream's client library", () => {
  const config = new k8s.KubeConfig();
  before(async () => {
    await run('ip', ['link', 'set', 'lo', 'up']);
    await machine.up('--nodes', '0', '--simulate', '2');
    config.loadFromFile(machine.env.KUBECONFIG as string);
  });
  after(() => machine.remove());

  test('creates, reads, lists, patches, replaces and deletes', async () => {
    const core = config.makeApiClient(k8s.CoreV1Api);
    const namespace = 'default';
    const made = await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: 'one', labels: { set: 'a' } }, data: { colour: 'blue' } },
    });
    assert.equal(made.data?.colour, 'blue');
    await assert.rejects(
      core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'one' } } }),
      (error: { code: number; body: string }) =>
        error.code === 409 && error.body.includes('configmaps \\"one\\" already exists'),
    );
    const patched = await core.patchNamespacedConfigMap(
      { namespace, name: 'one', body: [{ op: 'add', path: '/data/size', value: '3' }] },
      k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.JsonPatch),
    );
    assert.deepEqual(patched.data, { colour: 'blue', size: '3' });
    const replaced = await core.replaceNamespacedConfigMap({ namespace, name: 'one', body: { ...patched, data: {} } });
    assert.deepEqual(replaced.data ?? {}, {});
    await assert.rejects(
      core.replaceNamespacedConfigMap({ namespace, name: 'one', body: patched }),
      (error: { code: number }) => error.code === 409,
    );
    const list = await core.listNamespacedConfigMap({ namespace, labelSelector: 'set=a' });
    assert.deepEqual(
      list.items.map((one) => one.metadata?.name),
      ['one'],
    );
    await core.deleteNamespacedConfigMap({ namespace, name: 'one' });
    await assert.rejects(
      core.readNamespacedConfigMap({ namespace, name: 'one' }),
      (error: { code: number }) => error.code === 404,
    );
  });

  test('objects of any kind, by their own apiVersion and kind', async () => {
    const objects = k8s.KubernetesObjectApi.makeApiClient(config);
    const body = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        replicas: 3,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name: 'web', image: 'k8ts.test/web:1' }] },
        },
      },
    };
    await objects.create(body);
    const apps = config.makeApiClient(k8s.AppsV1Api);
    await eventually('three replicas are available', async () => {
      const { status } = await apps.readNamespacedDeployment({ name: 'web', namespace: 'default' });
      return status?.availableReplicas === 3;
    });
    const scaled = await objects.patch(
      { ...body, spec: { ...body.spec, replicas: 1 } },
      undefined,
      undefined,
      'library',
      true,
      k8s.PatchStrategy.ServerSideApply,
    );
    assert.equal((scaled as typeof body).spec.replicas, 1);
    await objects.delete(body);
  });

  test('watch: events in order, from a version', async () => {
    const core = config.makeApiClient(k8s.CoreV1Api);
    const { metadata } = await core.listNamespacedConfigMap({ namespace: 'default' });
    const events: string[] = [];
    const watching = await new k8s.Watch(config).watch(
      '/api/v1/namespaces/default/configmaps',
      { resourceVersion: metadata?.resourceVersion },
      (phase: string, object: ConfigMap) => void events.push(`${phase} ${object.metadata?.name}`),
      () => {},
    );
    try {
      for (const name of ['w1', 'w2']) {
        await core.createNamespacedConfigMap({ namespace: 'default', body: { metadata: { name } } });
      }
      await core.deleteNamespacedConfigMap({ namespace: 'default', name: 'w1' });
      await eventually('three events', async () => events.length >= 3, 10_000);
      assert.deepEqual(events, ['ADDED w1', 'ADDED w2', 'DELETED w1']);
    } finally {
      watching.abort();
    }
    await core.deleteNamespacedConfigMap({ namespace: 'default', name: 'w2' });
  });

  test('an informer loses nothing while the server is killed and started again', async (t) => {
    const core = config.makeApiClient(k8s.CoreV1Api);
    const namespace = 'informed';
    await core.createNamespace({ body: { metadata: { name: namespace } } });
    /** What each object's history must contain, as far as the server acknowledged it. */
    const written = new Map<string, string>();
    const seen = new Map<string, string>();
    const deleted = new Set<string>();
    const everSeen = new Set<string>();
    const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () =>
      core.listNamespacedConfigMap({ namespace }),
    );
    const isOurs = (one: ConfigMap): boolean => one.metadata?.name?.startsWith('object-') === true;
    const note = (one: ConfigMap): void => {
      if (!isOurs(one)) return;
      const name = one.metadata?.name ?? '';
      const before = Number(seen.get(name) ?? 0);
      const now = Number(one.data?.turn ?? 0);
      assert.ok(now >= before, `${name} went back from ${before} to ${now}`);
      seen.set(name, String(now));
      everSeen.add(name);
    };
    informer.on('add', note);
    informer.on('update', note);
    informer.on('delete', (one: ConfigMap) => {
      deleted.add(one.metadata?.name ?? '');
      seen.delete(one.metadata?.name ?? '');
    });
    let ended = false;
    // Also when it fails: nothing goes on trying for ever.
    t.after(() => {
      ended = true;
    });
    let breaks = 0;
    informer.on('error', () => {
      breaks++;
      if (!ended) setTimeout(() => void informer.start().catch(() => {}), 200);
    });
    await informer.start();

    /** Tries until the server says yes, or says that an earlier try that was cut off had been done. */
    const persist = async (attempt: () => Promise<unknown>, doneCode: number): Promise<void> => {
      for (;;) {
        try {
          await attempt();
          return;
        } catch (error) {
          if (ended || (error as { code?: unknown }).code === doneCode) return;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    };
    let index = 0;
    const gone: string[] = [];
    const writer = (async () => {
      while (!ended) {
        const name = `object-${index++}`;
        const metadata = { name };
        await persist(
          () => core.createNamespacedConfigMap({ namespace, body: { metadata, data: { turn: '1' } } }),
          409,
        );
        written.set(name, '1');
        if (index % 2 === 0) {
          await persist(
            () => core.replaceNamespacedConfigMap({ namespace, name, body: { metadata, data: { turn: '2' } } }),
            0,
          );
          written.set(name, '2');
        }
        if (index % 5 === 0) {
          const old = `object-${index - 5}`;
          await persist(() => core.deleteNamespacedConfigMap({ namespace, name: old }), 404);
          written.delete(old);
          gone.push(old);
        }
      }
    })();

    for (let round = 0; round < 2; round++) {
      const from = index;
      await eventually('objects are written', async () => index >= from + 25);
      process.kill(await serverPid(), 'SIGKILL');
      await machine.up('--nodes', '0');
      config.loadFromFile(machine.env.KUBECONFIG as string);
    }
    const from = index;
    await eventually('objects are written after the last start', async () => index >= from + 10);
    ended = true;
    await writer;

    const final = await core.listNamespacedConfigMap({ namespace });
    assert.deepEqual(
      final.items
        .filter(isOurs)
        .map((one) => `${one.metadata?.name} ${one.data?.turn}`)
        .sort(),
      [...written].map(([name, turn]) => `${name} ${turn}`).sort(),
      'the server lost or invented something',
    );
    await eventually(
      'the informer knows what the server knows',
      async () => seen.size === written.size && [...written].every(([name, turn]) => seen.get(name) === turn),
      30_000,
    );
    assert.deepEqual(
      informer
        .list()
        .filter(isOurs)
        .map((one) => `${one.metadata?.name} ${one.data?.turn}`)
        .sort(),
      [...written].map(([name, turn]) => `${name} ${turn}`).sort(),
    );
    assert.deepEqual(
      [...written.keys(), ...gone].filter((name) => !everSeen.has(name)),
      [],
      'objects that the informer never saw',
    );
    assert.deepEqual(
      gone.filter((name) => !deleted.has(name)),
      [],
      'deletions that the informer never saw',
    );
    assert.ok(breaks > 0, 'the informer was never interrupted');
    t.diagnostic(`${index} objects, ${gone.length} deleted again, two kills; the informer was cut off ${breaks} times`);
    await informer.stop();
  });
});
