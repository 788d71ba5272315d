import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectHttp2, constants } from 'node:http2';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startHttpsServer, type TestHttpsServer } from '#testkit';
import type { HttpsTransport } from '#wire';

// biome-ignore lint: answers of any kind
type Json = any;

const limit = { timeout: 120_000 };
const configMaps = '/api/v1/namespaces/default/configmaps';
const bags = '/apis/hostile.example.com/v1/namespaces/default/bags';
/** Far above what a bounded answer costs here, far below what an unbounded one does. */
const mostCpuMs = 2500;

let server: TestHttpsServer;
let admin: HttpsTransport;

interface Answer {
  readonly status: number;
  readonly body: Json;
  readonly cpuMs: number;
}

async function ask(
  method: string,
  target: string,
  body?: string | Uint8Array | object,
  headers: Record<string, string> = {},
  transport = admin,
): Promise<Answer> {
  const bytes =
    body === undefined
      ? undefined
      : typeof body === 'string' || body instanceof Uint8Array
        ? Buffer.from(body)
        : Buffer.from(JSON.stringify(body));
  const began = process.cpuUsage();
  const response = await transport.request({
    method: method as 'GET',
    target,
    headers,
    ...(bytes === undefined ? {} : { body: bytes }),
  });
  const text = Buffer.from(await response.bytes()).toString();
  const { user, system } = process.cpuUsage(began);
  const isJson = response.headers['content-type']?.startsWith('application/json') === true;
  return { status: response.status, body: isJson ? JSON.parse(text) : text, cpuMs: (user + system) / 1000 };
}

const typed = (type: string): Record<string, string> => ({ 'content-type': type });
const yaml = typed('application/yaml');
const apply = typed('application/apply-patch+yaml');
const jsonPatch = typed('application/json-patch+json');
const mergePatch = typed('application/merge-patch+json');

async function refused(answer: Promise<Answer>, codes: readonly number[], what: string): Promise<Answer> {
  const { status, body, cpuMs } = await answer;
  assert.ok(codes.includes(status), `${what}: ${status} ${JSON.stringify(body).slice(0, 300)}`);
  assert.equal(body.kind, 'Status', what);
  assert.ok(cpuMs < mostCpuMs, `${what} took ${cpuMs} ms`);
  return { status, body, cpuMs };
}

/** After an attack: others are served as if nothing had been. */
async function isWell(): Promise<void> {
  const began = performance.now();
  assert.equal((await ask('GET', `${configMaps}/witness`)).body.data.text, 'here');
  assert.ok(performance.now() - began < 5000);
}

before(async () => {
  server = await startHttpsServer({ timeouts: { handshakeMs: 2000, headMs: 1000 } });
  admin = server.transport();
  assert.equal((await ask('POST', configMaps, { metadata: { name: 'witness' }, data: { text: 'here' } })).status, 201);
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  const define = (kind: string, scope: string): Promise<Answer> =>
    ask('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      metadata: { name: `${kind.toLowerCase()}s.hostile.example.com` },
      spec: {
        group: 'hostile.example.com',
        names: { kind, plural: `${kind.toLowerCase()}s`, singular: kind.toLowerCase(), listKind: `${kind}List` },
        scope,
        versions: [{ name: 'v1', served: true, storage: true, schema }],
      },
    });
  assert.equal((await define('Bag', 'Namespaced')).status, 201);
  assert.equal((await define('Whole', 'Cluster')).status, 201);
  const all = '/apis/hostile.example.com/v1';
  while ((await ask('GET', `${all}/bags`)).status !== 200 || (await ask('GET', `${all}/wholes`)).status !== 200) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});
after(() => server.close());

