import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom, silentLog } from '#base';
import type { Identity } from '#wire';
import { bootstrapPolicy, type ClusterAuthorizer, openAuthorizer, reviewHandlers } from '../authz/index.ts';
import { openAuthenticator } from '../authn/index.ts';
import { type Answer, type TestServer, testServer } from '../test-server.ts';
import { ManualClock } from '#base';
import { admissionPlugins, systemPriorityClasses } from './index.ts';

/** A server with everything on, and `as` to ask it as anyone. */
async function securedServer(): Promise<
  TestServer & { as(identity: Identity, method: string, target: string, body?: object): Promise<Answer> }
> {
  const clock = new ManualClock();
  const one = await testServer({
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
    policy: [...bootstrapPolicy(), ...systemPriorityClasses],
  });
  return Object.assign(one, {
    async as(identity: Identity, method: string, target: string, body?: object): Promise<Answer> {
      const response = await one.server.transport(identity).request({
        method: method as 'GET',
        target,
        ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
      });
      const text = Buffer.from(await response.bytes()).toString();
      return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
    },
  });
}

const jane: Identity = { user: 'jane', groups: ['system:authenticated'] };
const pod = (name: string, spec: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'nginx' }], ...spec },
});
const pods = '/api/v1/namespaces/default/pods';

async function withDefaultAccount(one: TestServer): Promise<void> {
  const made = await one.ask('POST', '/api/v1/namespaces/default/serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
}

test('a pod gets its account, token volume, tolerations and priority', async () => {
  await using one = await securedServer();
  const asked = one.ask('POST', pods, pod('early'));
  let answered = false;
  void asked.finally(() => {
    answered = true;
  });
  while (!answered) await one.clock.advance(250);
  const early = await asked;
  assert.equal(early.status, 403);
  assert.equal(
    early.body.message,
    'pods "early" is forbidden: error looking up service account default/default: serviceaccount "default" not found',
  );
  await withDefaultAccount(one);
  const made = await one.ask('POST', pods, pod('web', { initContainers: [{ name: 'i', image: 'x' }] }));
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { spec } = made.body;
  assert.equal(spec.serviceAccountName, 'default');
  assert.match(spec.volumes[0].name, /^kube-api-access-[a-z0-9]{5}$/);
  const mount = {
    name: spec.volumes[0].name,
    readOnly: true,
    mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
  };
  assert.deepEqual(spec.containers[0].volumeMounts, [mount]);
  assert.deepEqual(spec.initContainers[0].volumeMounts, [mount]);
  assert.equal(spec.volumes[0].projected.defaultMode, 420);
  assert.deepEqual(
    spec.tolerations.map((one: { key: string }) => one.key),
    ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'],
  );
  assert.equal(spec.priority, 0);
  assert.equal(spec.preemptionPolicy, 'PreemptLowerPriority');
  const critical = await one.ask(
    'POST',
    pods,
    pod('critical', { priorityClassName: 'system-node-critical', automountServiceAccountToken: false }),
  );
  assert.equal(critical.body.spec.priority, 2000001000);
  assert.equal(critical.body.spec.volumes, undefined);
  const unknown = await one.ask('POST', pods, pod('p', { priorityClassName: 'none' }));
  assert.equal(unknown.body.message, 'pods "p" is forbidden: no PriorityClass with name none was found');
});

test('namespaces: missing 404, terminating 403, the first ones stay', async () => {
  await using one = await securedServer();
  const missing = await one.ask('POST', '/api/v1/namespaces/nowhere/configmaps', {
    metadata: { name: 'x' },
    apiVersion: 'v1',
    kind: 'ConfigMap',
  });
  assert.equal(missing.status, 404);
  assert.equal(missing.body.message, 'namespaces "nowhere" not found');
  const kept = await one.ask('DELETE', '/api/v1/namespaces/kube-system');
  assert.equal(kept.status, 403);
  assert.equal(kept.body.message, 'namespaces "kube-system" is forbidden: this namespace may not be deleted');
  await one.ask('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'going' } });
  await one.ask('DELETE', '/api/v1/namespaces/going');
  const late = await one.ask('POST', '/api/v1/namespaces/going/configmaps', {
    metadata: { name: 'x' },
    apiVersion: 'v1',
    kind: 'ConfigMap',
  });
  assert.equal(late.status, 403);
  assert.equal(
    late.body.message,
    'configmaps "x" is forbidden: unable to create new content in namespace going because it is being terminated',
  );
  assert.equal(late.body.details.causes[0].reason, 'NamespaceTerminating');
});

test("RBAC decides, its words are upstream's, and bindings count at once", async () => {
  await using one = await securedServer();
  const refused = await one.as(jane, 'GET', pods);
  assert.equal(refused.status, 403);
  assert.equal(
    refused.body.message,
    'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"',
  );
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'jane' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
    subjects: [{ kind: 'User', name: 'jane', apiGroup: 'rbac.authorization.k8s.io' }],
  };
  const bound = await one.ask('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings', binding);
  assert.equal(bound.status, 201, JSON.stringify(bound.body));
  assert.equal((await one.as(jane, 'GET', pods)).status, 200);
  assert.equal((await one.as(jane, 'GET', '/api/v1/namespaces/kube-system/pods')).status, 403);
  const role = (verbs: string[], resources: string[]): object => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'r' },
    rules: [{ apiGroups: [''], resources, verbs }],
  });
  const roles = '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles';
  const tooMuch = await one.as(jane, 'POST', roles, role(['get', 'update'], ['nodes', 'pods']));
  assert.equal(tooMuch.status, 403);
  assert.equal(
    tooMuch.body.message,
    'roles.rbac.authorization.k8s.io "r" is forbidden: user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get" "update"]}',
  );
  assert.equal((await one.as(jane, 'POST', roles, role(['get'], ['pods']))).status, 201);
  const review = await one.as(jane, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { namespace: 'default', verb: 'delete', resource: 'secrets' } },
  });
  assert.equal(review.status, 201, JSON.stringify(review.body));
  assert.equal(review.body.status.allowed, true);
});

