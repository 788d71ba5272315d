import assert from 'node:assert/strict';
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { once } from 'node:events';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type AnyObject, builtinResources, builtinSchema } from '#api';
import { decodeObjectProtobuf, decodeWatchEventProtobuf, encodeObjectProtobuf, LengthFrameSplitter } from '#codec';
import { startHttpsServer, type TestHttpsServer } from '#testkit';

// biome-ignore lint: answers of any kind
type Json = any;

/** The headers that operators built with controller-runtime send: its manager's user agent, protobuf for built-in kinds, JSON for custom ones. */
const userAgent = 'manager/v0.0.0 (linux/amd64) kubernetes/$Format';
const protobuf = 'application/vnd.kubernetes.protobuf';
const builtIn = { accept: `${protobuf}, */*`, 'accept-encoding': 'gzip', 'user-agent': userAgent };
const custom = { accept: 'application/json, */*', 'accept-encoding': 'gzip', 'user-agent': userAgent };
const election = { ...builtIn, 'user-agent': `${userAgent}/leader-election` };
const discoveryAccept =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json';

const nodeOf = (apiVersion: string, kind: string) => {
  if (kind === 'Status' || kind.startsWith('PartialObjectMetadata')) return builtinSchema.type(`meta/v1.${kind}`);
  const list = kind.endsWith('List');
  const item = list ? kind.slice(0, -4) : kind;
  const info = builtinResources.find(
    (one) => one.kind === item && (one.group === '' ? one.version : `${one.group}/${one.version}`) === apiVersion,
  );
  assert.ok(info?.typeName !== undefined, `${apiVersion} ${kind}`);
  return builtinSchema.type(list ? `${info.typeName}List` : info.typeName);
};

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: Json;
}

class Manager {
  readonly #session: ClientHttp2Session;
  readonly #streams = new Set<{ close(): void }>();

  constructor(server: TestHttpsServer, credentials: { cert: string; key: string }) {
    this.#session = connect(server.url, { ca: server.ca, ...credentials });
    this.#session.on('error', () => {});
  }

  close(): void {
    this.#session.destroy();
  }

  async ask(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: Uint8Array | string,
  ): Promise<Answer> {
    const bytes = body === undefined ? undefined : Buffer.from(body);
    const length = bytes === undefined ? {} : { 'content-length': String(bytes.length) };
    const stream = this.#session.request(
      { ':method': method, ':path': path, ...headers, ...length },
      { endStream: bytes === undefined },
    );
    if (bytes !== undefined) stream.end(bytes);
    const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    const parts: Buffer[] = [];
    for await (const chunk of stream) parts.push(chunk as Buffer);
    const raw = Buffer.concat(parts);
    const whole = answer['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
    const type = answer['content-type'] ?? '';
    const decoded = type.startsWith(protobuf) ? decodeObjectProtobuf(whole, nodeOf) : JSON.parse(whole.toString());
    return { status: Number(answer[':status']), type, body: decoded };
  }

  /** A built-in object, in protobuf both ways. */
  send(method: string, path: string, object: object, headers: Record<string, string> = builtIn): Promise<Answer> {
    const { apiVersion, kind } = object as AnyObject;
    const body = encodeObjectProtobuf(object as AnyObject, nodeOf(apiVersion, kind));
    return this.ask(method, path, { ...headers, 'content-type': protobuf }, body);
  }

  /** Events of a watch as they come. */
  async *watch(path: string, headers: Record<string, string>): AsyncGenerator<{ type: string; object: Json }> {
    const stream = this.#session.request({ ':method': 'GET', ':path': path, ...headers });
    this.#streams.add(stream);
    const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    assert.equal(answer[':status'], 200);
    const type = answer['content-type'] ?? '';
    if (type.startsWith(protobuf)) {
      assert.equal(type, `${protobuf};stream=watch`);
      const frames = new LengthFrameSplitter();
      for await (const chunk of stream) {
        for (const frame of frames.push(chunk as Buffer)) {
          const event = decodeWatchEventProtobuf(frame);
          yield { type: event.type, object: decodeObjectProtobuf(event.object, nodeOf) };
        }
      }
      return;
    }
    assert.equal(type, 'application/json');
    let text = '';
    for await (const chunk of stream) {
      const lines = (text + String(chunk)).split('\n');
      text = lines.pop() as string;
      for (const line of lines) yield JSON.parse(line);
    }
  }
}

