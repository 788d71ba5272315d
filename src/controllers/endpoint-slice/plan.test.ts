import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSlice, NewObject } from '#api';
import { deepFreeze } from '#machinery';
import { aNode, aPod, aService } from '../../testkit/builders.ts';
import { planEndpoints } from '../endpoints/plan.ts';
import { planSlices, type SlicePlan } from './plan.ts';

const pod = (index: number, part = {}) =>
  aPod(`p${index}`, { ...part, status: { podIP: `10.244.${index >> 8}.${index & 255}` } });
const service = aService('web', { metadata: { labels: { tier: 'front' } } });
const nodeOf = (name: string) => aNode(name, { metadata: { labels: { 'topology.kubernetes.io/zone': 'z1' } } });
let serial = 0;
const stored = (slice: NewObject<EndpointSlice>): EndpointSlice =>
  deepFreeze({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    ...slice,
    metadata: { ...slice.metadata, name: `web-${++serial}`, uid: `u${serial}`, resourceVersion: '1' },
  }) as EndpointSlice;
const summary = (plan: SlicePlan): unknown => ({
  create: plan.create.map((one) => one.endpoints?.length),
  update: plan.update.map((one) => one.endpoints?.length),
  remove: plan.remove.length,
});

test('a slice says where each pod is and what it may be sent', () => {
  const plan = planSlices({
    service,
    pods: [pod(2), aPod('down', { ready: false, status: { podIP: '10.244.0.9' } })],
    nodeOf,
    slices: [],
  });
  const [slice] = plan.create;
  assert.deepEqual(slice?.metadata.labels, {
    tier: 'front',
    'kubernetes.io/service-name': 'web',
    'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
  });
  assert.deepEqual(slice?.ports, [{ name: '', port: 8080, protocol: 'TCP' }]);
  assert.deepEqual(
    slice?.endpoints?.map((one) => [one.addresses[0], one.conditions, one.nodeName, one.zone]),
    [
      ['10.244.0.2', { ready: true, serving: true, terminating: false }, 'n1', 'z1'],
      ['10.244.0.9', { ready: false, serving: false, terminating: false }, 'n1', 'z1'],
    ],
  );
  assert.deepEqual(planSlices({ service, pods: [], nodeOf, slices: [] }).create[0]?.endpoints, [], 'a placeholder');
});

test('250 pods fill three slices; one change touches one slice', () => {
  const pods = Array.from({ length: 250 }, (_, i) => pod(i + 1));
  const first = planSlices({ service, pods, nodeOf, slices: [] });
  assert.deepEqual(summary(first), { create: [100, 100, 50], update: [], remove: 0 });
  const slices = first.create.map(stored);
  assert.deepEqual(summary(planSlices({ service, pods, nodeOf, slices })), { create: [], update: [], remove: 0 });
  assert.deepEqual(summary(planSlices({ service, pods: pods.slice(1), nodeOf, slices })), {
    create: [],
    update: [99],
    remove: 0,
  });
  assert.deepEqual(summary(planSlices({ service, pods: [...pods.slice(1), pod(900)], nodeOf, slices })), {
    create: [],
    update: [100],
    remove: 0,
  });
  assert.deepEqual(summary(planSlices({ service, pods: [], nodeOf, slices })), { create: [0], update: [], remove: 3 });
});

test('terminating pods stay, not ready; unready ones are ready when the service publishes them', () => {
  const going = aPod('going', { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } });
  const ended = aPod('ended', { status: { phase: 'Succeeded', podIP: '10.244.0.7' } });
  const conditions = (spec: object, pods: ReturnType<typeof aPod>[]) =>
    planSlices({ service: aService('web', { spec }), pods, nodeOf, slices: [] }).create[0]?.endpoints?.map(
      (one) => one.conditions,
    );
  assert.deepEqual(conditions({}, [going, ended]), [{ ready: false, serving: true, terminating: true }]);
  assert.deepEqual(conditions({ publishNotReadyAddresses: true }, [aPod('down', { ready: false })]), [
    { ready: true, serving: false, terminating: false },
  ]);
});

test('named ports are looked up in each pod: different numbers, different slices; a pod without it is left out', () => {
  const named = aService('web', { spec: { ports: [{ name: 'http', port: 80, targetPort: 'web', protocol: 'TCP' }] } });
  const withPort = (name: string, containerPort: number) =>
    aPod(name, {
      spec: { containers: [{ name: 'c', image: 'i', ports: [{ name: 'web', containerPort, protocol: 'TCP' }] }] },
      status: { podIP: `10.244.1.${containerPort - 8000}` },
    });
  const plan = planSlices({
    service: named,
    pods: [withPort('a', 8001), withPort('b', 8002), aPod('none')],
    nodeOf,
    slices: [],
  });
  assert.deepEqual(
    plan.create.map((one) => [one.ports?.[0], one.endpoints?.length]),
    [
      [{ name: 'http', port: 8001, protocol: 'TCP' }, 1],
      [{ name: 'http', port: 8002, protocol: 'TCP' }, 1],
    ],
  );
});

test('Endpoints: ready and not ready apart, sorted, written only when they change', () => {
  const pods = [
    pod(3),
    pod(2),
    aPod('down', { ready: false, status: { podIP: '10.244.0.9' } }),
    aPod('going', { metadata: { deletionTimestamp: 'x' } }),
  ];
  const made = planEndpoints(service, pods, undefined);
  assert.deepEqual(
    made?.subsets?.map((one) => [one.addresses?.map((a) => a.ip), one.notReadyAddresses?.map((a) => a.ip), one.ports]),
    [[['10.244.0.2', '10.244.0.3'], ['10.244.0.9'], [{ port: 8080, protocol: 'TCP' }]]],
  );
  assert.equal(made?.metadata.labels?.['endpoints.kubernetes.io/managed-by'], 'endpoint-controller');
  assert.equal(planEndpoints(service, pods, made as never), undefined);
  const many = Array.from({ length: 1001 }, (_, i) => pod(i + 1));
  const capped = planEndpoints(service, many, undefined);
  assert.deepEqual(
    [capped?.subsets?.[0]?.addresses?.length, capped?.metadata.annotations],
    [1000, { 'endpoints.kubernetes.io/over-capacity': 'truncated' }],
  );
});

test('endpoints say for which zone and node they are meant, if the Service asks for near ones', () => {
  const hintsOf = (trafficDistribution: string | undefined, ready = true): unknown => {
    const near = aService('web', {
      spec: { ...service.spec, ...(trafficDistribution ? { trafficDistribution } : {}) },
    });
    const pods = [aPod('p', { ready, status: { podIP: '10.244.0.2' } })];
    return planSlices({ service: near, pods, nodeOf, slices: [] }).create[0]?.endpoints?.[0]?.hints;
  };
  assert.equal(hintsOf(undefined), undefined);
  assert.deepEqual(hintsOf('PreferClose'), { forZones: [{ name: 'z1' }] });
  assert.deepEqual(hintsOf('PreferSameZone'), { forZones: [{ name: 'z1' }] });
  assert.deepEqual(hintsOf('PreferSameNode'), { forNodes: [{ name: 'n1' }], forZones: [{ name: 'z1' }] });
  assert.equal(hintsOf('PreferClose', false), undefined);
});
