import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Identity } from '#wire';
import type { RequestAttributes } from '../contract.ts';
import { FakeView } from './fake-view.ts';
import { bootstrapPolicy, type PolicyObject, reconcilePolicyObject } from './policy.ts';
import { parseRule } from './policy-rules.ts';
import { openRbacAuthorizer } from './rbac.ts';
import { joinRules, ruleCovers, ruleText, splitRule } from './rule-match.ts';

const policy = bootstrapPolicy();
const ofKind = (kind: string): PolicyObject[] => policy.filter((one) => one.kind === kind);

function authorizer() {
  const views = {
    roles: new FakeView(ofKind('Role')),
    roleBindings: new FakeView(ofKind('RoleBinding')),
    clusterRoles: new FakeView(ofKind('ClusterRole')),
    clusterRoleBindings: new FakeView(ofKind('ClusterRoleBinding')),
  };
  return { views, rbac: openRbacAuthorizer(views) };
}

/** `verb resource.group/sub namespace/name` or `verb /path`. */
function ask(identity: Identity, text: string): RequestAttributes {
  const [verb = '', what = '', where = ''] = text.split(' ');
  const none = { group: '', version: 'v1', resource: '', subresource: '', namespace: '', name: '', path: '' };
  if (what.startsWith('/')) return { ...none, identity, verb, isResource: false, path: what };
  const [full = '', subresource = ''] = what.split('/');
  const dot = full.indexOf('.');
  const [namespace = '', name = ''] = where.split('/');
  return {
    ...none,
    identity,
    verb,
    isResource: true,
    resource: dot < 0 ? full : full.slice(0, dot),
    group: dot < 0 ? '' : full.slice(dot + 1),
    subresource,
    namespace,
    name,
  };
}

const user = (name: string, ...groups: string[]): Identity => ({
  user: name,
  groups: [...groups, 'system:authenticated'],
});
const account = (name: string): Identity =>
  user(`system:serviceaccount:kube-system:${name}`, 'system:serviceaccounts', 'system:serviceaccounts:kube-system');
const anonymous: Identity = { user: 'system:anonymous', groups: ['system:unauthenticated'] };

const table: readonly (readonly [identity: Identity, request: string, allowed: boolean])[] = [
  [anonymous, 'get /healthz', true],
  [anonymous, 'get /version', true],
  [anonymous, 'get /api', false],
  [anonymous, 'get /metrics', false],
  [anonymous, 'get pods default/x', false],
  [user('jane'), 'get /apis/apps/v1', true],
  [user('jane'), 'get /apis', true],
  [user('jane'), 'post /apis', false],
  [user('jane'), 'create selfsubjectaccessreviews.authorization.k8s.io', true],
  [user('jane'), 'list pods default/', false],
  [user('x', 'kubeadm:cluster-admins'), 'delete anything.example.com/sub ns/name', true],
  [user('system:kube-scheduler'), 'create pods/binding default/p', true],
  [user('system:kube-scheduler'), 'create pods default/', false],
  [user('system:kube-scheduler'), 'update leases.coordination.k8s.io kube-system/kube-scheduler', true],
  [user('system:kube-scheduler'), 'update leases.coordination.k8s.io default/other', false],
  [user('system:kube-scheduler'), 'get configmaps kube-system/extension-apiserver-authentication', true],
  [user('system:kube-scheduler'), 'get configmaps kube-system/other', false],
  [user('system:kube-proxy'), 'watch endpointslices.discovery.k8s.io', true],
  [user('kube-apiserver-kubelet-client'), 'create nodes/proxy /n', true],
  [user('kube-apiserver-kubelet-client'), 'get secrets default/s', false],
  [account('deployment-controller'), 'create replicasets.apps default/', true],
  [account('deployment-controller'), 'create pods default/', false],
  [account('horizontal-pod-autoscaler'), 'update deployments.apps/scale default/d', true],
  [account('horizontal-pod-autoscaler'), 'update deployments.apps default/d', false],
  [account('namespace-controller'), 'deletecollection widgets.example.com ns/', true],
  [account('token-cleaner'), 'delete secrets kube-system/t', true],
  [account('token-cleaner'), 'delete secrets default/t', false],
  [user('system:node:n', 'system:nodes'), 'get secrets default/s', false],
];

for (const [identity, request, allowed] of table) {
  test(`${identity.user}: ${request} → ${allowed ? 'yes' : 'no'}`, () => {
    assert.equal(authorizer().rbac.authorize(ask(identity, request)).decision, allowed ? 'allow' : 'noOpinion');
  });
}

test('edit writes neither endpoints nor services/status, roles nor quotas', () => {
  const { rbac, views } = authorizer();
  views.roleBindings.put({
    apiVersion: 'v1',
    kind: 'RoleBinding',
    metadata: { name: 'e', namespace: 'n' },
    roleRef: { kind: 'ClusterRole', name: 'edit' },
    subjects: [{ kind: 'User', name: 'ed' }],
  });
  const may = (request: string): boolean => rbac.authorize(ask(user('ed'), request)).decision === 'allow';
  for (const request of [
    'create pods n/',
    'get secrets n/s',
    'update deployments.apps/scale n/d',
    'list events n/',
    'create pods/exec n/p',
  ])
    assert.equal(may(request), true, request);
  for (const request of [
    'update endpoints n/e',
    'create endpointslices.discovery.k8s.io n/',
    'update services/status n/s',
    'create roles.rbac.authorization.k8s.io n/',
    'update resourcequotas n/q',
    'create pods m/',
    'create persistentvolumes',
  ]) {
    assert.equal(may(request), false, request);
  }
});

