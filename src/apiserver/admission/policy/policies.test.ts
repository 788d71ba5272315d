import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom, silentLog } from '#base';
import type { ClusterAuthorizer } from '../../authz/index.ts';
import { openAuthorizer } from '../../authz/index.ts';
import { type Json, type TestServer, testServer } from '../../test-server.ts';
import type { Link } from '../../contract.ts';
import { mutatingPolicies, validatingPolicies } from './policies.admission.ts';

const group = '/apis/admissionregistration.k8s.io/v1';
const maps = '/api/v1/namespaces/default/configmaps';

async function serverWith(audit?: Link): Promise<TestServer> {
  return testServer({
    ...(audit === undefined ? {} : { audit }),
    authorizer: (objects) => openAuthorizer({ objects }),
    admission(objects, authorizer) {
      const options = {
        objects,
        authorizer: authorizer as ClusterAuthorizer,
        clock: undefined as never,
        random: seededRandom(3),
        log: silentLog,
      };
      return [...mutatingPolicies(options), validatingPolicies(options)];
    },
  });
}

const rule = {
  apiGroups: [''],
  apiVersions: ['v1'],
  operations: ['CREATE', 'UPDATE', 'DELETE'],
  resources: ['configmaps'],
};

const policy = (kind: 'Validating' | 'Mutating', name: string, spec: object): object => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: `${kind}AdmissionPolicy`,
  metadata: { name },
  spec: {
    matchConstraints: { resourceRules: [rule] },
    ...(kind === 'Mutating' ? { reinvocationPolicy: 'Never' } : {}),
    ...spec,
  },
});
const binding = (kind: 'Validating' | 'Mutating', name: string, policyName: string, spec: object = {}): object => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: `${kind}AdmissionPolicyBinding`,
  metadata: { name },
  spec: { policyName, ...(kind === 'Validating' ? { validationActions: ['Deny'] } : {}), ...spec },
});

async function put(t: TestServer, object: object): Promise<Json> {
  const { kind } = object as Json;
  const plural = kind.endsWith('Policy') ? `${kind.slice(0, -1)}ies` : `${kind}s`;
  const made = await t.ask('POST', `${group}/${plural.toLowerCase()}`, object);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body;
}

const map = (name: string, data: object = {}, metadata: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
});

test("a policy without a binding does nothing; with one it denies in upstream's words", async () => {
  await using t = await serverWith();
  await put(t, policy('Validating', 'p', { validations: [{ expression: "object == null || object.data.a == 'x'" }] }));
  assert.equal((await t.ask('POST', maps, map('a', { a: 'y' }))).status, 201);
  await put(t, binding('Validating', 'b', 'p'));
  const denied = await t.ask('POST', maps, map('b', { a: 'y' }));
  assert.equal(denied.status, 422);
  assert.equal(denied.body.reason, 'Invalid');
  const message = `ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression: object == null || object.data.a == 'x'`;
  assert.equal(denied.body.message, `configmaps "b" is forbidden: ${message}`);
  assert.deepEqual(denied.body.details.causes, [{ message }]);
  assert.equal((await t.ask('POST', maps, map('c', { a: 'x' }))).status, 201);
  assert.equal((await t.ask('DELETE', `${maps}/a`)).status, 200);
  const failing = await t.ask('POST', maps, map('d'));
  assert.match(
    failing.body.message,
    /denied request: expression 'object == null || object.data.a == 'x'' resulted in error: no such key: a$/,
  );
  await t.ask('DELETE', `${group}/validatingadmissionpolicybindings/b`);
  assert.equal((await t.ask('POST', maps, map('e', { a: 'y' }))).status, 201);
});

