import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Identity } from '#wire';
import { admissionPlugins } from '../admission/index.ts';
import { ManualClock, seededRandom, silentLog } from '#base';
import { openAuthenticator } from '../authn/index.ts';
import { type Answer, type Json, type TestServer, testServer } from '../test-server.ts';
import { bootstrapPolicy, type ClusterAuthorizer, openAuthorizer, reviewHandlers } from './index.ts';

type Secured = TestServer & { as(identity: Identity, method: string, target: string, body?: Json): Promise<Answer> };

async function secured(): Promise<Secured> {
  const clock = new ManualClock();
  const t = await testServer({
    clock,
    authenticator: (objects) => openAuthenticator({ clock, objects, audiences: ['api'] }),
    authorizer: (objects) => openAuthorizer({ objects }),
    admission: (objects, authorizer) =>
      admissionPlugins({
        objects,
        authorizer: authorizer as ClusterAuthorizer,
        clock,
        random: seededRandom(2),
        log: silentLog,
      }),
    reviews: (_objects, authenticator, authorizer) => reviewHandlers({ authenticator, authorizer, audiences: ['api'] }),
    policy: [...bootstrapPolicy()],
  });
  return Object.assign(t, {
    async as(identity: Identity, method: string, target: string, body?: Json): Promise<Answer> {
      const response = await t.server.transport(identity).request({
        method: method as 'GET',
        target,
        ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
      });
      const text = Buffer.from(await response.bytes()).toString();
      return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
    },
  });
}

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const reviews = '/apis/authorization.k8s.io/v1';
const bob: Identity = { user: 'bob', groups: ['system:authenticated'] };
const roleRef = (kind: string, name: string): Json => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name });
const binding = (name: string, ref: Json): Json => ({
  metadata: { name },
  roleRef: ref,
  subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'bob' }],
});

async function giveBob(t: Secured, rules: Json[]): Promise<void> {
  const role = { metadata: { name: 'own' }, rules };
  assert.equal((await t.ask('POST', `${rbac}/namespaces/default/roles`, role)).status, 201);
  const bound = await t.ask('POST', `${rbac}/namespaces/default/rolebindings`, binding('own', roleRef('Role', 'own')));
  assert.equal(bound.status, 201, JSON.stringify(bound.body));
  for (let i = 0; i < 1000; i++)
    if ((await t.as(bob, 'GET', `${rbac}/namespaces/default/roles`)).status === 200) return;
  throw new Error('the binding does not count');
}

const roles = { apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles', 'rolebindings'], verbs: ['*'] };

test('nobody hands out what they do not hold, in the words of upstream', async () => {
  await using t = await secured();
  await giveBob(t, [roles, { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] }]);
  const make = (rules: Json[]): Promise<Answer> =>
    t.as(bob, 'POST', `${rbac}/namespaces/default/roles?dryRun=All`, { metadata: { name: 'x' }, rules });
  const who =
    'user "bob" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:';
  // `*` on roles holds `escalate`, as it does upstream.
  assert.equal((await make([{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }])).status, 201);
  const bind = (ref: Json): Promise<Answer> =>
    t.as(bob, 'POST', `${rbac}/namespaces/default/rolebindings?dryRun=All`, binding('x', ref));
  const high = await bind(roleRef('ClusterRole', 'cluster-admin'));
  assert.equal(high.status, 403);
  assert.equal(
    high.body.message,
    `rolebindings.rbac.authorization.k8s.io "x" is forbidden: ${who}\n{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n{NonResourceURLs:["*"], Verbs:["*"]}`,
  );
  const missing = await bind(roleRef('ClusterRole', 'none'));
  assert.deepEqual(
    [missing.status, missing.body.message],
    [404, 'clusterroles.rbac.authorization.k8s.io "none" not found'],
  );
  await t.ask('PUT', `${rbac}/namespaces/default/roles/own`, {
    ...(await t.ask('GET', `${rbac}/namespaces/default/roles/own`)).body,
    rules: [
      { ...roles, verbs: ['get', 'create', 'update'] },
      { apiGroups: [''], resources: ['configmaps'], verbs: ['get'] },
    ],
  });
  let refused = await make([
    { apiGroups: ['', 'apps'], resources: ['secrets'], resourceNames: ['a', 'b'], verbs: ['get'] },
  ]);
  for (let i = 0; i < 1000 && refused.status === 201; i++)
    refused = await make([
      { apiGroups: ['', 'apps'], resources: ['secrets'], resourceNames: ['a', 'b'], verbs: ['get'] },
    ]);
  assert.equal(refused.status, 403, JSON.stringify(refused.body));
  assert.equal(
    refused.body.message,
    `roles.rbac.authorization.k8s.io "x" is forbidden: ${who}\n${['', 'apps']
      .flatMap((group) =>
        ['a', 'b'].map(
          (name) => `{APIGroups:["${group}"], Resources:["secrets"], ResourceNames:["${name}"], Verbs:["get"]}`,
        ),
      )
      .join('\n')}`,
  );
  assert.equal((await make([{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }])).status, 201);
});