test('deep and huge JSON', limit, async () => {
  const most = 3 * 1024 * 1024 - 100;
  const deep = (open: string): string => open.repeat(Math.floor(most / open.length));
  for (const [method, target, type] of [
    ['POST', configMaps, 'application/json'],
    ['POST', bags, 'application/json'],
    ['PUT', `${configMaps}/witness`, 'application/json'],
    ['PATCH', `${configMaps}/witness`, 'application/merge-patch+json'],
    ['PATCH', `${configMaps}/witness`, 'application/json-patch+json'],
    ['PATCH', `${configMaps}/witness`, 'application/strategic-merge-patch+json'],
    ['PATCH', `${configMaps}/witness?fieldManager=x`, 'application/apply-patch+yaml'],
    ['DELETE', `${configMaps}/witness`, 'application/json'],
    ['POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', 'application/json'],
  ] as const) {
    for (const open of ['[', '{"a":', '{"metadata":{"annotations":']) {
      await refused(ask(method, target, deep(open), typed(type)), [400], `${method} ${target} ${open}`);
    }
  }
  await refused(ask('POST', configMaps, Buffer.alloc(most + 1000, ' ')), [413], 'a body beyond the limit');
  const data = (bytes: number): object => ({ metadata: { name: 'large' }, data: { text: 'x'.repeat(bytes) } });
  const tooLarge = await refused(ask('POST', configMaps, data(2 << 20)), [413, 422], 'an object beyond the limit');
  assert.match(tooLarge.body.message, /[Tt]oo (long|large)|limit/);
  // What is large and deep within the limits is taken.
  assert.equal((await ask('POST', configMaps, data(900_000))).status, 201);
  const nested = JSON.parse(`${'{"a":'.repeat(900)}1${'}'.repeat(900)}`);
  assert.equal((await ask('POST', bags, { ...bag('deep'), spec: nested })).status, 201);
  assert.equal((await ask('GET', `${bags}/deep`)).status, 200);
  await isWell();
});

const bag = (name: string): { apiVersion: string; kind: string; metadata: { name: string } } => ({
  apiVersion: 'hostile.example.com/v1',
  kind: 'Bag',
  metadata: { name },
});

test('text inside objects that nests too deep', limit, async () => {
  const recorded = `{"apiVersion":"v1","kind":"ConfigMap","data":${'['.repeat(120_000)}${']'.repeat(120_000)}}`;
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': recorded };
  assert.equal((await ask('POST', configMaps, { metadata: { name: 'recorded', annotations } })).status, 201);
  const applied = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'recorded' }, data: { a: '1' } };
  assert.equal(
    (await ask('PATCH', `${configMaps}/recorded?fieldManager=kubectl&force=true`, applied, apply)).status,
    200,
  );
  const scalers = (version: string): string =>
    `/apis/autoscaling/${version}/namespaces/default/horizontalpodautoscalers`;
  const behavior = `{"ScaleUp":{"Policies":[${'['.repeat(100_000)}${']'.repeat(100_000)}]}}`;
  await ask('POST', scalers('v1'), {
    metadata: { name: 'x', annotations: { 'autoscaling.alpha.kubernetes.io/behavior': behavior } },
    spec: { maxReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'x', apiVersion: 'apps/v1' } },
  });
  assert.equal((await ask('GET', scalers('v2'))).status, 200);
  const key = `k:{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`;
  const managed = (fieldsV1: object): object => ({
    metadata: {
      name: `managed-${Object.keys(fieldsV1).length}`,
      managedFields: [{ manager: 'm', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1 }],
    },
  });
  const books = await ask('POST', configMaps, managed({ 'f:data': { [key]: {} } }));
  assert.ok(books.status < 500 && books.cpuMs < mostCpuMs, `${books.status}`);
  await isWell();
});