test('messages, reasons, variables, match conditions, selectors, exclusions', async () => {
  await using t = await serverWith();
  await put(
    t,
    policy('Validating', 'p', {
      matchConstraints: {
        resourceRules: [rule],
        excludeResourceRules: [{ ...rule, resourceNames: ['spared'] }],
        objectSelector: { matchLabels: { watched: 'yes' } },
      },
      matchConditions: [{ name: 'not-kube', expression: "request.userInfo.username != 'kube'" }],
      variables: [
        { name: 'data', expression: 'has(object.data) ? object.data : {}' },
        { name: 'count', expression: 'size(variables.data)' },
      ],
      validations: [
        {
          expression: 'variables.count < 3',
          messageExpression: "'has ' + string(variables.count) + ' entries in ' + namespaceObject.metadata.name",
          reason: 'Forbidden',
        },
        { expression: "!('bad' in variables.data)", message: ' no bad ' },
      ],
    }),
  );
  await put(
    t,
    binding('Validating', 'b', 'p', {
      matchResources: { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } } },
    }),
  );
  const watched = { labels: { watched: 'yes' } };
  const many = await t.ask('POST', maps, map('a', { a: '1', b: '2', c: '3' }, watched));
  assert.equal(many.status, 403);
  assert.match(many.body.message, /denied request: has 3 entries in default$/);
  assert.match((await t.ask('POST', maps, map('a', { bad: '' }, watched))).body.message, /denied request: no bad$/);
  assert.equal((await t.ask('POST', maps, map('b', { bad: '' }))).status, 201, 'not selected');
  assert.equal((await t.ask('POST', maps, map('spared', { bad: '' }, watched))).status, 201);
  assert.equal(
    (await t.ask('POST', '/api/v1/namespaces/kube-system/configmaps', map('c', { bad: '' }, watched))).status,
    201,
  );
  const kube = t.server.transport({ user: 'kube', groups: ['system:masters'] });
  const made = await kube.request({ method: 'POST', target: maps, objectBody: map('d', { bad: '' }, watched) });
  assert.equal(made.status, 201);
});

test('warnings, audit, failure policy', async () => {
  const annotations = new Map<string, string>();
  await using t = await serverWith(async (request, next) => {
    const response = await next(request);
    for (const [key, value] of request.annotations) annotations.set(key, value);
    return response;
  });
  await put(
    t,
    policy('Validating', 'p', {
      validations: [{ expression: 'false', message: 'never' }],
      auditAnnotations: [
        { key: 'named', valueExpression: "'by ' + object.metadata.name" },
        { key: 'silent', valueExpression: "has(object.data) ? 'x' : ''" },
      ],
    }),
  );
  await put(t, binding('Validating', 'b', 'p', { validationActions: ['Warn', 'Audit'] }));
  await put(
    t,
    policy('Validating', 'ignored', {
      failurePolicy: 'Ignore',
      validations: [{ expression: 'object.none.such == 1' }],
    }),
  );
  await put(t, binding('Validating', 'c', 'ignored'));
  const made = await t.ask('POST', maps, map('a'));
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.equal(
    made.headers.warning,
    `299 - "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': never"`,
  );
  // Every validation that failed is told, of every binding.
  await put(t, policy('Validating', 'q', { validations: [{ expression: 'true' }, { expression: '1 > 2' }] }));
  await put(t, binding('Validating', 'd', 'q', { validationActions: ['Audit'] }));
  assert.equal((await t.ask('POST', maps, map('b'))).status, 201);
  assert.deepEqual(JSON.parse(annotations.get('validation.policy.admission.k8s.io/validation_failure') ?? ''), [
    { message: 'never', policy: 'p', binding: 'b', expressionIndex: 0, validationActions: ['Warn', 'Audit'] },
    {
      message: 'failed expression: 1 > 2',
      policy: 'q',
      binding: 'd',
      expressionIndex: 1,
      validationActions: ['Audit'],
    },
  ]);
  // An annotation that cannot be made denies, whatever the binding says of validations.
  await put(
    t,
    policy('Validating', 'r', {
      auditAnnotations: [{ key: 'k', valueExpression: 'string(object.data.none)' }],
    }),
  );
  await put(t, binding('Validating', 'e', 'r', { validationActions: ['Warn'] }));
  const refused = await t.ask('POST', maps, map('c'));
  assert.equal(refused.status, 422, JSON.stringify(refused.body));
  assert.match(
    refused.body.message,
    /ValidatingAdmissionPolicy 'r' with binding 'e' denied request: .*resulted in error: no such key: /,
  );
});

