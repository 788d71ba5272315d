import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCertificateRequest } from '#pki';
import { bootstrapPolicy } from '../authz/index.ts';
import { type Json, type TestServer, testServer } from '../test-server.ts';

const pods = '/api/v1/namespaces/default/pods';
const services = '/api/v1/namespaces/default/services';
const pod = (name: string, more: object = {}): object => ({
  metadata: { name, labels: { app: 'a' } },
  spec: { containers: [{ name: 'c', image: 'i' }], ...more },
});
const merge = { 'content-type': 'application/merge-patch+json' };

async function created(t: TestServer, target: string, body: object): Promise<Json> {
  const answer = await t.ask('POST', target, body);
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body;
}

test('a pod is bound once, found by its node, and goes after its grace period', async () => {
  await using t = await testServer();
  await created(t, pods, pod('p'));
  const bind = (node: string) =>
    t.ask('POST', `${pods}/p/binding`, { metadata: { name: 'p' }, target: { kind: 'Node', name: node } });
  assert.equal((await bind('n1')).status, 201);
  const again = await bind('n2');
  assert.equal(again.status, 409);
  assert.match(again.body.message, /pod p is already assigned to node "n1"/);
  const onNode = await t.ask('GET', '/api/v1/pods?fieldSelector=spec.nodeName%3Dn1');
  assert.equal(onNode.body.items.length, 1);
  const bound = onNode.body.items[0];
  assert.equal(bound.status.conditions.find((one: Json) => one.type === 'PodScheduled').status, 'True');
  assert.equal((await t.ask('GET', '/api/v1/pods?fieldSelector=spec.nodeName%3Dn2')).body.items.length, 0);

  const watch = t.watch('/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn1&resourceVersion=0', 2);
  const marked = await t.ask('DELETE', `${pods}/p`);
  assert.equal(marked.status, 200);
  assert.equal(marked.body.metadata.deletionGracePeriodSeconds, 30);
  assert.equal(marked.body.metadata.deletionTimestamp, '2026-01-01T00:00:30Z');
  assert.deepEqual(
    (await watch).map((one) => one.type),
    ['ADDED', 'MODIFIED'],
  );
  const shorter = await t.ask('DELETE', `${pods}/p`, { gracePeriodSeconds: 5 });
  assert.equal(shorter.body.metadata.deletionTimestamp, '2026-01-01T00:00:05Z');
  const now = await t.ask('DELETE', `${pods}/p`, { gracePeriodSeconds: 0 });
  assert.equal(now.status, 200);
  assert.equal((await t.ask('GET', `${pods}/p`)).status, 404);
});

test('status is its own resource', async () => {
  await using t = await testServer();
  const made = await created(t, pods, { ...pod('p'), status: { phase: 'Running' } });
  assert.equal(made.status.phase, 'Pending');
  const status = await t.ask(
    'PATCH',
    `${pods}/p/status`,
    { status: { phase: 'Running' }, spec: { nodeName: 'no' } },
    merge,
  );
  assert.equal(status.status, 200, JSON.stringify(status.body));
  assert.equal(status.body.status.phase, 'Running');
  assert.equal(status.body.spec.nodeName, undefined);
  const main = await t.ask(
    'PATCH',
    `${pods}/p`,
    { status: { phase: 'Failed' }, metadata: { labels: { b: 'c' } } },
    merge,
  );
  assert.equal(main.body.status.phase, 'Running');
  assert.equal(main.body.metadata.labels.b, 'c');
});