test('YAML bombs', limit, async () => {
  const head = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n';
  const aliases = Array.from({ length: 9 }, (_, i) =>
    i === 0
      ? 'a0: &a0 [x,x,x,x,x,x,x,x,x]'
      : `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(',')}]`,
  ).join('\n');
  const bombs: [string, string][] = [
    ['aliases', head + aliases],
    [
      'merges',
      `${head}base: &b {${Array.from({ length: 500 }, (_, i) => `k${i}: v`).join(', ')}}\ndata:\n${Array.from({ length: 4000 }, (_, i) => `  d${i}: {<<: *b}`).join('\n')}`,
    ],
    ['omap', `${head}data: !!omap\n${Array.from({ length: 60_000 }, (_, i) => `- k${i}: v`).join('\n')}`],
    ['anchors', `${head}data:\n${Array.from({ length: 60_000 }, (_, i) => `  k${i}: &a${i} v`).join('\n')}`],
    ['open lists', `${head}data: ${'['.repeat(1_000_000)}`],
    ['open maps', `${head}data: ${'{a: '.repeat(300_000)}`],
    ['dashes', `${head}data:\n${'- '.repeat(500_000)}`],
    ['a long key', `${head}? ${'k'.repeat(1_000_000)}\n: v`],
    ['itself', `${head}data: &d {a: *d}`],
  ];
  for (const [name, text] of bombs) {
    await refused(ask('POST', configMaps, text, yaml), [400, 413, 422], name);
    await refused(ask('PATCH', `${configMaps}/bomb?fieldManager=x`, text, apply), [400, 413, 422], `${name} applied`);
  }
  const comments = `# ${'c'.repeat(70)}\n`.repeat(1000);
  const fair = `${head.replace('bomb', 'fair')}${comments}data:\n  a: &a text\n  b: *a\n`;
  const made = await ask('POST', configMaps, fair, yaml);
  assert.equal(made.status, 201);
  assert.deepEqual(made.body.data, { a: 'text', b: 'text' });
  await isWell();
});

test('paths that could be read in two ways', limit, async () => {
  const whole = '/apis/hostile.example.com/v1/wholes';
  assert.equal((await ask('POST', whole, { ...bag('one'), kind: 'Whole' })).status, 201);
  const odd = ['..', '.', '%2e%2e', '%2E.', '..%2f', '%2F', '%5c', '%00', '%09', 'a%2fb', '%', ''];
  for (const segment of odd) {
    for (const target of [
      `/api/v1/namespaces/${segment}/configmaps`,
      `/api/v1/namespaces/default/${segment}/witness`,
      `${configMaps}/${segment}/x`,
      `/apis/${segment}/v1/namespaces/default/bags`,
      `/apis/hostile.example.com/v1/namespaces/${segment}/bags`,
      `/api/v1/namespaces/default/${segment}/../secrets`,
    ]) {
      for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH']) {
        const body = method === 'GET' || method === 'DELETE' ? undefined : bag('x');
        await refused(ask(method, target, body, mergePatch), [400, 404, 405, 415], `${method} ${target}`);
      }
    }
  }
  // A name in the body is no way around either.
  for (const name of ['..', '.', 'a/b', '%2e%2e', 'a\u0000b', '../../secrets/x']) {
    await refused(ask('POST', bags, bag(name)), [400, 422], `the name ${JSON.stringify(name)}`);
    await refused(ask('POST', bags, { ...bag('x'), metadata: { name: 'x', namespace: name } }), [400, 404, 422], name);
  }
  // What is cluster-scoped is not there under a namespace, for no verb.
  const within = '/apis/hostile.example.com/v1/namespaces/default/wholes';
  for (const [method, target] of [
    ['GET', within],
    ['GET', `${within}?watch=1`],
    ['GET', `${within}/one`],
    ['POST', within],
    ['PUT', `${within}/one`],
    ['PATCH', `${within}/one`],
    ['DELETE', `${within}/one`],
    ['DELETE', within],
  ] as const) {
    const body = method === 'GET' || method === 'DELETE' ? undefined : { ...bag('one'), kind: 'Whole' };
    await refused(ask(method, target, body, method === 'PATCH' ? mergePatch : {}), [404], `${method} ${target}`);
  }
  assert.equal((await ask('GET', `${whole}/one`)).status, 200);
  await isWell();
});