test("parameters: by name, by selector, of the request's namespace, absent", async () => {
  await using t = await serverWith();
  const withParams = {
    paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
    matchConstraints: { resourceRules: [{ ...rule, resources: ['secrets'] }] },
    validations: [
      {
        expression: 'int(params.data.most) >= size(object.metadata.name)',
        messageExpression: "'longer than ' + params.data.most",
      },
    ],
  };
  await put(t, policy('Validating', 'p', withParams));
  await put(t, binding('Validating', 'b', 'p', { paramRef: { name: 'limits', parameterNotFoundAction: 'Deny' } }));
  const secrets = '/api/v1/namespaces/default/secrets';
  const secret = (name: string): object => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name } });
  const absent = await t.ask('POST', secrets, secret('ab'));
  assert.match(
    absent.body.message,
    /^secrets "ab" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction$/,
  );
  await t.ask('POST', maps, map('limits', { most: '3' }, { labels: { limits: 'yes' } }));
  assert.equal((await t.ask('POST', secrets, secret('ab'))).status, 201);
  assert.match((await t.ask('POST', secrets, secret('abcd'))).body.message, /denied request: longer than 3$/);
  await t.ask('DELETE', `${group}/validatingadmissionpolicybindings/b`);
  await put(
    t,
    binding('Validating', 'c', 'p', {
      paramRef: { selector: { matchLabels: { limits: 'yes' } }, parameterNotFoundAction: 'Allow' },
    }),
  );
  await t.ask('POST', maps, map('more', { most: '2' }, { labels: { limits: 'yes' } }));
  assert.match((await t.ask('POST', secrets, secret('abc'))).body.message, /longer than 2$/);
  await t.ask('DELETE', `${maps}/limits`);
  await t.ask('DELETE', `${maps}/more`);
  assert.equal((await t.ask('POST', secrets, secret('abcdef'))).status, 201);
  await put(
    t,
    policy('Validating', 'q', { ...withParams, paramKind: { apiVersion: 'no.such.group/v1', kind: 'Thing' } }),
  );
  await put(t, binding('Validating', 'd', 'q', { paramRef: { name: 'x', parameterNotFoundAction: 'Allow' } }));
  assert.match(
    (await t.ask('POST', secrets, secret('x'))).body.message,
    /ValidatingAdmissionPolicy 'q' denied request: failed to configure policy: failed to find resource referenced by paramKind: 'no.such.group\/v1, Kind=Thing'$/,
  );
});

test('the authorizer can be asked', async () => {
  await using t = await serverWith();
  await put(
    t,
    policy('Validating', 'p', {
      validations: [
        {
          expression: "authorizer.group('').resource('pods').namespace('default').check('create').allowed()",
          message: 'cannot make pods',
        },
        { expression: "authorizer.requestResource.check('delete').allowed()", message: 'cannot delete maps' },
        {
          expression: "!authorizer.serviceAccount('default', 'nobody').path('/healthz').check('get').allowed()",
          message: 'somebody',
        },
      ],
    }),
  );
  await put(t, binding('Validating', 'b', 'p'));
  assert.equal((await t.ask('POST', maps, map('a'))).status, 201);
  await t.ask('POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    metadata: { name: 'maps' },
    rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['create'] }],
  });
  await t.ask('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: 'maps' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'maps' },
    subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'jane' }],
  });
  const jane = t.server.transport({ user: 'jane', groups: ['system:authenticated'] });
  const answer = await jane.request({ method: 'POST', target: maps, objectBody: map('b') });
  assert.match(Buffer.from(await answer.bytes()).toString(), /cannot make pods/);
});

