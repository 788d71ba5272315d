import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Ingress, type IngressClass, ingressControllerName, resource } from '#api';
import { silentLog, systemClock, systemRandom } from '#base';
import { startCluster } from '../../testkit/index.ts';
import { startIngressSupervisor } from './supervisor.ts';

const cluster = await startCluster({ controllers: [], scheduler: false, nodes: 0 });
const { client } = cluster;
const folder = mkdtempSync(join(tmpdir(), 'k8ts-supervisor-'));
/** Writes its number, and when told to, ends as the real one does: with 0, or by a signal. */
const program = `
  const { appendFileSync, existsSync } = require('node:fs');
  appendFileSync('${folder}/pids', process.pid + '\\n');
  process.on('SIGTERM', () => { appendFileSync('${folder}/terminated', process.pid + '\\n'); process.exit(0); });
  process.stdin.on('end', () => appendFileSync('${folder}/orphaned', 'x')).resume();
`;
const lines = (name: string): string[] => {
  const file = join(folder, name);
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
};
const supervisor = startIngressSupervisor({
  client,
  command: [process.execPath, '-e', program],
  clock: systemClock,
  random: systemRandom,
  log: silentLog,
});
after(async () => {
  await supervisor.close();
  await cluster.close();
  rmSync(folder, { recursive: true, force: true });
});

async function until(what: string, ask: () => boolean): Promise<void> {
  const endMs = performance.now() + 30_000;
  while (!ask()) {
    assert.ok(performance.now() < endMs, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('a process while there is an Ingress of our class; another when it dies; none after close', async () => {
  const ingresses = resource('networking.k8s.io/v1', 'ingresses');
  const ingress = (name: string, ingressClassName: string): Promise<Ingress> =>
    client.create<Ingress>(ingresses, {
      metadata: { name, namespace: 'default' },
      spec: { ingressClassName, defaultBackend: { service: { name: 'web', port: { number: 80 } } } },
    } as never);
  await client.create<IngressClass>(resource('networking.k8s.io/v1', 'ingressclasses'), {
    metadata: { name: 'own' },
    spec: { controller: ingressControllerName },
  } as never);
  await ingress('foreign', 'foreign');
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.deepEqual(lines('pids'), []);
  await ingress('own', 'own');
  await until('a process', () => lines('pids').length === 1);
  process.kill(Number(lines('pids')[0]), 'SIGKILL');
  await until('another one', () => lines('pids').length === 2);

  await client.delete(ingresses, 'own', { namespace: 'default' });
  process.kill(Number(lines('pids')[1]), 'SIGTERM');
  await until('it ended by itself', () => lines('terminated').length === 1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(lines('pids').length, 2, 'nothing to serve, no process');
  await ingress('again', 'own');
  await until('a process again', () => lines('pids').length === 3);

  await supervisor.close();
  assert.deepEqual(lines('terminated').at(-1), lines('pids').at(-1));
  assert.throws(() => process.kill(Number(lines('pids').at(-1)), 0), /ESRCH/);
});