/** An informer: the initial state up to its mark, then changes, in a map by name. */
class Informer {
  readonly objects = new Map<string, Json>();
  readonly synced: Promise<void>;
  bookmark: Json;
  readonly #changed = new Set<() => void>();

  constructor(manager: Manager, path: string, headers: Record<string, string>) {
    const query =
      'allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeout=9m5s&timeoutSeconds=545&watch=true';
    this.synced = new Promise((resolve, reject) => {
      const run = async (): Promise<void> => {
        for await (const { type, object } of manager.watch(`${path}?${query}`, headers)) {
          if (type === 'BOOKMARK') {
            this.bookmark = object;
            if (object.metadata.annotations?.['k8s.io/initial-events-end'] === 'true') resolve();
          } else if (type === 'DELETED') this.objects.delete(object.metadata.name);
          else if (type === 'ADDED' || type === 'MODIFIED') this.objects.set(object.metadata.name, object);
          else throw new Error(JSON.stringify(object));
          for (const look of this.#changed) look();
        }
      };
      run().catch(reject);
    });
    this.synced.catch(() => {});
  }

  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!holds()) return;
        this.#changed.delete(look);
        resolve();
      };
      this.#changed.add(look);
      look();
    });
  }
}

const group = 'webapp.example.com';
const guestbooks = `/apis/${group}/v1/namespaces/default/guestbooks`;
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `guestbooks.${group}` },
  spec: {
    group,
    names: { kind: 'Guestbook', listKind: 'GuestbookList', plural: 'guestbooks', singular: 'guestbook' },
    scope: 'Namespaced',
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', properties: { size: { type: 'integer', minimum: 1 } }, required: ['size'] },
              status: { type: 'object', properties: { ready: { type: 'integer' } } },
            },
          },
        },
      },
    ],
  },
};