test('mutations: apply configurations, patches, order, once more when needed', async () => {
  await using t = await serverWith();
  await put(
    t,
    policy('Mutating', 'a-label', {
      reinvocationPolicy: 'IfNeeded',
      matchConditions: [{ name: 'new', expression: "request.operation == 'CREATE'" }],
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: {
            expression:
              "Object{metadata: Object.metadata{labels: {'entries': string(has(object.data) ? size(object.data) : 0)}}}",
          },
        },
      ],
    }),
  );
  await put(t, binding('Mutating', 'a', 'a-label'));
  await put(
    t,
    policy('Mutating', 'b-data', {
      mutations: [
        {
          patchType: 'JSONPatch',
          jsonPatch: {
            expression:
              "[JSONPatch{op: 'add', path: '/data/two', value: 'yes'}, JSONPatch{op: 'add', path: '/metadata/annotations', value: {'example.com/a': 'b'}}, JSONPatch{op: 'add', path: '/metadata/annotations/' + jsonpatch.escapeKey('example.com/c'), value: 'd'}]",
          },
        },
      ],
    }),
  );
  await put(t, binding('Mutating', 'b', 'b-data'));
  const made = await t.ask('POST', maps, map('m', { one: '1' }));
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.deepEqual(made.body.data, { one: '1', two: 'yes' });
  assert.deepEqual(made.body.metadata.annotations, { 'example.com/a': 'b', 'example.com/c': 'd' });
  assert.deepEqual(made.body.metadata.labels, { entries: '2' });
  const managers = made.body.metadata.managedFields.map((one: Json) => one.manager);
  assert.deepEqual(managers, ['test']);
});

test("a mutation merges lists by their keys, and its failure is the policy's", async () => {
  await using t = await serverWith();
  const pods = { ...rule, resources: ['pods'] };
  await put(
    t,
    policy('Mutating', 'sidecar', {
      matchConstraints: { resourceRules: [pods] },
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: {
            expression: `Object{spec: Object.spec{
              initContainers: [Object.spec.initContainers{name: 'mesh', image: 'mesh:1', restartPolicy: 'Always'}],
              containers: object.spec.containers.map(c, Object.spec.containers{name: c.name, env: [Object.spec.containers.env{name: 'MESH', value: 'on'}]})
            }}`,
          },
        },
      ],
    }),
  );
  await put(t, binding('Mutating', 's', 'sidecar'));
  const made = await t.ask('POST', '/api/v1/namespaces/default/pods', {
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'i', env: [{ name: 'A', value: '1' }] }] },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.deepEqual(
    made.body.spec.initContainers.map((one: Json) => [one.name, one.image, one.restartPolicy]),
    [['mesh', 'mesh:1', 'Always']],
  );
  assert.deepEqual(made.body.spec.containers[0].env, [
    { name: 'A', value: '1' },
    { name: 'MESH', value: 'on' },
  ]);
  assert.equal(made.body.spec.containers[0].image, 'i');
  await put(
    t,
    policy('Mutating', 'atomic', {
      matchConstraints: { resourceRules: [pods] },
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: {
            expression: `Object{spec: Object.spec{
              nodeSelector: Object.spec.nodeSelector{},
              containers: [Object.spec.containers{name: 'c', args: ['x']}],
              tolerations: [Object.spec.tolerations{key: 'k'}]
            }}`,
          },
        },
      ],
    }),
  );
  await put(t, binding('Mutating', 'a', 'atomic'));
  const refused = await t.ask('POST', '/api/v1/namespaces/default/pods', {
    metadata: { name: 'q' },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  });
  assert.match(
    refused.body.message,
    /denied request: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: \.spec\.nodeSelector, \.spec\.containers\[0\]\.args, \.spec\.tolerations$/,
  );
  await t.ask('DELETE', '/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies/atomic');
  await put(
    t,
    policy('Mutating', 'wrong', {
      mutations: [
        { patchType: 'ApplyConfiguration', applyConfiguration: { expression: "Object{data: Object.spec{a: 'b'}}" } },
      ],
    }),
  );
  await put(t, binding('Mutating', 'w', 'wrong'));
  const failed = await t.ask('POST', maps, map('x'));
  assert.match(
    failed.body.message,
    /policy 'wrong' with binding 'w' denied request: unexpected type name "Object.spec", expected "Object.data"/,
  );
});

