import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock, seededRandom, silentLog } from '#base';
import { type KubeObject, resource, type WatchEvent } from '#api';
import { errExpired } from '#machinery';
import type { Client } from './contract.ts';
import { openInformers } from './informers.ts';

const pods = resource('v1', 'pods');

/** A list and its watches, played by the test: `push` sends an event, `fail` breaks the present watch. */
function source(initial: KubeObject[] = [], version = '10') {
  let items = initial;
  let listVersion = version;
  let queue: (WatchEvent | Error)[] = [];
  let wake: () => void = () => {};
  const asked: string[] = [];
  const client = {
    async list() {
      asked.push('list');
      return { apiVersion: 'v1', kind: 'PodList', metadata: { resourceVersion: listVersion }, items };
    },
    async *watch(_: unknown, { resourceVersion, signal }: { resourceVersion?: string; signal?: AbortSignal }) {
      asked.push(`watch ${resourceVersion}`);
      for (;;) {
        const next = queue.shift();
        if (next instanceof Error) throw next;
        if (next !== undefined) yield next;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
            signal?.addEventListener('abort', () => resolve(), { once: true });
          });
          if (signal?.aborted) return;
        }
      }
    },
  } as unknown as Client;
  return {
    asked,
    client,
    push(...events: (WatchEvent | Error)[]) {
      queue.push(...events);
      wake();
    },
    relist(next: KubeObject[], nextVersion: string) {
      items = next;
      listVersion = nextVersion;
      queue = [];
    },
  };
}

const pod = (name: string, version: number, uid = name, labels: Record<string, string> = {}): KubeObject =>
  Object.freeze({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'x', name, uid, resourceVersion: String(version), labels, creationTimestamp: '' },
  });
const event = (type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK', object: KubeObject): WatchEvent => ({
  type,
  object,
});

function open(from: ReturnType<typeof source>) {
  const clock = new ManualClock();
  const informers = openInformers({ client: from.client, clock, random: seededRandom(1), log: silentLog });
  const informer = informers.of<KubeObject>(pods, {
    indexes: { app: ({ metadata }) => (metadata.labels?.app ? [metadata.labels.app] : []) },
  });
  const seen: string[] = [];
  informer.onChange(({ type, object }) =>
    seen.push(`${type} ${object.metadata.name} ${object.metadata.resourceVersion}`),
  );
  return { clock, informers, informer, seen };
}

test('list, then events in order; frozen objects are kept as they are', async () => {
  const first = pod('a', 5);
  const from = source([first]);
  const { clock, informer, informers, seen } = open(from);
  await informer.synced;
  assert.equal(informer.get('x', 'a'), first);
  from.push(
    event('ADDED', pod('b', 11, 'b', { app: 'web' })),
    event('MODIFIED', pod('a', 12)),
    event('DELETED', pod('a', 13)),
  );
  await clock.advance(0);
  assert.deepEqual(seen, ['added a 5', 'added b 11', 'updated a 12', 'deleted a 13']);
  assert.deepEqual(
    informer.byIndex('app', 'web').map((one) => one.metadata.name),
    ['b'],
  );
  const late: string[] = [];
  informer.onChange(({ type, object }) => late.push(`${type} ${object.metadata.name}`));
  assert.deepEqual(late, ['added b']);
  assert.equal(informers.of(pods).get('x', 'b'), informer.get('x', 'b'), 'shared');
  informers.close();
});

test('a broken watch goes on from the last version, bookmarks included; 410 lists anew and finds what was deleted', async () => {
  const from = source([pod('a', 5), pod('b', 6)]);
  const { clock, informer, informers, seen } = open(from);
  await informer.synced;
  from.push(event('BOOKMARK', pod('', 20)), new Error('connection lost'));
  await clock.advance(1000);
  assert.deepEqual(from.asked, ['list', 'watch 10', 'watch 20']);
  from.relist([pod('b', 6), pod('c', 30)], '31');
  seen.length = 0;
  from.push(errExpired('too old'));
  await clock.advance(1000);
  assert.deepEqual(from.asked.slice(3), ['list', 'watch 31']);
  assert.deepEqual(seen, ['added c 30', 'deleted a 5']);
  informers.close();
});

test('an object deleted and made again under its name: a deletion and an addition', async () => {
  const from = source([pod('a', 5, 'u1')]);
  const { clock, informer, informers, seen } = open(from);
  await informer.synced;
  from.relist([pod('a', 40, 'u2')], '41');
  from.push(errExpired('too old'));
  await clock.advance(1000);
  assert.deepEqual(seen, ['added a 5', 'deleted a 5', 'added a 40']);
  informers.close();
});

