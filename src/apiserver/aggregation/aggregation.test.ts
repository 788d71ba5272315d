import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { systemClock } from '#base';
import { openClusterPki } from '#pki';
import { type Json, testServer } from '../test-server.ts';

const pki = openClusterPki({ clock: systemClock });
const serving = pki.issue({ commonName: 'metrics', usages: ['server'], dnsNames: ['metrics.default.svc'] });
const voucher = pki.issue({ commonName: 'front-proxy-client', usages: ['client'] });

/** Endpoints may not be loopback addresses: this machine's own one stays on it all the same. */
const ownAddress = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === 'IPv4' && !one.internal)?.address;

test('an APIService leads to its server: requests, users, discovery, status', {
  skip: ownAddress === undefined,
}, async () => {
  const seen: Json[] = [];
  const backend = createServer(
    { cert: serving.certificatePem, key: serving.keyPem, ca: pki.ca.certificatePem, requestCert: true },
    (request, response) => {
      seen.push({
        url: request.url,
        user: request.headers['x-remote-user'],
        groups: request.headersDistinct['x-remote-group'],
      });
      if (request.url === '/apis/metrics.example/v1/redirect') {
        response.statusCode = 307;
        response.setHeader('location', 'https://elsewhere/');
        return void response.end();
      }
      response.setHeader('content-type', 'application/json');
      const resources = [
        { name: 'nodes', singularName: 'node', namespaced: false, kind: 'NodeMetrics', verbs: ['get', 'list'] },
      ];
      if (request.url === '/apis/metrics.example/v1')
        response.end(JSON.stringify({ kind: 'APIResourceList', groupVersion: 'metrics.example/v1', resources }));
      else response.end(JSON.stringify({ you: request.url }));
    },
  );
  backend.listen(0, '0.0.0.0');
  await once(backend, 'listening');
  const { port } = backend.address() as AddressInfo;
  await using t = await testServer({
    clock: systemClock as never,
    aggregation: { clientCert: voucher.certificatePem, clientKey: voucher.keyPem, allowLoopback: true },
  });
  await t.ask('POST', '/api/v1/namespaces/default/services', {
    metadata: { name: 'metrics' },
    spec: { ports: [{ port: 443 }] },
  });
  const slice = {
    metadata: { name: 'metrics-1', labels: { 'kubernetes.io/service-name': 'metrics' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [ownAddress], conditions: { ready: true } }],
    ports: [{ name: '', port, protocol: 'TCP' }],
  };
  const sliced = await t.ask('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', slice);
  assert.equal(sliced.status, 201, JSON.stringify(sliced.body));
  const services = '/apis/apiregistration.k8s.io/v1/apiservices';
  const made = await t.ask('POST', services, {
    metadata: { name: 'v1.metrics.example' },
    spec: {
      group: 'metrics.example',
      version: 'v1',
      groupPriorityMinimum: 100,
      versionPriority: 100,
      service: { namespace: 'default', name: 'metrics', port: 443 },
      caBundle: Buffer.from(pki.ca.certificatePem).toString('base64'),
    },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  if (sliced.status === 201) {
    const events = await t.watch(`${services}?watch=1&resourceVersion=${made.body.metadata.resourceVersion}`, 1);
    assert.equal(events[0]?.object.status.conditions[0].status, 'True', JSON.stringify(events[0]?.object.status));
    const answer = await t.ask('GET', '/apis/metrics.example/v1/nodes?x=1');
    assert.deepEqual(answer.body, { you: '/apis/metrics.example/v1/nodes?x=1' });
    assert.equal(seen.at(-1).user, 'admin');
    assert.deepEqual(seen.at(-1).groups, ['system:masters', 'system:authenticated']);
    assert.equal((await t.ask('GET', '/apis/metrics.example/v1/redirect')).status, 502);
    const groups = await t.ask('GET', '/apis');
    assert.ok(groups.body.groups.some((one: Json) => one.name === 'metrics.example'));
    const aggregated = await t.ask('GET', '/apis', undefined, {
      accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
    });
    assert.equal(
      aggregated.body.items.find((one: Json) => one.metadata.name === 'metrics.example').versions[0].resources[0]
        .resource,
      'nodes',
    );
    assert.equal((await t.ask('GET', '/apis/metrics.example')).body.kind, 'APIGroup');
  }
  await t.ask('DELETE', `${services}/v1.metrics.example`);
  assert.equal((await t.ask('GET', '/apis/metrics.example/v1/nodes')).status, 404);
  const metrics = await t.ask('GET', '/metrics');
  assert.match(metrics.body, /apiserver_request_total\{verb="CREATE",group="",version="v1",resource="services",/);
  backend.closeAllConnections();
  backend.close();
});