test('eviction asks the budget', async () => {
  await using t = await testServer();
  await created(t, pods, pod('p'));
  const ready = { status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } };
  await t.ask('PATCH', `${pods}/p/status`, ready, merge);
  const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';
  await created(t, budgets, {
    metadata: { name: 'b' },
    spec: { minAvailable: 1, selector: { matchLabels: { app: 'a' } } },
  });
  const status = {
    observedGeneration: 1,
    disruptionsAllowed: 0,
    currentHealthy: 1,
    desiredHealthy: 1,
    expectedPods: 1,
  };
  await t.ask('PATCH', `${budgets}/b/status`, { status }, merge);
  const evict = () =>
    t.ask('POST', `${pods}/p/eviction`, { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' } });
  const refused = await evict();
  assert.equal(refused.status, 429, JSON.stringify(refused.body));
  assert.match(
    refused.body.details.causes[0].message,
    /The disruption budget b needs 1 healthy pods and has 1 currently/,
  );
  await t.ask('PATCH', `${budgets}/b/status`, { status: { disruptionsAllowed: 1 } }, merge);
  assert.equal((await evict()).status, 201);
  assert.equal((await t.ask('GET', `${pods}/p`)).status, 404);
  const after = await t.ask('GET', `${budgets}/b`);
  assert.equal(after.body.status.disruptionsAllowed, 0);
  assert.deepEqual(Object.keys(after.body.status.disruptedPods), ['p']);
});

test('scale reads and writes replicas alone', async () => {
  await using t = await testServer();
  const deployments = '/apis/apps/v1/namespaces/default/deployments';
  const labels = { app: 'a' };
  await created(t, deployments, {
    metadata: { name: 'd' },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  });
  const scale = await t.ask('GET', `${deployments}/d/scale`);
  assert.equal(scale.body.kind, 'Scale');
  assert.equal(scale.body.spec.replicas, 2);
  assert.equal(scale.body.status.selector, 'app=a');
  scale.body.spec.replicas = 5;
  assert.equal((await t.ask('PUT', `${deployments}/d/scale`, scale.body)).body.spec.replicas, 5);
  assert.equal(
    (await t.ask('PATCH', `${deployments}/d/scale`, { spec: { replicas: 7 } }, merge)).body.spec.replicas,
    7,
  );
  const deployment = await t.ask('GET', `${deployments}/d`);
  assert.equal(deployment.body.spec.replicas, 7);
  assert.equal(deployment.body.metadata.generation, 3);
});

test('services hold addresses and ports once, and give them back', async () => {
  await using t = await testServer({ services: { ranges: ['10.0.0.0/29'], nodePorts: [30000, 30001] } });
  const make = (name: string, spec: object = {}) =>
    t.ask('POST', services, { metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } });
  const asked = await make('asked', { clusterIP: '10.0.0.3' });
  assert.equal(asked.status, 201, JSON.stringify(asked.body));
  assert.deepEqual(asked.body.spec.clusterIPs, ['10.0.0.3']);
  assert.deepEqual(asked.body.spec.ipFamilies, ['IPv4']);
  const twice = await make('twice', { clusterIP: '10.0.0.3' });
  assert.match(
    twice.body.message,
    /spec.clusterIPs: Invalid value: .*failed to allocate IP 10.0.0.3: provided IP is already allocated/,
  );
  const outside = await make('outside', { clusterIP: '10.1.0.3' });
  assert.match(outside.body.message, /The range of valid IPs is 10.0.0.0\/29/);
  const some = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => make(name)));
  const addresses = some.filter((one) => one.status === 201).map((one) => one.body.spec.clusterIP);
  assert.equal(addresses.length, 5, 'six usable addresses, one was taken');
  assert.equal(new Set(addresses).size, 5);
  assert.equal((await make('full')).status, 500);
  const [name] = ['a', 'b', 'c', 'd', 'e', 'f'].filter((_, i) => some[i]?.status === 201);
  await t.ask('DELETE', `${services}/${name}`);
  const next = await make('next', { type: 'NodePort' });
  assert.equal(next.status, 201, JSON.stringify(next.body));
  assert.ok([30000, 30001].includes(next.body.spec.ports[0].nodePort));
  const patched = await t.ask('PATCH', `${services}/asked`, { spec: { type: 'NodePort' } }, merge);
  assert.ok(patched.body.spec.ports[0].nodePort, JSON.stringify(patched.body));
  assert.notEqual(patched.body.spec.ports[0].nodePort, next.body.spec.ports[0].nodePort);
  const none = await make('none', { type: 'NodePort', clusterIP: 'None' });
  assert.equal(none.status, 422);
  const back = await t.ask('PATCH', `${services}/asked`, { spec: { type: 'ClusterIP' } }, merge);
  assert.equal(back.body.spec.ports[0].nodePort, undefined, JSON.stringify(back.body));
  const replaced = structuredClone(next.body);
  delete replaced.spec.clusterIP;
  delete replaced.spec.clusterIPs;
  delete replaced.metadata.resourceVersion;
  const kept = await t.ask('PUT', `${services}/next`, replaced);
  assert.equal(kept.body.spec.clusterIP, next.body.spec.clusterIP, JSON.stringify(kept.body));
  const external = await t.ask(
    'PATCH',
    `${services}/next`,
    { spec: { type: 'ExternalName', externalName: 'example.com' } },
    merge,
  );
  assert.equal(external.status, 200, JSON.stringify(external.body));
  assert.equal(external.body.spec.clusterIP, undefined);
  assert.equal((await make('last')).status, 201);
  const headless = await make('headless', { clusterIP: 'None' });
  assert.deepEqual(headless.body.spec.clusterIPs, ['None']);
});

