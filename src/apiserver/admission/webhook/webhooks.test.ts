import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom, silentLog } from '#base';
import type { ClusterAuthorizer } from '../../authz/index.ts';
import { openAuthorizer } from '../../authz/index.ts';
import { type TestServer, testServer } from '../../test-server.ts';
import type { AdmissionOptions } from '../options.ts';
import { caBundle, hookServer, patchOf, type Review } from './test-hook.ts';
import { mutatingWebhooks, validatingWebhooks } from './webhooks.admission.ts';

async function serverWith(resolveService?: AdmissionOptions['resolveService']): Promise<TestServer> {
  return testServer({
    authorizer: (objects) => openAuthorizer({ objects }),
    admission(objects, authorizer) {
      const options = {
        objects,
        authorizer: authorizer as ClusterAuthorizer,
        clock: undefined as never,
        random: seededRandom(3),
        log: silentLog,
        ...(resolveService === undefined ? {} : { resolveService }),
      };
      return [mutatingWebhooks(options), validatingWebhooks(options)];
    },
  });
}

const rules = [
  {
    apiGroups: [''],
    apiVersions: ['v1'],
    operations: ['CREATE', 'UPDATE', 'DELETE'],
    resources: ['configmaps'],
    scope: '*',
  },
];

async function configure(
  one: TestServer,
  kind: 'Mutating' | 'Validating',
  webhooks: readonly object[],
  name = 'x',
): Promise<void> {
  const full = webhooks.map((webhook, index) => ({
    name: `w${index}.example.com`,
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    rules,
    failurePolicy: 'Fail',
    ...webhook,
  }));
  const made = await one.ask(
    'POST',
    `/apis/admissionregistration.k8s.io/v1/${kind.toLowerCase()}webhookconfigurations`,
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: `${kind}WebhookConfiguration`,
      metadata: { name },
      webhooks: full,
    },
  );
  assert.equal(made.status, 201, JSON.stringify(made.body));
}

const maps = '/api/v1/namespaces/default/configmaps';
const map = (name: string, labels?: object): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...(labels === undefined ? {} : { labels }) },
});

test('a validating webhook sees the whole request and its refusal reaches the client', async () => {
  await using hook = await hookServer(({ request }) =>
    request.operation === 'DELETE'
      ? { allowed: true, warnings: ['going'] }
      : { allowed: false, status: { message: 'no maps', code: 422 } },
  );
  await using one = await serverWith();
  await configure(one, 'Validating', [{ clientConfig: { url: hook.url, caBundle } }]);
  const refused = await one.ask('POST', maps, map('a'));
  assert.equal(refused.status, 422);
  assert.equal(refused.body.message, 'admission webhook "w0.example.com" denied the request: no maps');
  const { request } = hook.calls[0] as Review;
  assert.deepEqual(
    [request.operation, request.resource, request.namespace, request.name, request.dryRun],
    ['CREATE', { group: '', version: 'v1', resource: 'configmaps' }, 'default', 'a', false],
  );
  assert.equal((request.userInfo as { username: string }).username, 'admin');
});

test('mutating webhooks run in order and once more when asked and needed', async () => {
  await using first = await hookServer(({ request }) =>
    patchOf([
      {
        op: 'add',
        path: '/metadata/labels',
        value: {
          ...request.object.metadata.labels,
          first: String(Object.keys(request.object.metadata.labels ?? {}).length),
        },
      },
    ]),
  );
  await using second = await hookServer(() => patchOf([{ op: 'add', path: '/metadata/labels/second', value: 'yes' }]));
  await using one = await serverWith();
  await configure(one, 'Mutating', [
    { clientConfig: { url: first.url, caBundle }, reinvocationPolicy: 'IfNeeded' },
    { clientConfig: { url: second.url, caBundle } },
  ]);
  const made = await one.ask('POST', maps, map('a'));
  assert.deepEqual(made.body.metadata.labels, { first: '2', second: 'yes' });
  assert.equal(first.calls.length, 2);
  assert.equal(second.calls.length, 1);
});