test('expressions are checked when a policy comes', async () => {
  await using t = await serverWith();
  const ask = (kind: 'Validating' | 'Mutating', spec: object): Promise<Json> =>
    t.ask('POST', `${group}/${kind.toLowerCase()}admissionpolicies`, policy(kind, 'p', spec));
  const bad = await ask('Validating', {
    matchConditions: [{ name: 'c', expression: '1' }],
    variables: [{ name: 'v', expression: 'nope' }],
    validations: [{ expression: 'variables.v == params', messageExpression: '1 + 1' }],
    auditAnnotations: [{ key: 'k', valueExpression: '1' }],
  });
  assert.equal(bad.status, 422);
  assert.deepEqual(
    bad.body.details.causes.map((one: Json) => `${one.field}: ${one.message.split('\n')[0]}`),
    [
      'spec.matchConditions[0].expression: Invalid value: "1": must evaluate to bool but got int',
      `spec.variables[0].expression: Invalid value: "nope": compilation failed: ERROR: <input>:1:1: undeclared reference to 'nope' (in container '')`,
      `spec.validations[0].expression: Invalid value: "variables.v == params": compilation failed: ERROR: <input>:1:16: undeclared reference to 'params' (in container '')`,
      'spec.validations[0].messageExpression: Invalid value: "1 + 1": must evaluate to string but got int',
      'spec.auditAnnotations[0].valueExpression: Invalid value: "1": must evaluate to one of [string null_type] but got int',
    ],
  );
  const mutating = await ask('Mutating', {
    mutations: [{ patchType: 'ApplyConfiguration', applyConfiguration: { expression: '1' } }],
  });
  assert.match(
    mutating.body.message,
    /spec.mutations\[0\].applyConfiguration.expression: Invalid value: "1": must evaluate to Object but got int/,
  );
});

test('type checking tells what a policy has against its kinds', async () => {
  await using t = await serverWith();
  const deployments = { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] };
  await put(
    t,
    policy('Validating', 'p', {
      matchConstraints: { resourceRules: [deployments] },
      validations: [
        { expression: 'object.spec.replicas < 5' },
        { expression: "object.spec.replicaz == 1 && object.metadata.name.startsWith('a')" },
      ],
    }),
  );
  let status: Json;
  for (let attempt = 0; attempt < 1000 && status?.observedGeneration === undefined; attempt++) {
    await new Promise((resolve) => setImmediate(resolve));
    status = (await t.ask('GET', `${group}/validatingadmissionpolicies/p`)).body.status;
  }
  assert.equal(status.observedGeneration, 1);
  assert.deepEqual(status.typeChecking, {
    expressionWarnings: [
      {
        fieldRef: 'spec.validations[1].expression',
        warning: `apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'replicaz'\n | object.spec.replicaz == 1 && object.metadata.name.startsWith('a')\n | ...........^`,
      },
    ],
  });
});

test('an expression that would run for long ends by its cost, and policies cannot lock themselves in', async () => {
  await using t = await serverWith();
  await put(
    t,
    policy('Validating', 'p', {
      matchConstraints: {
        resourceRules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*'] }],
      },
      validations: [
        {
          expression:
            "object == null || !has(object.data) || [1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, object.data.all(k, object.data.all(l, object.data.all(m, k != 'zz'))))))",
        },
      ],
    }),
  );
  await put(t, binding('Validating', 'b', 'p'));
  const big = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`k${index}`, 'v'.repeat(100)]));
  const started = Date.now();
  const denied = await t.ask('POST', maps, map('big', big));
  assert.match(denied.body.message, /resulted in error: operation cancelled: actual cost limit exceeded$/);
  assert.ok(Date.now() - started < 60_000, `${Date.now() - started} ms`);
  assert.equal((await t.ask('POST', maps, map('small', { a: 'b' }))).status, 201);
  assert.equal((await t.ask('DELETE', `${group}/validatingadmissionpolicybindings/b`)).status, 200);
});

