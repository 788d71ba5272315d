import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type AnyObject, builtinSchema } from '#api';
import { decodeObjectProtobuf, decodeWatchEventProtobuf, LengthFrameSplitter } from '#codec';
import { startHttpsServer, type TestHttpsServer } from '#testkit';
import type { HttpsTransport } from '#wire';

// biome-ignore lint: answers of any kind
type Json = any;

const group = 'deploy.example.com';
const apps = `/apis/${group}/v1/namespaces/default/applications`;
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `applications.${group}` },
  spec: {
    group,
    names: { kind: 'Application', listKind: 'ApplicationList', plural: 'applications', singular: 'application' },
    scope: 'Namespaced',
    versions: [
      {
        ...{ name: 'v1', served: true, storage: true },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  source: { type: 'string' },
                  port: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] },
                  values: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                  tags: { type: 'object', additionalProperties: { type: 'string', nullable: true } },
                  matrix: { type: 'array', items: { type: 'array', items: { type: 'number' } } },
                },
              },
            },
          },
        },
      },
    ],
  },
};

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: Json;
  readonly warning: string | undefined;
}

const protobuf = 'application/vnd.kubernetes.protobuf';
const metadataTypes = (kind: string): string =>
  [protobuf, 'application/json', '']
    .map((type) => (type === '' ? 'application/json' : `${type};as=${kind};g=meta.k8s.io;v=v1`))
    .join(',');
const discovery =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json';

const nodeOf = (_apiVersion: string, kind: string) => builtinSchema.type(`meta/v1.${kind}`);

class Tool {
  readonly #transport: HttpsTransport;
  readonly #agent: string;

  constructor(server: TestHttpsServer, agent: string) {
    this.#transport = server.transport();
    this.#agent = agent;
  }

  async ask(method: string, target: string, body?: object, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await this.#transport.request({
      method: method as 'GET',
      target,
      headers: {
        ...{ accept: 'application/json', 'user-agent': this.#agent, 'accept-encoding': 'gzip' },
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
    });
    const raw = Buffer.from(await response.bytes());
    const bytes = response.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
    const type = response.headers['content-type'] ?? '';
    const decoded = type.startsWith(protobuf) ? decodeObjectProtobuf(bytes, nodeOf) : JSON.parse(bytes.toString());
    return { status: response.status, type, body: decoded, warning: response.headers.warning };
  }

  apply(target: string, object: object, query: string): Promise<Answer> {
    return this.ask('PATCH', `${target}?${query}`, object, { 'content-type': 'application/apply-patch+yaml' });
  }

  /** Events of a metadata-only watch, decoded from protobuf. */
  async *watchMetadata(target: string, signal: AbortSignal): AsyncGenerator<{ type: string; object: AnyObject }> {
    const accept = metadataTypes('PartialObjectMetadata');
    const response = await this.#transport.request({
      ...{ method: 'GET', target, signal },
      headers: { accept, 'user-agent': this.#agent },
    });
    const type = response.headers['content-type'] ?? '';
    assert.ok(type.startsWith(protobuf), type);
    const frames = new LengthFrameSplitter();
    for await (const chunk of response.chunks())
      for (const frame of frames.push(Buffer.from(chunk))) {
        const event = decodeWatchEventProtobuf(frame);
        yield { type: event.type, object: decodeObjectProtobuf(event.object, nodeOf) as AnyObject };
      }
  }
}

async function establish(tool: Tool): Promise<void> {
  const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const made = await tool.apply(
    `${crds}/applications.${group}`,
    definition,
    'fieldManager=kustomize-controller&force=true',
  );
  assert.equal(made.status, 201, JSON.stringify(made.body));
  for (;;) {
    const { body } = await tool.ask('GET', `${crds}/applications.${group}`);
    if (body.status?.conditions?.some((one: Json) => one.type === 'Established' && one.status === 'True')) return;
  }
}

/** Every kind that can be listed and watched, from aggregated discovery, with its collection's path. */
async function watchable(tool: Tool): Promise<{ path: string; kind: string }[]> {
  const rows: { path: string; kind: string }[] = [];
  for (const root of ['/api', '/apis']) {
    const { body, type } = await tool.ask('GET', root, undefined, { accept: discovery });
    assert.match(type, /v=v2;as=APIGroupDiscoveryList$/);
    for (const { metadata, versions } of body.items)
      for (const { version, resources } of versions)
        for (const { resource, verbs, responseKind } of resources)
          if (verbs.includes('list') && verbs.includes('watch'))
            rows.push({
              path: `${root}${root === '/api' ? '' : `/${metadata.name}`}/${version}/${resource}`,
              kind: responseKind.kind,
            });
  }
  return rows;
}