test('changes count at once: bindings, roles, subjects that leave', () => {
  const { rbac, views } = authorizer();
  const jane = user('jane');
  const may = (): boolean => rbac.authorize(ask(jane, 'get pods n/p')).decision === 'allow';
  const binding = (subjects: object[]): object => ({
    apiVersion: 'v1',
    kind: 'RoleBinding',
    metadata: { name: 'b', namespace: 'n' },
    roleRef: { kind: 'Role', name: 'r' },
    subjects,
  });
  const role = (verbs: string[]): object => ({
    apiVersion: 'v1',
    kind: 'Role',
    metadata: { name: 'r', namespace: 'n' },
    rules: [{ apiGroups: [''], resources: ['pods'], verbs }],
  });
  views.roleBindings.put(binding([{ kind: 'User', name: 'jane' }]));
  assert.match(
    rbac.authorize(ask(jane, 'get pods n/p')).reason,
    /^RBAC: role.rbac.authorization.k8s.io "r" not found$/,
  );
  views.roles.put(role(['get']));
  assert.equal(may(), true);
  assert.equal(
    rbac.authorize(ask(jane, 'get pods n/p')).reason,
    'RBAC: allowed by RoleBinding "b/n" of Role "r" to User "jane"',
  );
  views.roles.put(role(['list']));
  assert.equal(may(), false);
  views.roles.put(role(['*']));
  views.roleBindings.put(binding([{ kind: 'User', name: 'joe' }]));
  assert.equal(may(), false);
  views.roleBindings.put(binding([{ kind: 'Group', name: 'system:authenticated' }]));
  assert.equal(may(), true);
  views.roleBindings.remove('n', 'b');
  assert.equal(may(), false);
});

test('views that fill late are indexed when they are full', async () => {
  const late = new FakeView(ofKind('ClusterRoleBinding'), true);
  const rbac = openRbacAuthorizer({
    roles: new FakeView(),
    roleBindings: new FakeView(),
    clusterRoles: new FakeView(ofKind('ClusterRole')),
    clusterRoleBindings: late,
  });
  assert.equal(rbac.authorize(ask(anonymous, 'get /healthz')).decision, 'noOpinion');
  late.fill();
  await rbac.ready;
  assert.equal(rbac.authorize(ask(anonymous, 'get /healthz')).decision, 'allow');
});

test('a service account is a user of its own namespace, and of no other kind of subject', () => {
  const { rbac, views } = authorizer();
  const subject = { kind: 'ServiceAccount', name: 'sa', namespace: 'n' };
  views.clusterRoleBindings.put({
    apiVersion: 'v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'b' },
    roleRef: { kind: 'ClusterRole', name: 'view' },
    subjects: [subject],
  });
  const may = (name: string): boolean => rbac.authorize(ask(user(name), 'get pods n/p')).decision === 'allow';
  assert.equal(may('system:serviceaccount:n:sa'), true);
  assert.equal(may('system:serviceaccount:m:sa'), false);
  assert.equal(may('sa'), false);
});

test('covering: wildcards, names, sub-resources, paths', () => {
  const covers = (owner: string, wanted: string): boolean => ruleCovers(parseRule(owner), parseRule(wanted));
  assert.equal(covers('* | * | *', 'get | core | pods/log | x'), true);
  assert.equal(covers('get | core | pods', 'get | core | pods | x'), true);
  assert.equal(covers('get | core | pods | x', 'get | core | pods'), false);
  assert.equal(covers('get | core | pods', 'get | core | pods/log'), false);
  assert.equal(covers('get | * | */scale', 'get | apps | deployments/scale'), true);
  assert.equal(covers('get | url | /api/*', 'get | url | /api/v1'), true);
  assert.equal(covers('get | url | /api', 'get | url | /api/*'), false);
  const parts = splitRule(parseRule('get list | core apps | pods deployments'));
  assert.equal(parts.length, 8);
  assert.deepEqual(joinRules(parts).map(ruleText), [
    '{APIGroups:[""], Resources:["deployments"], Verbs:["get" "list"]}',
    '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
    '{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}',
    '{APIGroups:["apps"], Resources:["pods"], Verbs:["get" "list"]}',
  ]);
});

test('the default policy: every binding names a role that is there, and nothing is there twice', () => {
  const names = new Set(policy.map((one) => `${one.kind} ${one.metadata.namespace ?? ''}/${one.metadata.name}`));
  assert.equal(names.size, policy.length);
  for (const one of policy.filter((each) => each.kind.endsWith('Binding'))) {
    const { kind, name } = one.roleRef as { kind: string; name: string };
    assert.ok(
      names.has(`${kind} ${kind === 'Role' ? one.metadata.namespace : ''}/${name}`),
      `${one.metadata.name} → ${name}`,
    );
  }
});

test('reconciling adds what is missing, keeps what was added, and leaves alone who opted out', () => {
  const wanted = policy.find(
    (one) => one.metadata.name === 'system:discovery' && one.kind === 'ClusterRole',
  ) as PolicyObject;
  assert.equal(reconcilePolicyObject(wanted, wanted), undefined);
  const extra = { verbs: ['get'], nonResourceURLs: ['/mine'] };
  const changed = reconcilePolicyObject({ ...wanted, rules: [extra] }, wanted);
  assert.deepEqual(changed?.rules, [extra, ...(wanted.rules as object[])]);
  const own = {
    ...wanted,
    metadata: { ...wanted.metadata, annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'false' } },
    rules: [],
  };
  assert.equal(reconcilePolicyObject(own, wanted), undefined);
});