test('pod security: enforced by label, warned by default', async () => {
  await using one = await securedServer();
  await withDefaultAccount(one);
  const privileged = { containers: [{ name: 'c', image: 'x', securityContext: { privileged: true } }] };
  const warned = await one.ask('POST', pods, pod('w', privileged));
  assert.equal(warned.status, 201, JSON.stringify(warned.body));
  assert.match(JSON.stringify(warned.headers.warning), /would violate PodSecurity .*baseline:latest.*privileged/);
  const labels = { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } };
  const labelled = await one.ask('PATCH', '/api/v1/namespaces/default', labels, {
    'content-type': 'application/merge-patch+json',
  });
  assert.equal(labelled.status, 200, JSON.stringify(labelled.body));
  assert.match(JSON.stringify(labelled.headers.warning), /existing pods in namespace/);
  const refused = await one.ask('POST', pods, pod('r'));
  assert.equal(refused.status, 403);
  assert.equal(
    refused.body.message,
    'pods "r" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  );
});

test('quota: reserved before the write, refused beyond it', async () => {
  await using one = await securedServer();
  await withDefaultAccount(one);
  const quotas = '/api/v1/namespaces/default/resourcequotas';
  const hard = { pods: '2', 'requests.cpu': '1' };
  await one.ask('POST', quotas, { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'q' }, spec: { hard } });
  const small = { containers: [{ name: 'c', image: 'x', resources: { requests: { cpu: '600m' } } }] };
  const unknown = await one.ask('POST', pods, pod('a', small));
  assert.equal(
    unknown.body.message,
    'pods "a" is forbidden: status unknown for quota: q, resources: pods,requests.cpu',
  );
  const stored = (await one.ask('GET', `${quotas}/q`)).body;
  await one.ask('PUT', `${quotas}/q/status`, { ...stored, status: { hard, used: { pods: '0', 'requests.cpu': '0' } } });
  const unsaid = await one.ask('POST', pods, pod('u'));
  assert.equal(unsaid.body.message, 'pods "u" is forbidden: failed quota: q: must specify requests.cpu for: c');
  const answers = await Promise.all(['a', 'b'].map((name) => one.ask('POST', pods, pod(name, small))));
  assert.deepEqual(answers.map((one) => one.status).sort(), [201, 403]);
  const refused = answers.find((one) => one.status === 403);
  assert.match(
    refused?.body.message,
    /exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1$/,
  );
  assert.deepEqual((await one.ask('GET', `${quotas}/q`)).body.status.used, { pods: '1', 'requests.cpu': '600m' });
});