/** Problems that the strict reader of OpenAPI 2 in client tools would have with a schema. */
function unreadable(schema: Json, path: string, definitions: Json): string[] {
  if (schema.$ref !== undefined) {
    const name = String(schema.$ref).replace('#/definitions/', '');
    return Object.hasOwn(definitions, name) ? [] : [`${path}: no ${schema.$ref}`];
  }
  const { type, items, properties, additionalProperties } = schema;
  if (type !== undefined && typeof type !== 'string') return [`${path}: several types`];
  if (type === 'array')
    return items === undefined ? [`${path}: an array of nothing`] : unreadable(items, `${path}[]`, definitions);
  if (type !== undefined && type !== 'object')
    return ['string', 'number', 'integer', 'boolean'].includes(type) && properties === undefined
      ? []
      : [`${path}: ${type}`];
  const fields = Object.entries(properties ?? {}).flatMap(([key, one]) =>
    unreadable(one, `${path}.${key}`, definitions),
  );
  const rest =
    typeof additionalProperties === 'object' ? unreadable(additionalProperties, `${path}{}`, definitions) : [];
  return [...fields, ...rest];
}

test('a GitOps engine reads the whole cluster: versions, kinds, schemas, rights, and watches everything', {
  timeout: 120_000,
}, async () => {
  await using server = await startHttpsServer();
  const tool = new Tool(server, 'argocd-application-controller/v0.0.0 (linux/amd64) kubernetes/$Format');
  const { body: version } = await tool.ask('GET', '/version');
  assert.deepEqual([version.major, version.minor, /^v1\.36\./.test(version.gitVersion)], ['1', '36', true]);
  await establish(tool);

  // OpenAPI 2 in the encoding that its parser asks for is there; what stands in it can be read.
  const gnostic = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
  const transport = server.transport();
  const encoded = await transport.request({ method: 'GET', target: '/openapi/v2', headers: { accept: gnostic } });
  assert.equal(encoded.headers['content-type'], 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf');
  assert.ok((await encoded.bytes()).length > 100_000);
  const { definitions } = (await tool.ask('GET', '/openapi/v2')).body;
  const kinds = new Set<string>();
  for (const [name, one] of Object.entries<Json>(definitions)) {
    assert.deepEqual(unreadable(one, name, definitions), []);
    for (const kind of one['x-kubernetes-group-version-kind'] ?? []) {
      assert.deepEqual(Object.keys(kind).sort(), ['group', 'kind', 'version']);
      kinds.add(kind.kind);
    }
  }
  const rows = await watchable(tool);
  assert.ok(rows.length > 50);
  for (const { kind } of rows) assert.ok(kinds.has(kind), `${kind} has a schema`);

  // What it may do, asked for each kind; then each is listed page by page and watched from there.
  const stop = new AbortController();
  await Promise.all(
    rows.map(async ({ path }) => {
      const [, , groupName = '', , resource] = path.split('/');
      const isCore = path.startsWith('/api/');
      const review = await tool.ask('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: {
          resourceAttributes: {
            ...{ namespace: '*', verb: 'list' },
            ...(isCore ? { resource: path.split('/')[3] } : { group: groupName, resource }),
          },
        },
      });
      assert.deepEqual([review.status, review.body.status.allowed], [201, true], path);
      const list = await tool.ask('GET', `${path}?limit=500&resourceVersion=`);
      assert.equal(list.status, 200, path);
      assert.match(list.body.kind, /List$/);
      const since = list.body.metadata.resourceVersion;
      const response = await transport.request({
        ...{ method: 'GET', signal: stop.signal },
        target: `${path}?allowWatchBookmarks=true&resourceVersion=${since}&timeoutSeconds=600&watch=true`,
      });
      assert.equal(response.status, 200, path);
    }),
  );
  stop.abort();
});