test('rules reviews tell what is held, and roles that are not there', async () => {
  await using t = await secured();
  await giveBob(t, [roles]);
  await t.ask('POST', `${rbac}/namespaces/default/rolebindings`, binding('m', roleRef('Role', 'none')));
  const ask = (spec: Json): Promise<Answer> => t.as(bob, 'POST', `${reviews}/selfsubjectrulesreviews`, { spec });
  let answer = await ask({ namespace: 'default' });
  for (let i = 0; i < 1000 && answer.body.status.evaluationError === undefined; i++)
    answer = await ask({ namespace: 'default' });
  const { spec, status } = answer.body;
  assert.deepEqual(spec, {});
  assert.equal(status.incomplete, false);
  assert.equal(status.evaluationError, 'role.rbac.authorization.k8s.io "none" not found');
  assert.ok(status.resourceRules.some((one: Json) => one.resources.includes('rolebindings')));
  const none = await ask({});
  assert.deepEqual([none.status, none.body.message], [400, 'no namespace on request']);
});

test('what access reviews refuse', async () => {
  await using t = await secured();
  const told = async (spec: Json): Promise<string[]> => {
    const { body } = await t.ask('POST', `${reviews}/subjectaccessreviews`, { spec });
    return (body.details?.causes ?? []).map((one: Json) => `${one.field}: ${one.message}`);
  };
  const at = 'spec.resourceAttributes';
  const selecting = (name: string, selector: Json): Json => ({
    user: 'x',
    resourceAttributes: { verb: 'list', resource: 'pods', [name]: selector },
  });
  assert.deepEqual(await told({ user: 'x' }), [
    `${at}: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified`,
  ]);
  assert.deepEqual(await told(selecting('fieldSelector', { rawSelector: 'a', requirements: [{}] })), [
    `${at}.fieldSelector.rawSelector: Invalid value: "a": may not specified at the same time as requirements`,
    `${at}.fieldSelector.requirements[0].key: Required value: must be specified`,
  ]);
  assert.deepEqual(await told(selecting('labelSelector', {})), [
    `${at}.labelSelector.requirements: Required value: when ${at}.labelSelector is specified, requirements or rawSelector is required`,
  ]);
  assert.deepEqual(
    await told(
      selecting('fieldSelector', {
        requirements: [
          { key: 'k', operator: 'In' },
          { key: 'k', operator: 'Exists', values: ['v'] },
          { key: 'k', operator: 'Later', values: ['v'] },
        ],
      }),
    ),
    [
      `${at}.fieldSelector.requirements[0].values: Required value: must be specified when \`operator\` is 'In' or 'NotIn'`,
      `${at}.fieldSelector.requirements[1].values: Forbidden: may not be specified when \`operator\` is 'Exists' or 'DoesNotExist'`,
    ],
  );
});

test('selectors of an access review count for nodes, that may list only their own pods', async () => {
  await using t = await secured();
  const ask = async (fieldSelector: Json): Promise<Json> => {
    const { body } = await t.ask('POST', `${reviews}/subjectaccessreviews`, {
      spec: {
        user: 'system:node:n1',
        groups: ['system:nodes', 'system:authenticated'],
        resourceAttributes: { verb: 'list', resource: 'pods', ...(fieldSelector && { fieldSelector }) },
      },
    });
    return body.status;
  };
  assert.equal((await ask({ rawSelector: 'spec.nodeName=n1' })).allowed, true);
  assert.equal((await ask({ requirements: [{ key: 'spec.nodeName', operator: 'In', values: ['n1'] }] })).allowed, true);
  assert.equal((await ask({ rawSelector: 'spec.nodeName=n2' })).allowed, false);
  assert.deepEqual(await ask(undefined), {
    allowed: false,
    reason: 'can only list/watch pods with spec.nodeName field selector',
  });
});

test('a node is told of its own Node alone, and its Secrets by its own authorizer', async () => {
  await using t = await secured();
  const node: Identity = { user: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] };
  const told = async (method: string, target: string): Promise<string> =>
    (await t.as(node, method, target)).body.message.replace(/^.*(?:scope|"default")/, '');
  assert.equal(await told('GET', '/api/v1/nodes/n2'), ": node 'n1' cannot read 'n2', only its own Node object");
  assert.equal(await told('GET', '/api/v1/nodes'), ": node 'n1' cannot read all nodes, only its own Node object");
  assert.equal(await told('DELETE', '/api/v1/nodes/n1'), '');
  assert.equal(
    await told('GET', '/api/v1/namespaces/default/secrets/x'),
    ": no relationship found between node 'n1' and this object",
  );
});