test('an operator in the manner of controller-runtime: discovery, election, informers, apply, status, events', {
  timeout: 60_000,
}, async () => {
  await using server = await startHttpsServer();
  const manager = new Manager(server, server.credentials());
  // The definition is made in protobuf, as clients of apiextensions do.
  const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const defined = await manager.send('POST', crds, definition);
  assert.equal(defined.status, 201);
  assert.equal(defined.type, protobuf);
  while (
    !(await manager.ask('GET', `${crds}/guestbooks.${group}`, builtIn)).body.status?.conditions?.some(
      (one: Json) => one.type === 'Established' && one.status === 'True',
    )
  );

  // Discovery: two requests, aggregated.
  const core = await manager.ask('GET', '/api', { ...custom, accept: discoveryAccept });
  const groups = await manager.ask('GET', '/apis', { ...custom, accept: discoveryAccept });
  for (const { status, type, body } of [core, groups]) {
    assert.equal(status, 200);
    assert.equal(type, 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
    assert.equal(body.kind, 'APIGroupDiscoveryList');
  }
  const found = groups.body.items.find((one: Json) => one.metadata.name === group);
  assert.equal(found.versions[0].resources[0].resource, 'guestbooks');
  assert.deepEqual(found.versions[0].resources[0].subresources[0].subresource, 'status');

  // Leader election by a Lease: the first makes it, the second sees who holds it, a stale update conflicts.
  const leases = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
  const missing = await manager.ask('GET', `${leases}/ecaf1259.example.com`, election);
  assert.equal(missing.status, 404);
  assert.equal(missing.type, protobuf);
  assert.equal(missing.body.reason, 'NotFound');
  const time = '2026-01-02T03:04:05.678901Z';
  const lease = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'ecaf1259.example.com', namespace: 'default' },
    spec: { holderIdentity: 'a', leaseDurationSeconds: 15, acquireTime: time, renewTime: time, leaseTransitions: 0 },
  };
  const held = await manager.send('POST', leases, lease, election);
  assert.equal(held.status, 201);
  assert.equal(held.body.spec.renewTime, time);
  const second = await manager.send(
    'POST',
    leases,
    { ...lease, spec: { ...lease.spec, holderIdentity: 'b' } },
    election,
  );
  assert.deepEqual([second.status, second.body.reason], [409, 'AlreadyExists']);
  const renew = (base: Json, renewTime: string): Promise<Answer> =>
    manager.send('PUT', `${leases}/ecaf1259.example.com`, { ...base, spec: { ...base.spec, renewTime } }, election);
  const renewed = await renew(held.body, '2026-01-02T03:04:07.000000Z');
  assert.equal(renewed.status, 200);
  const stale = await renew(held.body, '2026-01-02T03:04:09.000000Z');
  assert.deepEqual([stale.status, stale.body.reason, stale.type], [409, 'Conflict', protobuf]);

  // Informers: streaming lists, protobuf for what is built in, JSON for what is not.
  const deployments = '/apis/apps/v1/namespaces/default/deployments';
  const owned = new Informer(manager, '/apis/apps/v1/deployments', builtIn);
  const books = new Informer(manager, `/apis/${group}/v1/guestbooks`, custom);
  await Promise.all([owned.synced, books.synced]);
  assert.equal(owned.bookmark.kind, 'Deployment');
  assert.equal(books.bookmark.kind, 'Guestbook');
  const made = await manager.ask(
    'POST',
    guestbooks,
    { ...custom, 'content-type': 'application/json' },
    JSON.stringify({ apiVersion: `${group}/v1`, kind: 'Guestbook', metadata: { name: 'sample' }, spec: { size: 2 } }),
  );
  assert.equal(made.status, 201);
  await books.until(() => books.objects.has('sample'));
  const book = books.objects.get('sample');

  // What it reconciles to is applied, with a manager's name and force.
  const template = (replicas: number): object => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'sample',
      namespace: 'default',
      ownerReferences: [
        {
          apiVersion: `${group}/v1`,
          kind: 'Guestbook',
          name: 'sample',
          uid: book.metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'sample' } },
      template: { metadata: { labels: { app: 'sample' } }, spec: { containers: [{ name: 'c', image: 'x' }] } },
    },
  });
  const applyIt = (replicas: number, query: string): Promise<Answer> =>
    manager.ask(
      'PATCH',
      `${deployments}/sample?${query}`,
      { ...builtIn, 'content-type': 'application/apply-patch+yaml' },
      JSON.stringify(template(replicas)),
    );
  const applied = await applyIt(book.spec.size, 'fieldManager=guestbook-controller&force=true');
  assert.equal(applied.status, 201);
  assert.equal(applied.type, protobuf);
  assert.equal(applied.body.metadata.managedFields[0].manager, 'guestbook-controller');
  await owned.until(() => owned.objects.get('sample')?.spec.replicas === 2);
  const again = await applyIt(2, 'fieldManager=guestbook-controller&force=true');
  assert.equal(again.body.metadata.resourceVersion, applied.body.metadata.resourceVersion);
  const other = await applyIt(5, 'fieldManager=another');
  assert.deepEqual([other.status, other.type], [409, protobuf]);
  assert.match(other.body.message, /conflict with "guestbook-controller": \.spec\.replicas/);

  // A status by merge patch with the version that was seen, as client.MergeFromWithOptimisticLock makes it.
  const patchStatus = (resourceVersion: string): Promise<Answer> =>
    manager.ask(
      'PATCH',
      `${guestbooks}/sample/status`,
      { ...custom, 'content-type': 'application/merge-patch+json' },
      JSON.stringify({ metadata: { resourceVersion }, status: { ready: 2 } }),
    );
  const patched = await patchStatus(book.metadata.resourceVersion);
  assert.deepEqual([patched.status, patched.body.status], [200, { ready: 2 }]);
  assert.equal((await patchStatus(book.metadata.resourceVersion)).status, 409);
  await books.until(() => books.objects.get('sample')?.status?.ready === 2);

  // Events as the recorder writes them: made in protobuf, counted up by a strategic merge patch.
  const events = '/api/v1/namespaces/default/events';
  const event = await manager.send('POST', events, {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'sample.1', namespace: 'default' },
    involvedObject: {
      apiVersion: `${group}/v1`,
      kind: 'Guestbook',
      name: 'sample',
      namespace: 'default',
      uid: book.metadata.uid,
    },
    reason: 'Created',
    message: 'made it',
    source: { component: 'guestbook-controller' },
    firstTimestamp: '2026-01-02T03:04:05Z',
    lastTimestamp: '2026-01-02T03:04:05Z',
    count: 1,
    type: 'Normal',
  });
  assert.equal(event.status, 201);
  const counted = await manager.ask(
    'PATCH',
    `${events}/sample.1`,
    { ...builtIn, 'content-type': 'application/strategic-merge-patch+json' },
    '{"count":2,"lastTimestamp":"2026-01-02T03:05:05Z"}',
  );
  assert.deepEqual([counted.status, counted.type, counted.body.count], [200, protobuf, 2]);

  // Deletion with a precondition and options in protobuf; the informer sees it go.
  const gone = await manager.ask(
    'DELETE',
    `${deployments}/sample`,
    { ...builtIn, 'content-type': 'application/json' },
    JSON.stringify({
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      preconditions: { uid: applied.body.metadata.uid },
      propagationPolicy: 'Background',
    }),
  );
  assert.equal(gone.status, 200);
  assert.equal(gone.type, protobuf);
  await owned.until(() => !owned.objects.has('sample'));

  // A kind that has no protobuf form: JSON is given to who takes anything, 406 to who does not, and 415 says what is taken.
  const fallback = await manager.ask('GET', `${guestbooks}/sample`, builtIn);
  assert.deepEqual([fallback.status, fallback.type], [200, 'application/json']);
  assert.equal((await manager.ask('GET', `${guestbooks}/sample`, { ...builtIn, accept: protobuf })).status, 406);
  const unsupported = await manager.ask(
    'POST',
    guestbooks,
    { ...custom, 'content-type': protobuf },
    Buffer.from('k8s\0'),
  );
  assert.equal(unsupported.status, 415);
  assert.match(unsupported.body.message, /accepted media types include: .*application\/json/);

  // CBOR, which newer clients offer first: answered in what comes next, and refused as a body so that they fall back.
  const offered = { ...custom, accept: 'application/cbor, application/json;q=0.9' };
  const answered = await manager.ask('GET', `${guestbooks}/sample`, offered);
  assert.deepEqual([answered.status, answered.type], [200, 'application/json']);
  for (const path of [`${guestbooks}/sample?fieldManager=x`, `${deployments}/other?fieldManager=x`]) {
    const applied = await manager.ask(
      'PATCH',
      path,
      { ...offered, 'content-type': 'application/apply-patch+cbor' },
      Buffer.from([0xd9, 0xd9, 0xf7, 0xa0]),
    );
    assert.deepEqual([applied.status, applied.body.reason], [415, 'UnsupportedMediaType']);
    assert.match(applied.body.message, /application\/apply-patch\+yaml/);
  }
  const posted = await manager.ask(
    'POST',
    deployments,
    { ...offered, 'content-type': 'application/cbor' },
    Buffer.from([0xd9, 0xd9, 0xf7, 0xa0]),
  );
  assert.deepEqual([posted.status, posted.body.reason], [415, 'UnsupportedMediaType']);
  // Streaming lists by metadata alone, as caches of kinds that are only counted ask for them.
  const slim = new Informer(manager, '/apis/apps/v1/deployments', {
    ...builtIn,
    accept: `application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json`,
  });
  await slim.synced;
  assert.equal(slim.bookmark.kind, 'PartialObjectMetadata');
  manager.close();
});