test('limit ranges fill in and bound', async () => {
  await using one = await securedServer();
  await withDefaultAccount(one);
  const limits = [{ type: 'Container', default: { cpu: '500m' }, defaultRequest: { cpu: '100m' }, max: { cpu: '1' } }];
  await one.ask('POST', '/api/v1/namespaces/default/limitranges', {
    apiVersion: 'v1',
    kind: 'LimitRange',
    metadata: { name: 'l' },
    spec: { limits },
  });
  const made = await one.ask('POST', pods, pod('a'));
  assert.deepEqual(made.body.spec.containers[0].resources, { limits: { cpu: '500m' }, requests: { cpu: '100m' } });
  assert.equal(
    made.body.metadata.annotations['kubernetes.io/limit-ranger'],
    'LimitRanger plugin set: cpu request for container c; cpu limit for container c',
  );
  const big = await one.ask(
    'POST',
    pods,
    pod('b', { containers: [{ name: 'c', image: 'x', resources: { limits: { cpu: '2' } } }] }),
  );
  assert.equal(big.body.message, 'pods "b" is forbidden: maximum cpu usage per Container is 1, but limit is 2');
});

test('nodes write their own mirror pods and nothing else', async () => {
  await using one = await securedServer();
  await withDefaultAccount(one);
  const node: Identity = { user: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] };
  const self = await one.as(node, 'POST', '/api/v1/nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1', labels: { 'kubernetes.io/hostname': 'n1' } },
  });
  assert.equal(self.status, 201, JSON.stringify(self.body));
  assert.deepEqual(self.body.spec.taints, [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }]);
  const reserved = await one.as(node, 'POST', '/api/v1/nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n2' },
  });
  assert.equal(reserved.body.message, 'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"');
  const plain = await one.as(node, 'POST', pods, pod('p', { nodeName: 'n1' }));
  assert.match(
    plain.body.message,
    /pod does not have "kubernetes.io\/config.mirror" annotation, node "n1" can only create mirror pods/,
  );
  const owner = { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: self.body.metadata.uid, controller: true };
  const mirror = (spec: object): object => ({
    ...pod('m', { nodeName: 'n1', ...spec }),
    metadata: { name: 'm', annotations: { 'kubernetes.io/config.mirror': 'x' }, ownerReferences: [owner] },
  });
  const secret = await one.as(node, 'POST', pods, mirror({ volumes: [{ name: 'v', secret: { secretName: 's' } }] }));
  assert.equal(secret.status, 403);
  assert.match(
    secret.body.message,
    /a mirror pod may not reference secrets|can not create pods that reference secrets/,
  );
  assert.equal((await one.as(node, 'POST', pods, mirror({}))).status, 201);
  await one.ask('POST', pods, pod('used', { nodeName: 'n1', volumes: [{ name: 'v', configMap: { name: 'mine' } }] }));
  for (const [name, status] of [
    ['mine', 404],
    ['other', 403],
  ] as const) {
    assert.equal((await one.as(node, 'GET', `/api/v1/namespaces/default/configmaps/${name}`)).status, status, name);
  }
  assert.equal((await one.as(node, 'GET', '/api/v1/nodes/n2')).status, 403);
  assert.equal((await one.as(node, 'GET', `${pods}?fieldSelector=spec.nodeName=n1`)).status, 200);
  assert.equal((await one.as(node, 'GET', pods)).status, 403);
});

test('external addresses of Services are denied', async () => {
  await using one = await securedServer();
  const made = await one.ask('POST', '/api/v1/namespaces/default/services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's' },
    spec: { ports: [{ port: 80 }], externalIPs: ['1.2.3.4'] },
  });
  assert.equal(made.body.message, 'services "s" is forbidden: Use of external IPs is denied by admission control.');
});