test('metadata of everything, also of custom resources, comes in protobuf', { timeout: 60_000 }, async () => {
  await using server = await startHttpsServer();
  const tool = new Tool(server, 'kustomize-controller/v0.0.0 (linux/amd64) kubernetes/$Format');
  await establish(tool);
  const object = { apiVersion: `${group}/v1`, kind: 'Application', metadata: { name: 'one', labels: { a: 'b' } } };
  assert.equal((await tool.ask('POST', apps, { ...object, spec: { source: 'git' } })).status, 201);
  const accept = metadataTypes('PartialObjectMetadataList');
  const list = await tool.ask('GET', `/apis/${group}/v1/applications?limit=500`, undefined, { accept });
  assert.match(list.type, /^application\/vnd.kubernetes.protobuf/);
  assert.equal(list.body.kind, 'PartialObjectMetadataList');
  assert.deepEqual(
    list.body.items.map((one: Json) => [one.metadata.name, one.metadata.labels, one.spec]),
    [['one', { a: 'b' }, undefined]],
  );
  const stop = new AbortController();
  const seen: string[] = [];
  const target = `/apis/${group}/v1/applications?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&watch=true`;
  for await (const { type, object } of tool.watchMetadata(target, stop.signal)) {
    assert.equal(object.kind, 'PartialObjectMetadata');
    seen.push(`${type} ${object.metadata.name ?? ''}`);
    if (type === 'BOOKMARK') {
      assert.equal(object.metadata.annotations?.['k8s.io/initial-events-end'], 'true');
      await tool.ask(
        'PATCH',
        `${apps}/one`,
        { metadata: { labels: { a: 'c' } } },
        { 'content-type': 'application/merge-patch+json' },
      );
    }
    if (type === 'MODIFIED') break;
  }
  stop.abort();
  assert.deepEqual(seen, ['ADDED one', 'BOOKMARK ', 'MODIFIED one']);
});

test('dry-run applies show drift, forced ones take fields over, and owners can be rewritten', {
  timeout: 60_000,
}, async () => {
  await using server = await startHttpsServer();
  const flux = new Tool(server, 'kustomize-controller/v0.0.0 (linux/amd64) kubernetes/$Format');
  const kubectl = new Tool(server, 'kubectl/v1.35.0 (linux/amd64) kubernetes/abcdef');
  const deployments = '/apis/apps/v1/namespaces/default/deployments';
  const web = (replicas: number, image = 'nginx:1'): Json => ({
    ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web', namespace: 'default' } },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image }] } },
    },
  });
  const dry = 'dryRun=All&fieldManager=kustomize-controller&force=true';
  const forced = 'fieldManager=kustomize-controller&force=true';
  const planned = await flux.apply(`${deployments}/web`, web(1), dry);
  assert.equal(planned.status, 201);
  assert.equal((await flux.ask('GET', `${deployments}/web`)).status, 404);

  // kubectl was first: its fields are shared, then taken over.
  const query = 'fieldManager=kubectl-client-side-apply&fieldValidation=Strict';
  assert.equal((await kubectl.ask('POST', `${deployments}?${query}`, web(1))).status, 201);
  const polite = await flux.apply(`${deployments}/web`, web(2), 'fieldManager=kustomize-controller');
  assert.equal(polite.status, 409);
  assert.equal(
    polite.body.message,
    'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas',
  );
  assert.deepEqual(polite.body.details.causes, [
    {
      reason: 'FieldManagerConflict',
      message: 'conflict with "kubectl-client-side-apply" using apps/v1',
      field: '.spec.replicas',
    },
  ]);
  const drift = await flux.apply(`${deployments}/web`, web(2), dry);
  assert.deepEqual([drift.status, drift.body.spec.replicas], [200, 2]);
  const live = (await flux.ask('GET', `${deployments}/web`)).body;
  assert.deepEqual([live.spec.replicas, drift.body.metadata.resourceVersion], [1, live.metadata.resourceVersion]);

  // The way of taking a manager's entries out: a JSON patch of managedFields with the version that was read.
  const kept = live.metadata.managedFields.filter((one: Json) => one.manager !== 'kubectl-client-side-apply');
  const rewrite = (resourceVersion: string): Promise<Answer> =>
    flux.ask(
      'PATCH',
      `${deployments}/web?fieldManager=kustomize-controller`,
      [
        { op: 'replace', path: '/metadata/managedFields', value: kept.length === 0 ? [{}] : kept },
        { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion },
      ],
      { 'content-type': 'application/json-patch+json' },
    );
  assert.equal((await rewrite('1')).status, 409);
  const rewritten = await rewrite(live.metadata.resourceVersion);
  assert.equal(rewritten.status, 200, JSON.stringify(rewritten.body));
  assert.equal(rewritten.body.metadata.managedFields, undefined);
  const applied = await flux.apply(`${deployments}/web`, web(2), forced);
  assert.deepEqual([applied.status, applied.body.spec.replicas], [200, 2]);
  const owners = applied.body.metadata.managedFields.map((one: Json) => `${one.manager} ${one.operation}`);
  assert.ok(owners.includes('kustomize-controller Apply'), owners.join());

  // Again the same: nothing is written, and the dry run says so.
  const same = await flux.apply(`${deployments}/web`, web(2), dry);
  assert.equal(same.body.metadata.resourceVersion, applied.body.metadata.resourceVersion);
  const again = await flux.apply(`${deployments}/web`, web(2), forced);
  assert.equal(again.body.metadata.resourceVersion, applied.body.metadata.resourceVersion);

  // What the selector is may not be changed: told in a dry run already.
  const moved = web(2);
  moved.spec.selector.matchLabels = { app: 'other' };
  moved.spec.template.metadata.labels = { app: 'other' };
  const immutable = await flux.apply(`${deployments}/web`, moved, dry);
  assert.equal(immutable.status, 422);
  assert.match(immutable.body.message, /spec.selector: Invalid value: .*: field is immutable$/);
  const misspelt = await flux.apply(
    `${deployments}/web`,
    { ...web(2), spec: { ...web(2).spec, replica: 3 } },
    `${dry}&fieldValidation=Strict`,
  );
  assert.equal(misspelt.status, 400);
  assert.match(
    misspelt.body.message,
    /failed to create typed patch object .*: \.spec\.replica: field not declared in schema$/,
  );
  const elsewhere = await flux.apply(
    '/api/v1/namespaces/none/configmaps/a',
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } },
    dry,
  );
  assert.deepEqual([elsewhere.status, elsewhere.body.message], [404, 'namespaces "none" not found']);
  const unknown = await flux.apply(
    '/apis/none.example.com/v1/namespaces/default/things/a',
    { apiVersion: 'none.example.com/v1', kind: 'Thing', metadata: { name: 'a' } },
    dry,
  );
  assert.equal(unknown.status, 404);
});