test('a namespace goes when its finalizer says so', async () => {
  await using t = await testServer();
  await created(t, '/api/v1/namespaces', { metadata: { name: 'x' } });
  const marked = await t.ask('DELETE', '/api/v1/namespaces/x');
  assert.equal(marked.body.status.phase, 'Terminating', JSON.stringify(marked.body));
  const body = marked.body;
  body.spec.finalizers = [];
  const gone = await t.ask('PUT', '/api/v1/namespaces/x/finalize', body);
  assert.equal(gone.status, 200, JSON.stringify(gone.body));
  assert.equal((await t.ask('GET', '/api/v1/namespaces/x')).status, 404);
});

test('the first objects are there: namespaces, policy, the kubernetes Service', async () => {
  await using t = await testServer({ policy: bootstrapPolicy(), advertise: { address: '192.0.2.1', port: 6443 } });
  const namespaces = await t.ask('GET', '/api/v1/namespaces');
  assert.deepEqual(
    namespaces.body.items.map((one: Json) => one.metadata.name),
    ['default', 'kube-node-lease', 'kube-public', 'kube-system'],
  );
  const roles = await t.ask('GET', '/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin');
  assert.equal(roles.status, 200);
  assert.equal((await t.ask('GET', `${services}/kubernetes`)).body.spec.clusterIP, '10.96.0.1');
  const endpoints = await t.ask('GET', '/api/v1/namespaces/default/endpoints/kubernetes');
  assert.equal(endpoints.body.subsets[0].addresses[0].ip, '192.0.2.1');
  assert.equal((await t.ask('GET', '/readyz?verbose')).status, 200);
});

test('a certificate request names who asks, and is approved by its own sub-resource', async () => {
  await using t = await testServer();
  const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  const { requestPem } = createCertificateRequest({ commonName: 'r' });
  const request = Buffer.from(requestPem).toString('base64');
  const spec = { request, signerName: 'example.com/x', usages: ['client auth'], username: 'liar' };
  const made = await t.ask('POST', requests, { metadata: { name: 'r' }, spec });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.equal(made.body.spec.username, 'admin');
  const condition = { type: 'Approved', status: 'True', reason: 'r', message: 'm' };
  const approved = await t.ask('PUT', `${requests}/r/approval`, {
    ...made.body,
    metadata: { ...made.body.metadata, annotations: { by: 'me' } },
    spec: { ...made.body.spec, usages: ['server auth'] },
    status: { conditions: [condition], certificate: 'LS0t' },
  });
  assert.equal(approved.body.status.conditions[0].type, 'Approved', JSON.stringify(approved.body));
  assert.equal(approved.body.metadata.annotations.by, 'me');
  assert.equal(approved.body.status.certificate, undefined);
  assert.deepEqual(approved.body.spec.usages, ['client auth']);
  const wrong = await t.ask('PUT', `${requests}/r/approval`, {
    ...approved.body,
    metadata: { ...approved.body.metadata, labels: { 'not a key': 'x' } },
  });
  assert.equal(wrong.status, 422);
});