test('names that every object inherits', limit, async () => {
  const before = Object.getOwnPropertyNames(Object.prototype).toSorted();
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '__defineGetter__'];
  const hostile = `{"__proto__":{"polluted":"1"},"constructor":{"prototype":{"polluted":"1"}}}`;
  for (const name of names) {
    for (const target of [
      `/api/v1/${name}`,
      `/api/v1/namespaces/default/${name}`,
      `/apis/${name}`,
      `/apis/${name}/v1`,
      `/apis/apps/${name}/deployments`,
      `${configMaps}/${name}`,
      `${configMaps}/witness/${name}`,
      `/openapi/v3/apis/${name}/v1`,
    ]) {
      await refused(ask('GET', target), [404], target);
    }
    await refused(ask('GET', `${configMaps}?fieldSelector=${name}%3Dx`), [400], `field ${name}`);
    assert.equal((await ask('GET', `${configMaps}?${name}=x&labelSelector=constructor%3Dx`)).body.items.length, 0);
  }
  assert.equal(
    (
      await ask(
        'POST',
        bags,
        `{"apiVersion":"hostile.example.com/v1","kind":"Bag","metadata":{"name":"proto"},"spec":${hostile}}`,
      )
    ).status,
    201,
  );
  assert.equal((await ask('PATCH', `${bags}/proto`, `{"spec":${hostile}}`, mergePatch)).status, 200);
  const pollute = { op: 'add', path: '/spec/__proto__/__proto__', value: { polluted: '1' } };
  assert.equal((await ask('PATCH', `${bags}/proto`, [pollute], jsonPatch)).status, 200);
  const up = { op: 'add', path: '/spec/constructor/constructor/prototype/polluted', value: 1 };
  await refused(ask('PATCH', `${bags}/proto`, [up], jsonPatch), [422], 'a way up');
  const text = `{"apiVersion":"hostile.example.com/v1","kind":"Bag","metadata":{"name":"proto"},"spec":${hostile}}`;
  assert.equal((await ask('PATCH', `${bags}/proto?fieldManager=x&force=true`, text, apply)).status, 200);
  const read = await admin.request({ method: 'GET', target: `${bags}/proto` });
  assert.match(Buffer.from(await read.bytes()).toString(), /"__proto__":\{"polluted":"1"/);
  assert.equal(({} as Json).polluted, undefined);
  assert.deepEqual(Object.getOwnPropertyNames(Object.prototype).toSorted(), before);
  // Keys that are legal stay data.
  const labels = { constructor: 'x', toString: 'y' };
  assert.equal((await ask('POST', configMaps, { metadata: { name: 'labelled', labels } })).status, 201);
  const found = await ask('GET', `${configMaps}?labelSelector=constructor%3Dx,toString`);
  assert.deepEqual(
    found.body.items.map((one: Json) => one.metadata.name),
    ['labelled'],
  );
  // Nobody is somebody for being named so.
  const stranger = server.transport({ name: 'constructor', groups: ['__proto__', 'toString'] });
  await refused(ask('GET', configMaps, undefined, {}, stranger), [403], 'a user of such a name');
  await isWell();
});

test('patches that grow', limit, async () => {
  assert.equal(
    (await ask('POST', bags, { ...bag('patched'), spec: { a: 'x'.repeat(1000), list: new Array(300_000).fill(1) } }))
      .status,
    201,
  );
  const target = `${bags}/patched`;
  const many = (count: number, one: object): object[] => new Array(count).fill(one);
  const harmless = { op: 'test', path: '/kind', value: 'Bag' };
  await refused(ask('PATCH', target, many(10_001, harmless), jsonPatch), [413], 'too many operations');
  assert.equal((await ask('PATCH', target, many(10_000, harmless), jsonPatch)).status, 200);
  const doubling = Array.from({ length: 30 }, (_, i) => ({ op: 'copy', from: '/spec', path: `/spec/c${i}` }));
  await refused(ask('PATCH', target, doubling, jsonPatch), [422], 'doubling copies');
  for (const one of [
    { op: 'remove', path: '/spec/list/1' },
    { op: 'add', path: '/spec/list/1', value: 1 },
    { op: 'move', from: '/spec/list/1', path: '/spec/list/-' },
  ]) {
    await refused(ask('PATCH', target, many(10_000, one), jsonPatch), [413, 422], `${one.op} in a long list`);
  }
  const nested = JSON.parse(`${'{"a":'.repeat(700)}1${'}'.repeat(700)}`);
  const deepen = Array.from({ length: 5 }, (_, i) => ({
    op: 'add',
    path: `/spec${'/a'.repeat(700 * i) || '/a'}`,
    value: nested,
  }));
  await refused(ask('PATCH', target, deepen, jsonPatch), [422], 'a document that deepens');
  assert.equal((await ask('PATCH', target, deepen.slice(0, 1), jsonPatch)).status, 200);
  // Whatever the form of a patch, what comes out is judged.
  const bad = { metadata: { labels: { app: 'no good value' } } };
  const forms: [string, object, Record<string, string>][] = [
    ['', bad, mergePatch],
    ['', bad, typed('application/strategic-merge-patch+json')],
    ['', [{ op: 'add', path: '/metadata/labels', value: bad.metadata.labels }], jsonPatch],
    ['?fieldManager=x', { apiVersion: 'v1', kind: 'ConfigMap', ...bad }, apply],
  ];
  for (const [query, body, headers] of forms) {
    await refused(ask('PATCH', `${configMaps}/witness${query}`, body, headers), [422], JSON.stringify(headers));
  }
  await isWell();
});

