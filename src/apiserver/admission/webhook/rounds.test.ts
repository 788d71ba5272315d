import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, seededRandom, silentLog } from '#base';
import { auditLink } from '../../audit/index.ts';
import { type ClusterAuthorizer, openAuthorizer } from '../../authz/index.ts';
import { type Json, type TestServer, testServer } from '../../test-server.ts';
import { admissionPlugins } from '../index.ts';
import { caBundle, hookServer, patchOf } from './test-hook.ts';

/** A server with every admission plugin, and the annotations of its audit events. */
async function securedServer(): Promise<TestServer & { annotations(): Record<string, string> }> {
  const clock = new ManualClock();
  const events: Json[] = [];
  const one = await testServer({
    clock,
    authorizer: (objects) => openAuthorizer({ objects }),
    admission: (objects, authorizer) =>
      admissionPlugins({
        ...{ objects, clock, random: seededRandom(2), log: silentLog },
        authorizer: authorizer as ClusterAuthorizer,
      }),
    audit: auditLink({
      policy: { rules: [{ level: 'Request' }], omitStages: [], omitManagedFields: false } as never,
      sink: { write: (event) => void events.push(event) },
      clock,
      random: seededRandom(1),
    }),
  });
  return Object.assign(one, {
    annotations: () =>
      events.findLast((one) => one.user.username === 'admin' && one.stage === 'ResponseComplete').annotations,
  });
}

const rule = (resource: string, operations = ['CREATE', 'UPDATE']): object => ({
  apiGroups: [''],
  apiVersions: ['v1'],
  operations,
  resources: [resource],
});