test('selectors choose; webhook configurations themselves are never sent', async () => {
  await using hook = await hookServer(() => ({ allowed: false }));
  await using one = await serverWith();
  await configure(one, 'Validating', [
    {
      clientConfig: { url: hook.url, caBundle },
      objectSelector: { matchLabels: { watched: 'yes' } },
      rules: [{ ...rules[0], apiGroups: ['*'], resources: ['*/*'] }],
    },
  ]);
  assert.equal((await one.ask('POST', maps, map('a'))).status, 201);
  const refused = await one.ask('POST', maps, map('b', { watched: 'yes' }));
  assert.equal(refused.body.message, 'admission webhook "w0.example.com" denied the request without explanation');
  await configure(
    one,
    'Validating',
    [{ clientConfig: { url: hook.url, caBundle }, namespaceSelector: { matchLabels: { none: 'such' } } }],
    'y',
  );
  assert.equal((await one.ask('POST', maps, map('c'))).status, 201);
  assert.equal(hook.calls.length, 1);
});

test('failures: closed or open by policy; redirects are failures; an answer for another request too', async () => {
  await using away = await hookServer((_review, _request, response) => {
    response.writeHead(302, { location: 'https://127.0.0.1:1/' }).end('secret body');
    return undefined;
  });
  await using wrong = await hookServer(() => ({ uid: 'other', allowed: true }));
  await using one = await serverWith();
  for (const [url, why] of [
    [
      away.url,
      /failed to call webhook: the server responded with the status code 302 but did not return more information$/,
    ],
    [wrong.url, /expected response.uid/],
    ['https://127.0.0.1:1/', /: dial tcp 127\.0\.0\.1:1: connect: connection refused$/],
  ] as const) {
    await configure(one, 'Validating', [{ clientConfig: { url, caBundle } }]);
    const failed = await one.ask('POST', maps, map('a'));
    assert.equal(failed.status, 500);
    assert.match(failed.body.message, /^Internal error occurred: failed calling webhook "w0.example.com": /);
    assert.match(failed.body.message, why);
    assert.doesNotMatch(failed.body.message, /secret body/);
    await one.ask('DELETE', '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/x');
  }
  await configure(one, 'Validating', [{ clientConfig: { url: away.url, caBundle }, failurePolicy: 'Ignore' }]);
  assert.equal((await one.ask('POST', maps, map('a'))).status, 201);
});

