import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { SchemaNode } from '#api';
import { systemClock } from '#base';
import { decodeEnvelope, decodeProtobuf } from '#codec';
import { openClusterPki } from '#pki';
import { type Json, testServer } from '../test-server.ts';
import { metricsSchema } from './metrics-schema.ts';
import { parseSamples } from './samples.ts';
import { usageBetween } from './usage.ts';

const container = (pod: string, name: string): string => `{container="${name}",namespace="default",pod="${pod}"}`;
const textAt = (cpu: number, atMs: number): string =>
  [
    '# HELP container_cpu_usage_seconds_total [STABLE]',
    '# TYPE container_cpu_usage_seconds_total counter',
    `container_cpu_usage_seconds_total${container('web', 'c')} ${cpu} ${atMs}`,
    `container_cpu_usage_seconds_total${container('web', 'restarted')} ${10 - cpu} ${atMs}`,
    `container_cpu_usage_seconds_total${container('web', 'half')} ${cpu} ${atMs}`,
    `container_memory_working_set_bytes${container('web', 'c')} 1048577 ${atMs}`,
    `container_memory_working_set_bytes${container('web', 'restarted')} 1 ${atMs}`,
    'container_memory_working_set_bytes{pod="nameless"} 1',
    'garbage{ 1',
    `node_cpu_usage_seconds_total ${cpu * 2} ${atMs}`,
    `node_memory_working_set_bytes NaN`,
    `node_memory_working_set_bytes 4.096e+03 ${atMs}`,
    '',
  ].join('\n');

test('two readings become rates; what started between them has none', () => {
  const usage = usageBetween(parseSamples(textAt(1, 1_000), 0), parseSamples(textAt(1.5, 3_000), 0));
  assert.deepEqual(usage.node, { cpuNanoCores: 500_000_000, memoryBytes: 4096, atMs: 3_000, windowMs: 2_000 });
  assert.deepEqual([...usage.pods.keys()], ['default/web']);
  assert.deepEqual(Object.fromEntries(usage.pods.get('default/web') ?? []), {
    c: { cpuNanoCores: 250_000_000, memoryBytes: 1048577, atMs: 3_000, windowMs: 2_000 },
  });
  const same = parseSamples(textAt(1, 1_000), 0);
  assert.equal(usageBetween(same, same).node, undefined, 'no time has passed');
});

test('metrics.k8s.io answers from kubelets, in discovery, with selectors, as a table', async () => {
  const pki = openClusterPki({ clock: systemClock });
  const serving = pki.issue({ commonName: 'kubelet', usages: ['server'], ipAddresses: ['127.0.0.1'] });
  const client = pki.issue({ commonName: 'apiserver', usages: ['client'] });
  let readings = 0;
  const kubelet = createServer(
    { cert: serving.certificatePem, key: serving.keyPem, ca: pki.ca.certificatePem, requestCert: true },
    (request, response) => {
      assert.equal(request.url, '/metrics/resource');
      readings++;
      response.end(textAt(readings, readings * 1_000));
    },
  );
  kubelet.listen(0, '127.0.0.1');
  await once(kubelet, 'listening');
  await using t = await testServer({
    clock: systemClock as never,
    kubelet: {
      ca: pki.ca.certificatePem,
      clientCert: client.certificatePem,
      clientKey: client.keyPem,
      allowLoopback: true,
    },
  });
  const status = {
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: (kubelet.address() as AddressInfo).port } },
  };
  for (const name of ['n1', 'n2']) {
    await t.ask('POST', '/api/v1/nodes', { metadata: { name, labels: { zone: name } } });
    if (name === 'n2') continue;
    const node = (await t.ask('GET', `/api/v1/nodes/${name}`)).body;
    assert.equal((await t.ask('PUT', `/api/v1/nodes/${name}/status`, { ...node, status })).status, 200);
  }
  const pod = {
    metadata: { name: 'web', labels: { app: 'web' } },
    spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] },
  };
  assert.equal((await t.ask('POST', '/api/v1/namespaces/default/pods', pod)).status, 201);

  const api = '/apis/metrics.k8s.io/v1beta1';
  const nodes = await t.ask('GET', `${api}/nodes`);
  assert.equal(nodes.status, 200, JSON.stringify(nodes.body));
  assert.equal(nodes.body.kind, 'NodeMetricsList');
  assert.deepEqual(
    nodes.body.items.map((one: { metadata: { name: string } }) => one.metadata.name),
    ['n1'],
    'a node whose kubelet says nothing is left out',
  );
  assert.deepEqual(nodes.body.items[0].usage, { cpu: '2000000000n', memory: '4Ki' });
  assert.equal(nodes.body.items[0].window, '1s');
  const pods = await t.ask('GET', `${api}/namespaces/default/pods?labelSelector=app%3Dweb`);
  assert.deepEqual(pods.body.items[0].containers, [{ name: 'c', usage: { cpu: '1000000000n', memory: '1025Ki' } }]);
  assert.equal((await t.ask('GET', `${api}/pods?labelSelector=app%3Dother`)).body.items.length, 0);
  assert.equal((await t.ask('GET', `${api}/namespaces/default/pods/web`)).body.kind, 'PodMetrics');
  assert.equal((await t.ask('GET', `${api}/namespaces/default/pods/gone`)).status, 404);
  assert.equal((await t.ask('DELETE', `${api}/nodes/n1`)).status, 405);
  assert.equal((await t.ask('GET', `${api}/others`)).status, 404);
  assert.equal(readings, 2, 'answers within ten seconds come from the same readings');
  const table = await t.ask('GET', `${api}/nodes`, undefined, {
    accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
  });
  assert.deepEqual(table.body.rows[0].cells, ['n1', '2000000000n', '4Ki', '1s']);
  const wire = await t.transport.request({
    method: 'GET',
    target: `${api}/nodes`,
    headers: { accept: 'application/vnd.kubernetes.protobuf,application/json' },
  });
  const envelope = decodeEnvelope(await wire.bytes());
  assert.equal(envelope.kind, 'NodeMetricsList');
  const decoded = decodeProtobuf(envelope.raw, metricsSchema.NodeMetricsList as SchemaNode) as unknown as Json;
  assert.deepEqual(decoded.items[0].usage, { cpu: '2000000000n', memory: '4Ki' });
  assert.equal(decoded.items[0].window, '1s');
  const list = await t.ask('GET', api);
  assert.deepEqual(
    list.body.resources.map((one: { name: string }) => one.name),
    ['nodes', 'pods'],
  );
  const groups = (await t.ask('GET', '/apis')).body.groups.map((one: { name: string }) => one.name);
  assert.ok(groups.includes('metrics.k8s.io'));
  kubelet.closeAllConnections();
  kubelet.close();
});