test('selectors of devices are checked when they come', async () => {
  await using t = await serverWith();
  const ask = (expression: string): Promise<Json> =>
    t.ask('POST', '/apis/resource.k8s.io/v1/deviceclasses?dryRun=All', {
      metadata: { name: 'gpu' },
      spec: { selectors: [{ cel: { expression } }] },
    });
  const fine =
    "device.driver == 'gpu.example.com' && device.attributes['gpu.example.com'].model.startsWith('x') && device.capacity['gpu.example.com'].memory.compareTo(quantity('1Gi')) >= 0";
  assert.equal((await ask(fine)).status, 201);
  assert.match(
    (await ask('device.drivr')).body.message,
    /spec.selectors\[0\].cel.expression: Invalid value: "device.drivr": compilation failed: ERROR: <input>:1:7: undefined field 'drivr'/,
  );
  assert.match((await ask('device.driver')).body.message, /must evaluate to bool or the unknown type, not string$/);
  const ten = '[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]';
  const deep = `${ten}.all(a, ${ten}.all(b, ${ten}.all(c, ${ten}.all(d, ${ten}.all(e, ${ten}.all(f, ${ten}.all(g, int('1'.find('[0-9]*')) < 100)))))))`;
  assert.match(
    (await ask(deep)).body.message,
    /spec.selectors\[0\].cel.expression: Forbidden: too complex, exceeds cost limit$/,
  );
  const claim = await t.ask('POST', '/apis/resource.k8s.io/v1/namespaces/default/resourceclaims?dryRun=All', {
    metadata: { name: 'c' },
    spec: {
      devices: {
        requests: [{ name: 'r', exactly: { deviceClassName: 'gpu', selectors: [{ cel: { expression: '1' } }] } }],
      },
    },
  });
  assert.match(
    claim.body.message,
    /spec.devices.requests\[0\].exactly.selectors\[0\].cel.expression: Invalid value: "1": must evaluate to bool/,
  );
});

test('another version of the same resource is seen in the version that the rules name', async () => {
  await using t = await serverWith();
  const autoscalers = {
    apiGroups: ['autoscaling'],
    apiVersions: ['v2'],
    operations: ['CREATE'],
    resources: ['horizontalpodautoscalers'],
  };
  const expression =
    "object.apiVersion == 'autoscaling/v2' && request.kind.version == 'v2' && object.spec.metrics.all(m, m.resource.target.averageUtilization < 90)";
  await put(
    t,
    policy('Validating', 'p', { matchConstraints: { resourceRules: [autoscalers] }, validations: [{ expression }] }),
  );
  await put(t, binding('Validating', 'b', 'p'));
  await put(
    t,
    policy('Mutating', 'm', {
      matchConstraints: { resourceRules: [autoscalers] },
      mutations: [
        {
          patchType: 'JSONPatch',
          jsonPatch: { expression: "[JSONPatch{op: 'replace', path: '/spec/maxReplicas', value: 7}]" },
        },
      ],
    }),
  );
  await put(t, binding('Mutating', 'm', 'm'));
  const make = (name: string, target: number): Promise<Json> =>
    t.ask('POST', '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers', {
      metadata: { name },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'x' },
        maxReplicas: 3,
        targetCPUUtilizationPercentage: target,
      },
    });
  const made = await make('a', 50);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.equal(made.body.apiVersion, 'autoscaling/v1');
  assert.equal(made.body.spec.maxReplicas, 7);
  assert.equal(made.body.spec.targetCPUUtilizationPercentage, 50);
  assert.match((await make('b', 95)).body.message, /denied request: failed expression/);
  await put(
    t,
    policy('Validating', 'exact', {
      matchConstraints: { matchPolicy: 'Exact', resourceRules: [autoscalers] },
      validations: [{ expression: 'false' }],
    }),
  );
  await put(t, binding('Validating', 'exact', 'exact'));
  assert.equal((await make('c', 50)).status, 201);
});