test('deletion in the foreground waits for what is owned; an application waits for its finalizer', {
  timeout: 60_000,
}, async () => {
  await using server = await startHttpsServer({ controllers: ['garbage-collector-controller'] });
  const tool = new Tool(server, 'argocd-application-controller/v0.0.0 (linux/amd64) kubernetes/$Format');
  await establish(tool);
  const finalizer = 'resources-finalizer.argocd.argoproj.io';
  const made = await tool.ask('POST', apps, {
    ...{ apiVersion: `${group}/v1`, kind: 'Application', metadata: { name: 'shop', finalizers: [finalizer] } },
  });
  assert.equal(made.status, 201);
  assert.match(made.warning ?? '', /prefer a domain-qualified finalizer name|^$/);
  const maps = '/api/v1/namespaces/default/configmaps';
  const owner = (await tool.ask('POST', maps, { metadata: { name: 'parent' } })).body;
  const ownerReferences = [
    { apiVersion: 'v1', kind: 'ConfigMap', name: 'parent', uid: owner.metadata.uid, blockOwnerDeletion: true },
  ];
  await tool.ask('POST', maps, { metadata: { name: 'child', ownerReferences, finalizers: ['example.com/hold'] } });
  const foreground = { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Foreground' };
  const deleting = await tool.ask('DELETE', `${maps}/parent`, foreground);
  assert.equal(deleting.status, 200);
  assert.deepEqual(deleting.body.metadata.finalizers, ['foregroundDeletion']);
  const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    for (const endMs = performance.now() + 30_000; !(await holds()); ) {
      assert.ok(performance.now() < endMs, what);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const get = (name: string): Promise<Answer> => tool.ask('GET', `${maps}/${name}`);
  await until(
    'the child is being deleted',
    async () => (await get('child')).body.metadata.deletionTimestamp !== undefined,
  );
  assert.equal((await get('parent')).status, 200);
  const release = { metadata: { finalizers: null } };
  await tool.ask('PATCH', `${maps}/child`, release, { 'content-type': 'application/merge-patch+json' });
  await until('both are gone', async () => (await get('parent')).status === 404 && (await get('child')).status === 404);

  const marked = await tool.ask('DELETE', `${apps}/shop`, { ...foreground, propagationPolicy: 'Background' });
  assert.deepEqual([marked.status, marked.body.metadata.finalizers], [200, [finalizer]]);
  const more = await tool.ask(
    'PATCH',
    `${apps}/shop`,
    { metadata: { finalizers: [finalizer, 'x.io/y'] } },
    { 'content-type': 'application/merge-patch+json' },
  );
  assert.equal(more.status, 422);
  assert.match(
    more.body.message,
    /metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers \[\]string\{"x.io\/y"\}/,
  );
  const freed = await tool.ask('PATCH', `${apps}/shop`, release, { 'content-type': 'application/merge-patch+json' });
  assert.equal(freed.status, 200);
  assert.equal((await tool.ask('GET', `${apps}/shop`)).status, 404);
});