test('selectors that ask too much', limit, async () => {
  await Promise.all(
    Array.from({ length: 300 }, (_, i) =>
      ask('POST', bags, { ...bag(`s${i}`), metadata: { name: `s${i}`, labels: { app: `w${i % 7}` } } }),
    ),
  );
  const words = (count: number): string[] => Array.from({ length: count }, (_, i) => `w${i.toString(36)}`);
  const select = (text: string): Promise<Answer> => ask('GET', `${bags}?labelSelector=${encodeURIComponent(text)}`);
  const wide = await select(`app in (${words(6000).join(',')})`);
  assert.equal(wide.status, 200);
  assert.equal(wide.body.items.length, 300);
  assert.ok(wide.cpuMs < mostCpuMs);
  await refused(
    select(
      words(3000)
        .map((one) => `!${one}`)
        .join(','),
    ),
    [400],
    'thousands of requirements',
  );
  assert.equal(
    (
      await select(
        words(500)
          .map((one) => `!${one}`)
          .join(','),
      )
    ).status,
    200,
  );
  const fields = (count: number): string => encodeURIComponent(new Array(count).fill('metadata.name!=x').join(','));
  await refused(ask('GET', `${bags}?fieldSelector=${fields(2000)}`), [400], 'thousands of fields');
  assert.equal((await ask('GET', `${bags}?fieldSelector=${fields(100)}`)).status, 200);
  for (const text of ['a in (', '((((', `a in ${'('.repeat(5000)}`, `${'!'.repeat(5000)}a`, 'a=b=c', ',,,']) {
    await refused(select(text), [400], text.slice(0, 20));
  }
  await isWell();
});

test('heads that flood, and bodies that unpack', limit, async () => {
  const session = connectHttp2(server.url, {
    ca: server.ca,
    ...server.credentials(),
    maxHeaderListPairs: 100_000,
  } as never);
  session.on('error', () => {});
  const statusOf = (headers: Record<string, string>): Promise<number> =>
    new Promise((resolve) => {
      const stream = session.request({ ':path': '/version', ...headers });
      stream.on('response', (answer) => resolve(Number(answer[':status'])));
      stream.on('error', () => resolve(0));
      stream.on('close', () => resolve(0));
      stream.resume();
    });
  assert.equal(await statusOf({ 'x-a': 'fair' }), 200);
  const flood = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`x-${i}`, 'v']));
  assert.ok([0, 431].includes(await statusOf(flood)));
  session.destroy();
  const http1 = await server.socket('http/1.1');
  http1.end(`GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${'X-A: v\r\n'.repeat(300)}\r\n`);
  const [first] = (await once(http1, 'data')) as [Buffer];
  assert.match(first.toString(), /^HTTP\/1\.1 431 /);
  http1.destroy();
  // Bodies are not unpacked: ten megabytes of spaces in ten kilobytes are bytes that are no JSON.
  const bomb = gzipSync(Buffer.alloc(10 << 20, ' '));
  await refused(ask('POST', configMaps, bomb, { 'content-encoding': 'gzip' }), [400, 415], 'a bomb');
  // Two ways to say where a body ends: neither is believed.
  const smuggler = await server.socket('http/1.1');
  smuggler.write(
    'POST /version HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api HTTP/1.1\r\nHost: x\r\n\r\n',
  );
  let answers = '';
  smuggler.on('data', (chunk: Buffer) => {
    answers += chunk.toString();
  });
  await new Promise((resolve) => smuggler.once('close', resolve));
  assert.deepEqual(answers.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 400']);
  await isWell();
});