test('observe: own writes show at once, their events are passed over, old answers are ignored', async () => {
  const from = source([pod('a', 5)]);
  const { clock, informer, informers, seen } = open(from);
  await informer.synced;
  seen.length = 0;
  informer.observe(pod('a', 12));
  informer.observe(pod('b', 13));
  informer.observe(pod('a', 11));
  assert.deepEqual(seen.splice(0), ['updated a 12', 'added b 13']);
  from.push(
    event('MODIFIED', pod('a', 11)),
    event('MODIFIED', pod('a', 12)),
    event('ADDED', pod('b', 13)),
    event('DELETED', pod('b', 14)),
  );
  await clock.advance(0);
  assert.deepEqual(seen.splice(0), ['deleted b 14']);
  informer.observe(pod('b', 13));
  assert.equal(informer.get('x', 'b'), undefined, 'what was seen deleted stays deleted');
  assert.equal(informer.get('x', 'a')?.metadata.resourceVersion, '12');
  informers.close();
});

test('whatever the order of answers and events, the end is the server’s state', async () => {
  const step = fc.record({
    name: fc.constantFrom('a', 'b', 'c'),
    verb: fc.constantFrom('write', 'delete'),
    observeAfter: fc.nat(4),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const from = source([], '10');
      const { clock, informer, informers } = open(from);
      await informer.synced;
      const truth = new Map<string, KubeObject>();
      const answers: { at: number; object: KubeObject }[] = [];
      for (const [i, { name, verb, observeAfter }] of steps.entries()) {
        const old = truth.get(name);
        const version = 11 + i;
        if (verb === 'write') {
          const object = pod(name, version, old?.metadata.uid ?? `${name}-${version}`);
          truth.set(name, object);
          answers.push({ at: i + observeAfter, object });
          from.push(event(old === undefined ? 'ADDED' : 'MODIFIED', object));
        } else if (old !== undefined) {
          truth.delete(name);
          from.push(event('DELETED', pod(name, version, old.metadata.uid)));
        }
        for (const answer of answers.filter((one) => one.at === i)) informer.observe(answer.object);
        if (i % 3 === 0) await clock.advance(0);
      }
      for (const answer of answers) informer.observe(answer.object);
      await clock.advance(0);
      for (const answer of answers) informer.observe(answer.object);
      const names = (objects: Iterable<KubeObject>): string[] =>
        [...objects].map((one) => `${one.metadata.uid}@${one.metadata.resourceVersion}`).sort();
      assert.deepEqual(names(informer.list()), names(truth.values()));
      informers.close();
    }),
    { numRuns: 100 },
  );
});

test('an informer of references keeps who refers to whom and nothing else, unless whole objects are kept anyway', async () => {
  const owner = { apiVersion: 'v1', kind: 'Pod', name: 'a', uid: 'a' };
  const owned = { ...pod('b', 2), spec: { large: true } } as KubeObject;
  const partial = {
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { ...pod('a', 1).metadata, finalizers: ['x/y'], managedFields: [{ manager: 'm' }] },
  } as unknown as KubeObject;
  const from = source([partial]);
  const informers = openInformers({
    client: from.client,
    clock: new ManualClock(),
    random: seededRandom(1),
    log: silentLog,
  });
  const slim = informers.of<KubeObject>(pods, { only: 'references' });
  await slim.synced;
  const seen: unknown[] = [];
  slim.onChange(({ type, object }) => seen.push([type, object]));
  const metadata = { name: 'a', uid: 'a', resourceVersion: '1', namespace: 'x', finalizers: ['x/y'] };
  assert.deepEqual(seen, [['added', { apiVersion: 'v1', kind: 'Pod', metadata }]]);
  slim.observe({ ...owned, metadata: { ...owned.metadata, resourceVersion: '12', ownerReferences: [owner] } });
  assert.deepEqual(slim.get('x', 'b'), {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'b', uid: 'b', resourceVersion: '12', namespace: 'x', ownerReferences: [owner] },
  });
  const whole = informers.of<KubeObject>(pods);
  await whole.synced;
  const shared = informers.of<KubeObject>(pods, { only: 'references' });
  assert.equal(shared.get('x', 'a'), whole.get('x', 'a'));
  assert.equal(from.asked.filter((one) => one === 'list').length, 2);
  informers.close();
});
