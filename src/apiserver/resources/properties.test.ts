import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '#base';
import { type Json, type TestServer, testServer } from '../test-server.ts';

const limit = { timeout: 120_000 };
const seeds = [1, 2, 3];
const namespaces = ['default', 'kube-system', 'kube-public'];
const path = (namespace: string, name = ''): string =>
  `/api/v1/namespaces/${namespace}/configmaps${name === '' ? '' : `/${name}`}`;
const pick = <T>(random: Random, values: readonly T[]): T => values[random.int(values.length)] as T;
const keyOf = (object: Json): string => `${object.metadata.namespace}/${object.metadata.name}`;

type Labels = Record<string, string>;

/** One change of the store: what is there after it, nothing when the object went. */
interface Moment {
  readonly revision: number;
  readonly key: string;
  readonly labels: Labels | undefined;
}

function randomLabels(random: Random): Labels {
  const labels: Labels = {};
  for (const key of ['app', 'tier', 'constructor']) if (random.int(3) > 0) labels[key] = String(random.int(4));
  return labels;
}

/** A server with a history of random creations, changes and deletions, and that history as it was answered. */
async function writer(server: TestServer, random: Random) {
  const now = new Map<string, Labels>();
  const history: Moment[] = [];
  const step = async (): Promise<void> => {
    const [namespace, name] = [pick(random, namespaces), `c${random.int(25)}`];
    const key = `${namespace}/${name}`;
    const labels = randomLabels(random);
    let answer: Json;
    if (!now.has(key)) answer = await server.ask('POST', path(namespace), { metadata: { name, labels } });
    else if (random.int(3) === 0) answer = await server.ask('DELETE', path(namespace, name));
    else {
      const data = { n: String(history.length) };
      answer = await server.ask('PUT', path(namespace, name), { metadata: { name, labels }, data });
    }
    assert.ok(answer.status < 300, JSON.stringify(answer.body));
    const gone = answer.body.kind === 'Status';
    if (gone) now.delete(key);
    else now.set(key, labels);
    // A deletion's answer names no revision: a read of nothing does.
    const { body } = gone ? await server.ask('GET', `${path('default')}?limit=1`) : answer;
    history.push({ revision: Number(body.metadata.resourceVersion), key, labels: gone ? undefined : labels });
  };
  return { now, history, step };
}

interface Selector {
  readonly text: string;
  holds(labels: Labels): boolean;
}

/** A random selector and what it means, said in the plainest way. */
function randomSelector(random: Random): Selector {
  const parts = Array.from({ length: random.int(4) }, (): Selector => {
    const key = pick(random, ['app', 'tier', 'constructor', 'none']);
    const values = Array.from({ length: 1 + random.int(3) }, () => String(random.int(5)));
    const value = values[0] as string;
    const has = (labels: Labels): boolean => Object.keys(labels).includes(key);
    const among = (labels: Labels, all: readonly string[]): boolean =>
      has(labels) && all.includes(labels[key] as string);
    return pick<Selector>(random, [
      { text: `${key}=${value}`, holds: (labels) => among(labels, [value]) },
      { text: `${key}==${value}`, holds: (labels) => among(labels, [value]) },
      { text: `${key}!=${value}`, holds: (labels) => !among(labels, [value]) },
      { text: `${key} in (${values.join(',')})`, holds: (labels) => among(labels, values) },
      { text: `${key} notin (${values.join(',')})`, holds: (labels) => !among(labels, values) },
      { text: key, holds: has },
      { text: `!${key}`, holds: (labels) => !has(labels) },
      { text: `${key}>${value}`, holds: (labels) => has(labels) && Number(labels[key]) > Number(value) },
      { text: `${key}<${value}`, holds: (labels) => has(labels) && Number(labels[key]) < Number(value) },
    ]);
  });
  return {
    text: parts.map((one) => one.text).join(','),
    holds: (labels) => parts.every((one) => one.holds(labels)),
  };
}

test('selectors find what a look at every object finds', limit, async () => {
  for (const seed of seeds) {
    await using server = await testServer();
    const random = seededRandom(seed);
    const { now, step } = await writer(server, random);
    for (let i = 0; i < 80; i++) await step();
    for (let i = 0; i < 150; i++) {
      const selector = randomSelector(random);
      const fields = pick(random, [
        { text: '', holds: () => true },
        { text: 'metadata.name=c3', holds: (key: string) => key.endsWith('/c3') },
        {
          text: 'metadata.name!=c3,metadata.namespace!=default',
          holds: (key: string) => !key.endsWith('/c3') && !key.startsWith('default/'),
        },
        { text: 'metadata.namespace=kube-public', holds: (key: string) => key.startsWith('kube-public/') },
      ]);
      const target = `/api/v1/configmaps?labelSelector=${encodeURIComponent(selector.text)}&fieldSelector=${encodeURIComponent(fields.text)}`;
      const { body } = await server.ask('GET', target);
      const wanted = [...now]
        .filter(([key, labels]) => selector.holds(labels) && fields.holds(key))
        .map(([key]) => key);
      assert.deepEqual(body.items.map(keyOf), wanted.sort(), `${seed}: ${target}`);
    }
  }
});