async function configure(one: TestServer, kind: 'mutating' | 'validating', webhooks: readonly object[]): Promise<void> {
  const target = `/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations`;
  await one.ask('DELETE', `${target}/x`);
  const made = await one.ask('POST', target, {
    metadata: { name: 'x' },
    webhooks: webhooks.map((webhook, index) => ({
      ...{ name: `w${index}.example.com`, sideEffects: 'None', admissionReviewVersions: ['v1'] },
      ...webhook,
    })),
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
}

const maps = '/api/v1/namespaces/default/configmaps';

test('what is built in sees what webhooks add: an injected container gets defaults, limits and the token', async () => {
  const sidecar = { name: 'sidecar', image: 'proxy' };
  await using hook = await hookServer(({ request }) =>
    (request.object as Json).spec.containers.length > 1
      ? { allowed: true }
      : patchOf([{ op: 'add', path: '/spec/containers/-', value: sidecar }]),
  );
  await using after = await hookServer(() => ({ allowed: true }));
  await using one = await securedServer();
  await one.ask('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
  await one.ask('POST', '/api/v1/namespaces/default/limitranges', {
    metadata: { name: 'limits' },
    spec: { limits: [{ type: 'Container', default: { memory: '64Mi' } }] },
  });
  const clientConfig = { url: hook.url, caBundle };
  await configure(one, 'mutating', [
    { clientConfig, rules: [rule('pods')] },
    { clientConfig: { url: after.url, caBundle }, rules: [rule('pods')] },
  ]);
  const made = await one.ask('POST', '/api/v1/namespaces/default/pods', {
    metadata: { name: 'web' },
    spec: { containers: [{ name: 'web', image: 'nginx' }] },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const [web, injected] = made.body.spec.containers;
  assert.equal(injected.resources.limits.memory, '64Mi');
  assert.deepEqual(injected.volumeMounts, web.volumeMounts);
  assert.equal(injected.volumeMounts[0].mountPath, '/var/run/secrets/kubernetes.io/serviceaccount');
  assert.equal(made.body.spec.volumes.length, 1);
  // A later webhook sees the defaults of what was added.
  const seen = (after.calls[0]?.request.object as Json).spec.containers[1];
  assert.equal(seen.imagePullPolicy, 'Always');
  assert.equal(hook.calls.length, 1);
  assert.deepEqual(JSON.parse(one.annotations()['mutation.webhook.admission.k8s.io/round_0_index_0'] as string), {
    ...{ configuration: 'x', webhook: 'w0.example.com', mutated: true },
  });
  const patch = JSON.parse(one.annotations()['patch.webhook.admission.k8s.io/round_0_index_0'] as string);
  assert.deepEqual([patch.patchType, patch.patch[0].value], ['JSONPatch', sidecar]);
  assert.equal(
    JSON.parse(one.annotations()['mutation.webhook.admission.k8s.io/round_0_index_1'] as string).mutated,
    false,
  );
});

test('selectors and conditions of later webhooks are asked of what earlier ones made; a patch without effect is none', async () => {
  await using first = await hookServer(() =>
    patchOf([{ op: 'add', path: '/metadata/labels', value: { ready: 'yes' } }]),
  );
  await using second = await hookServer(() => patchOf([{ op: 'add', path: '/metadata/labels/ready', value: 'yes' }]));
  await using one = await securedServer();
  await configure(one, 'mutating', [
    { clientConfig: { url: first.url, caBundle }, rules: [rule('configmaps')], reinvocationPolicy: 'IfNeeded' },
    {
      clientConfig: { url: second.url, caBundle },
      rules: [rule('configmaps')],
      objectSelector: { matchLabels: { ready: 'yes' } },
      matchConditions: [{ name: 'labelled', expression: "object.metadata.labels.ready == 'yes'" }],
    },
  ]);
  const made = await one.ask('POST', maps, { metadata: { name: 'a' } });
  assert.deepEqual(made.body.metadata.labels, { ready: 'yes' });
  assert.deepEqual([first.calls.length, second.calls.length], [1, 1]);
});

test('patches: what cannot be read, does not fit, or has nothing to change', async () => {
  let answer: object = {};
  await using hook = await hookServer(() => answer);
  await using one = await securedServer();
  const hooked = (more: object = {}) =>
    configure(one, 'mutating', [
      { clientConfig: { url: hook.url, caBundle }, rules: [rule('configmaps', ['CREATE', 'DELETE'])], ...more },
    ]);
  await hooked();
  const encoded = (text: string): string => Buffer.from(text).toString('base64');
  const called = 'Internal error occurred: failed calling webhook "w0.example.com": ';
  const invalid = `${called}received invalid webhook response: `;
  for (const [response, message] of [
    [{ allowed: true, patch: encoded('[') }, `${invalid}webhook returned response.patch but not response.patchType`],
    [{ allowed: true, patchType: 'JSONPatch' }, `${invalid}webhook returned response.patchType but not response.patch`],
    [
      { allowed: true, patch: encoded('[]'), patchType: '' },
      `${invalid}webhook returned invalid response.patchType of ""`,
    ],
    [{ ...patchOf([{}]), patchType: 'Merge' }, `${called}unsupported patch type "Merge"`],
    [
      { allowed: true, patch: encoded('{}'), patchType: 'JSONPatch' },
      `${called}received undecodable patch in webhook response: a JSON patch is a list of operations`,
    ],
  ] as const) {
    answer = response;
    const failed = await one.ask('POST', maps, { metadata: { name: 'a' } });
    assert.deepEqual([failed.status, failed.body.message], [500, message]);
  }
  answer = patchOf([{ op: 'remove', path: '/metadata/none/such' }]);
  await hooked({ failurePolicy: 'Ignore' });
  const misfit = await one.ask('POST', maps, { metadata: { name: 'a' } });
  assert.equal(misfit.status, 500);
  assert.match(misfit.body.message, /^Internal error occurred: /);
  answer = { allowed: true };
  assert.equal((await one.ask('POST', maps, { metadata: { name: 'a' } })).status, 201);
  answer = patchOf([{ op: 'add', path: '/metadata/labels', value: {} }]);
  assert.equal(
    (await one.ask('DELETE', `${maps}/a`)).body.message,
    'Internal error occurred: admission webhook "w0.example.com" attempted to modify the object, which is not supported for this operation',
  );
  answer = { allowed: true, patch: encoded('['), patchType: 'JSONPatch' };
  assert.equal((await one.ask('POST', maps, { metadata: { name: 'b' } })).status, 201);
  assert.equal(one.annotations()['failed-open.mutation.webhook.admission.k8s.io/round_0_index_0'], 'w0.example.com');
});

test('validating: warnings, annotations, options, dry run; a patch is not for them', async () => {
  let answer: object = { allowed: true, warnings: ['old field', 'old field'], auditAnnotations: { why: 'because' } };
  await using hook = await hookServer(() => answer);
  await using one = await securedServer();
  await configure(one, 'validating', [
    {
      clientConfig: { url: hook.url, caBundle },
      rules: [rule('configmaps', ['CREATE', 'UPDATE', 'DELETE'])],
      sideEffects: 'NoneOnDryRun',
    },
  ]);
  const made = await one.ask('POST', `${maps}?dryRun=All&fieldManager=me`, { metadata: { name: 'a' } });
  assert.equal(made.headers.warning, '299 - "old field"');
  assert.equal(one.annotations()['w0.example.com/why'], 'because');
  assert.deepEqual(
    [hook.calls[0]?.request.dryRun, hook.calls[0]?.request.options],
    [true, { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', dryRun: ['All'], fieldManager: 'me' }],
  );
  answer = { allowed: true };
  await one.ask('POST', maps, { metadata: { name: 'a' } });
  await one.ask('PATCH', `${maps}/a?force=true&fieldManager=me`, '{"apiVersion":"v1","kind":"ConfigMap"}', {
    'content-type': 'application/apply-patch+yaml',
  });
  assert.deepEqual(hook.calls.at(-1)?.request.options, {
    ...{ kind: 'PatchOptions', apiVersion: 'meta.k8s.io/v1', force: true, fieldManager: 'me' },
  });
  await one.ask('DELETE', `${maps}/a?dryRun=All`);
  const { request } = hook.calls.at(-1) as Json;
  assert.deepEqual([request.operation, request.object, request.oldObject.metadata.name], ['DELETE', null, 'a']);
  assert.deepEqual([request.dryRun, request.options.dryRun], [true, ['All']]);
  answer = patchOf([]);
  assert.match(
    (await one.ask('POST', maps, { metadata: { name: 'b' } })).body.message,
    /received invalid webhook response: validating webhook may not return response.patch$/,
  );
});

test('webhooks that know only the older review are asked in it, and need not say whom they answer', async () => {
  await using hook = await hookServer((review, _request, response) => {
    assert.equal((review as Json).apiVersion, 'admission.k8s.io/v1beta1');
    const { patch } = patchOf([{ op: 'add', path: '/metadata/labels', value: { old: 'yes' } }]) as { patch: string };
    response.end(JSON.stringify({ response: { allowed: true, patch } }));
    return undefined;
  });
  await using one = await securedServer();
  await configure(one, 'mutating', [
    {
      clientConfig: { url: hook.url, caBundle },
      rules: [rule('configmaps')],
      admissionReviewVersions: ['v1beta1', 'v1'],
    },
  ]);
  const made = await one.ask('POST', maps, { metadata: { name: 'a' } });
  assert.deepEqual(made.body.metadata.labels, { old: 'yes' });
});

test('failures say in upstream’s words why a webhook was not reached', async () => {
  await using hook = await hookServer((_review, _request, response) => {
    response.writeHead(503).end('secret');
    return undefined;
  });
  await using one = await securedServer();
  const because = async (clientConfig: object): Promise<string> => {
    await configure(one, 'validating', [{ clientConfig, rules: [rule('configmaps')] }]);
    return (await one.ask('POST', maps, { metadata: { name: 'a' } })).body.message;
  };
  assert.match(await because({ url: hook.url, caBundle }), /: the server is currently unable to handle the request$/);
  assert.match(
    await because({ url: hook.url }),
    /: tls: failed to verify certificate: x509: certificate signed by unknown authority$/,
  );
  const named = hook.url.replace('127.0.0.1', 'localhost');
  assert.match(
    await because({ url: named, caBundle }),
    /: tls: failed to verify certificate: x509: certificate is valid for hook.default.svc, 127.0.0.1, not localhost$/,
  );
  assert.match(
    await because({ service: { namespace: 'default', name: 'none' }, caBundle }),
    /: failed to call webhook: Post "https:\/\/none.default.svc:443\/\?timeout=10s": service "none" not found$/,
  );
});

test('a connection is used again, and made anew when the webhook has closed it', async () => {
  const ports = new Set<number | undefined>();
  await using hook = await hookServer((_review, request) => {
    ports.add(request.socket.remotePort);
    return { allowed: true };
  });
  await using one = await securedServer();
  await configure(one, 'validating', [{ clientConfig: { url: hook.url, caBundle }, rules: [rule('configmaps')] }]);
  const create = async (name: string): Promise<void> =>
    assert.equal((await one.ask('POST', maps, { metadata: { name } })).status, 201);
  for (const name of ['a', 'b', 'c']) await create(name);
  assert.equal(ports.size, 1);
  hook.closeConnections();
  for (const name of ['d', 'e', 'f']) await create(name);
  assert.ok(ports.size <= 3, `${ports.size} connections`);
});