test('a slow webhook is given up after its time', async () => {
  await using hook = await hookServer(() => undefined);
  await using one = await serverWith();
  await configure(one, 'Validating', [{ clientConfig: { url: hook.url, caBundle }, timeoutSeconds: 1 }]);
  const failed = await one.ask('POST', maps, map('a'));
  assert.match(failed.body.message, /check\?timeout=1s": context deadline exceeded$/);
});

test('a Service is reached where the resolver says, under its own name', async () => {
  await using hook = await hookServer(() => ({ allowed: false, status: { message: 'via service' } }));
  const asked: object[] = [];
  await using one = await serverWith(async (service) => {
    asked.push(service);
    return { host: '127.0.0.1', port: hook.port };
  });
  await configure(one, 'Validating', [
    { clientConfig: { service: { namespace: 'default', name: 'hook', path: '/p' }, caBundle } },
  ]);
  assert.match((await one.ask('POST', maps, map('a'))).body.message, /via service/);
  assert.deepEqual(asked, [{ namespace: 'default', name: 'hook', port: 443 }]);
});

test('dry run is not for webhooks with side effects', async () => {
  await using hook = await hookServer(() => ({ allowed: true }));
  await using one = await serverWith();
  await configure(one, 'Validating', [{ clientConfig: { url: hook.url, caBundle }, sideEffects: 'NoneOnDryRun' }]);
  assert.equal((await one.ask('POST', `${maps}?dryRun=All`, map('a'))).status, 201);
  assert.equal((hook.calls[0] as Review).request.dryRun, true);
});

test('match conditions choose; one that cannot be evaluated counts as the failure policy says', async () => {
  await using hook = await hookServer(() => ({ allowed: false }));
  await using one = await serverWith();
  const clientConfig = { url: hook.url, caBundle };
  const conditions = [
    { name: 'named', expression: "object.metadata.name.startsWith('watched')" },
    { name: 'allowed', expression: "authorizer.group('').resource('pods').check('create').allowed()" },
  ];
  await configure(one, 'Validating', [{ clientConfig, matchConditions: conditions }]);
  assert.equal((await one.ask('POST', maps, map('free'))).status, 201);
  assert.equal(hook.calls.length, 0);
  assert.match((await one.ask('POST', maps, map('watched'))).body.message, /denied the request without explanation/);
  await one.ask('DELETE', '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/x');
  const broken = [{ name: 'broken', expression: "object.data.none == 'x'" }];
  await configure(one, 'Mutating', [{ clientConfig, matchConditions: broken }]);
  const failed = await one.ask('POST', maps, map('a'));
  assert.equal(failed.status, 403);
  assert.equal(
    failed.body.message,
    `configmaps "a" is forbidden: expression 'object.data.none == 'x'' resulted in error: no such key: data`,
  );
  await one.ask('DELETE', '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/x');
  await configure(one, 'Mutating', [{ clientConfig, matchConditions: broken, failurePolicy: 'Ignore' }]);
  assert.equal((await one.ask('POST', maps, map('a'))).status, 201);
  const bad = await one.ask('POST', '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations', {
    metadata: { name: 'bad' },
    webhooks: [
      {
        name: 'w.example.com',
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
        rules,
        clientConfig,
        matchConditions: [{ name: 'c', expression: 'object.x +' }],
      },
    ],
  });
  assert.match(
    bad.body.message,
    /webhooks\[0\].matchConditions\[0\].expression: Invalid value: "object.x \+": compilation failed: ERROR: <input>:1:11: Syntax error/,
  );
});

test('a webhook sees other versions of a resource in the one that its rules name', async () => {
  await using hook = await hookServer(({ request }) =>
    patchOf([
      {
        op: 'replace',
        path: '/spec/maxReplicas',
        value: (request.object as unknown as { spec: { maxReplicas: number } }).spec.maxReplicas + 1,
      },
    ]),
  );
  await using one = await serverWith();
  const autoscalers = {
    apiGroups: ['autoscaling'],
    apiVersions: ['v2'],
    operations: ['CREATE'],
    resources: ['horizontalpodautoscalers'],
  };
  await configure(one, 'Mutating', [{ clientConfig: { url: hook.url, caBundle }, rules: [autoscalers] }]);
  const make = (name: string): ReturnType<TestServer['ask']> =>
    one.ask('POST', '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers', {
      metadata: { name },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'x' },
        maxReplicas: 3,
        targetCPUUtilizationPercentage: 50,
      },
    });
  const made = await make('a');
  assert.equal(made.body.spec.maxReplicas, 4, JSON.stringify(made.body));
  assert.equal(made.body.spec.targetCPUUtilizationPercentage, 50);
  const { request } = hook.calls[0] as Review;
  assert.deepEqual(
    [request.kind, request.requestKind, (request.object as unknown as { apiVersion: string }).apiVersion],
    [
      { group: 'autoscaling', version: 'v2', kind: 'HorizontalPodAutoscaler' },
      { group: 'autoscaling', version: 'v1', kind: 'HorizontalPodAutoscaler' },
      'autoscaling/v2',
    ],
  );
  await configure(
    one,
    'Validating',
    [{ clientConfig: { url: hook.url, caBundle }, rules: [autoscalers], matchPolicy: 'Exact' }],
    'exact',
  );
  await make('b');
  assert.equal(hook.calls.length, 2);
});