test('rapid reset ends the connection that does it, and others are served meanwhile', limit, async () => {
  const session = connectHttp2(server.url, { ca: server.ca, ...server.credentials() });
  session.on('error', () => {});
  const closed = new Promise((resolve) => session.once('close', resolve));
  const fling = (): void => {
    for (let i = 0; i < 200 && !session.destroyed && !session.closed; i++) {
      const stream = session.request({ ':path': '/version' });
      stream.on('error', () => {});
      stream.close(constants.NGHTTP2_CANCEL);
    }
    if (!session.destroyed && !session.closed) setImmediate(fling);
  };
  await once(session, 'remoteSettings');
  fling();
  for (let i = 0; i < 5; i++) await isWell();
  await closed;
  // Who cancels now and then keeps the connection.
  const fair = connectHttp2(server.url, { ca: server.ca, ...server.credentials() });
  for (let i = 0; i < 50; i++) {
    const stream = fair.request({ ':path': '/version' });
    stream.on('error', () => {});
    stream.close(constants.NGHTTP2_CANCEL);
  }
  const last = fair.request({ ':path': '/version' });
  const [headers] = (await once(last, 'response')) as [Record<string, unknown>];
  assert.equal(headers[':status'], 200);
  fair.destroy();
});

test('labels of metrics come from what is served, not from what is asked for', limit, async () => {
  const strange = (i: number): Promise<Answer>[] => [
    ask('GET', `/api/v1/namespaces/n${i}/configmaps/c${i}`, undefined, { 'user-agent': `agent-${i}` }),
    ask('GET', `/apis/group-${i}/v1/things`),
    ask('GET', `/path-${i}`),
    ask('OPTIONS', `/api/v1/verb-${i}`),
    ask('GET', `${configMaps}/witness/sub${i}`),
  ];
  const seriesOf = (text: string): Set<string> =>
    new Set(
      text
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => line.split(' ')[0] as string),
    );
  await Promise.all(strange(0));
  const first = seriesOf((await ask('GET', '/metrics')).body);
  for (let i = 1; i < 60; i++) await Promise.all(strange(i));
  const second = seriesOf((await ask('GET', '/metrics')).body);
  const grown = [...second].filter((one) => !first.has(one));
  assert.ok(
    grown.length <= 40 && !grown.some((one) => /n1\b|agent-|group-|path-|verb-\d|sub\d/.test(one)),
    grown.join('\n'),
  );
});

test('ten thousand connections that say nothing hinder nobody, and end', limit, async () => {
  const before = process.memoryUsage.rss();
  const wanted = 10_000;
  // In a process of its own: this one has the other ends to hold.
  const crowd = spawn(process.execPath, ['-e', crowdSource, String(server.port), String(wanted)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = linesOf(crowd);
  try {
    const open = Number((await lines.next()).value);
    assert.ok(open >= Math.min(wanted, 900), `${open} connections`);
    await isWell();
    const grown = (process.memoryUsage.rss() - before) / open;
    assert.ok(grown < 200 * 1024, `${Math.round(grown / 1024)} KiB a connection`);
    assert.equal(Number((await lines.next()).value), 0, 'connections were left');
    await isWell();
  } finally {
    crowd.kill('SIGKILL');
  }
});

/** Opens connections, prints how many there are, and prints how many are left when the last has ended. */
const crowdSource = `
  const net = require('node:net');
  const [port, wanted] = process.argv.slice(1).map(Number);
  let asked = 0, open = 0, settled = 0;
  const more = () => {
    if (asked === wanted) return;
    asked++;
    let counted = false;
    const done = () => {
      settled++;
      if (settled === wanted) console.log(most);
      more();
    };
    const socket = net.connect(port, '127.0.0.1', () => { open++; most = Math.max(most, open); counted = true; done(); });
    socket.on('error', () => {});
    socket.resume();
    socket.on('close', () => {
      if (!counted) return done();
      open--;
      if (open === 0 && settled === wanted) console.log(0);
    });
  };
  let most = 0;
  for (let i = 0; i < 200; i++) more();
`;

async function* linesOf(child: ChildProcess): AsyncGenerator<string> {
  let text = '';
  for await (const chunk of child.stdout as NodeJS.ReadableStream) {
    text += String(chunk);
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
}