test('paging under writes shows one moment: nothing lost, nothing twice', limit, async () => {
  for (const seed of seeds) {
    await using server = await testServer();
    const random = seededRandom(seed);
    const { now, step } = await writer(server, random);
    for (let i = 0; i < 60; i++) await step();
    for (let round = 0; round < 12; round++) {
      const selector = randomSelector(random);
      const size = 1 + random.int(9);
      const wanted = [...now].filter(([, labels]) => selector.holds(labels)).map(([key]) => key);
      const seen: string[] = [];
      const revisions = new Set<string>();
      for (let token = ''; ; ) {
        const target = `/api/v1/configmaps?limit=${size}&labelSelector=${encodeURIComponent(selector.text)}&continue=${encodeURIComponent(token)}`;
        const { status, body } = await server.ask('GET', target);
        assert.equal(status, 200, JSON.stringify(body));
        assert.ok(body.items.length <= size);
        seen.push(...body.items.map(keyOf));
        revisions.add(body.metadata.resourceVersion);
        token = body.metadata.continue ?? '';
        if (token === '') break;
        for (let i = random.int(4); i > 0; i--) await step();
      }
      assert.deepEqual(seen, wanted.sort(), `${seed}: ${selector.text} by ${size}`);
      assert.equal(revisions.size, 1);
    }
  }
});

interface Watch {
  readonly selector: Selector;
  readonly namespace: string;
  /** '' for all. */
  readonly name: string;
  readonly after: number;
}

/** What a watch with this selector must tell of the history after a revision. */
function expected(history: readonly Moment[], watch: Watch): string[] {
  const { after, selector, namespace, name } = watch;
  const shown = new Map<string, boolean>();
  const events: string[] = [];
  for (const { revision, key, labels } of history) {
    if (namespace !== '' && !key.startsWith(`${namespace}/`)) continue;
    if (name !== '' && !key.endsWith(`/${name}`)) continue;
    const was = shown.get(key) === true;
    const is = labels !== undefined && selector.holds(labels);
    shown.set(key, is);
    if (revision <= after || (!is && !was)) continue;
    events.push(`${is ? (was ? 'MODIFIED' : 'ADDED') : 'DELETED'} ${key} ${revision}`);
  }
  return events;
}

test('watches tell the history of the store, from wherever they begin', limit, async () => {
  for (const seed of seeds) {
    await using server = await testServer();
    const random = seededRandom(seed);
    const { history, step } = await writer(server, random);
    const first = Number((await server.ask('GET', path('default'))).body.metadata.resourceVersion);
    for (let i = 0; i < 60; i++) await step();
    const begin = () => {
      const selector = randomSelector(random);
      const namespace = pick(random, ['', ...namespaces]);
      const name = pick(random, ['', '', `c${random.int(25)}`]);
      const after = random.int(2) === 0 ? first : (history[random.int(history.length)] as Moment).revision;
      const where = namespace === '' ? '/api/v1/configmaps' : path(namespace);
      const target = `${where}?watch=1&resourceVersion=${after}&labelSelector=${encodeURIComponent(selector.text)}`;
      const named = name === '' ? '' : `&fieldSelector=metadata.name%3D${name}`;
      return { selector, namespace, name, after, target: target + named, events: collect(server, target + named) };
    };
    // Half of the history is there before the first watches begin, half comes after; others begin while it is written.
    const running = Array.from({ length: 20 }, begin);
    for (let i = 0; i < 60; i++) {
      const writing = step();
      if (i % 2 === 0) running.push(begin());
      await writing;
    }
    for (const { target, events, ...watch } of running) {
      const wanted = expected(history, watch);
      while (events.length < wanted.length) await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(events, wanted, `${seed}: ${target}`);
    }
  }
});

/** The events of a watch, as they come; it ends with the server. */
function collect(server: TestServer, target: string): string[] {
  const events: string[] = [];
  const run = async (): Promise<void> => {
    const response = await server.transport.request({ method: 'GET', target });
    let text = '';
    for await (const chunk of response.chunks()) {
      text += Buffer.from(chunk).toString();
      const lines = text.split('\n');
      text = lines.pop() as string;
      for (const line of lines) {
        const { type, object } = JSON.parse(line);
        events.push(`${type} ${keyOf(object)} ${object.metadata.resourceVersion}`);
      }
    }
  };
  run().catch(() => {});
  return events;
}
