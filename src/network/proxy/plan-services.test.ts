import assert from 'node:assert/strict';
import { test } from 'node:test';
import { announcedByAnnotation, type EndpointSlice, type Service } from '#api';
import { announcerOf, planService, readyHere } from './plan-services.ts';

const service = (spec: object, part: { annotations?: object; ingress?: object[] } = {}): Service =>
  ({
    metadata: { name: 'web', namespace: 'default', annotations: part.annotations },
    spec: {
      type: 'ClusterIP',
      clusterIP: '10.96.0.7',
      clusterIPs: ['10.96.0.7'],
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
      ...spec,
    },
    status: { loadBalancer: { ingress: part.ingress } },
  }) as unknown as Service;
const slice = (...endpoints: object[]): EndpointSlice =>
  ({
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints,
  }) as unknown as EndpointSlice;
const endpoint = (last: number, nodeName: string, part: object = {}): object => ({
  addresses: [`10.244.1.${last}`],
  nodeName,
  conditions: { ready: true, serving: true, terminating: false },
  ...part,
});
const ending = { conditions: { ready: false, serving: true, terminating: true } };
const down = { conditions: { ready: false, serving: false, terminating: false } };
const hints = (nodes: string[], zones: string[] = []) => ({
  hints: { forNodes: nodes.map((name) => ({ name })), forZones: zones.map((name) => ({ name })) },
});
const last = (backends: readonly { address: string }[]): number[] =>
  backends.map(({ address }) => Number(address.split('.')[3]));
const plan = (one: Service, slices: EndpointSlice[], place: { nodeName: string; zone?: string } = { nodeName: 'n1' }) =>
  planService(one, slices, place)[0];

test('ready endpoints take traffic; when there is none, those that end but still serve', () => {
  const some = plan(service({}), [slice(endpoint(1, 'n1'), endpoint(2, 'n2', ending), endpoint(3, 'n2', down))]);
  assert.deepEqual(last(some?.internal ?? []), [1]);
  const none = plan(service({}), [slice(endpoint(2, 'n2', ending), endpoint(3, 'n2', down))]);
  assert.deepEqual(last(none?.internal ?? []), [2]);
});

test('traffic policies: Local keeps to this node; pods and this node use all the same every endpoint from outside addresses', () => {
  const slices = [slice(endpoint(1, 'n1'), endpoint(2, 'n2'))];
  const inside = plan(service({ internalTrafficPolicy: 'Local' }), slices);
  assert.deepEqual([last(inside?.internal ?? []), last(inside?.external ?? [])], [[1], [1, 2]]);
  const outside = plan(service({ type: 'NodePort', externalTrafficPolicy: 'Local' }), slices);
  assert.deepEqual([last(outside?.internal ?? []), last(outside?.external ?? [])], [[1, 2], [1]]);
  assert.deepEqual(last(outside?.inside ?? []), [1, 2]);
});

test('hints: the node first, then its zone, then all; not while an endpoint has none', () => {
  const both = [slice(endpoint(1, 'n1', hints(['n1'], ['a'])), endpoint(2, 'n2', hints(['n2'], ['a'])))];
  assert.deepEqual(last(plan(service({}), both)?.internal ?? []), [1]);
  assert.deepEqual(last(plan(service({}), both, { nodeName: 'n3', zone: 'a' })?.internal ?? []), [1, 2]);
  assert.deepEqual(last(plan(service({}), both, { nodeName: 'n3' })?.internal ?? []), [1, 2]);
  const zones = [slice(endpoint(1, 'n1', hints([], ['a'])), endpoint(2, 'n2', hints([], ['b'])))];
  assert.deepEqual(last(plan(service({}), zones, { nodeName: 'n3', zone: 'b' })?.internal ?? []), [2]);
  assert.deepEqual(last(plan(service({}), zones, { nodeName: 'n3', zone: 'c' })?.internal ?? []), [1, 2]);
  const half = [slice(endpoint(1, 'n1', hints([], ['a'])), endpoint(2, 'n2'))];
  assert.deepEqual(last(plan(service({}), half, { nodeName: 'n3', zone: 'a' })?.internal ?? []), [1, 2]);
});

test('a load balancer: its addresses, its ranges, and whether the addresses are its own', () => {
  const annotations = { [announcedByAnnotation]: 'n1' };
  const balanced = service(
    { type: 'LoadBalancer', loadBalancerSourceRanges: [' 10.0.0.0/8', 'fd00::/8'] },
    { annotations, ingress: [{ ip: '172.29.0.128', ipMode: 'VIP' }] },
  );
  const found = plan(balanced, []);
  assert.deepEqual(found?.balancerAddresses, ['172.29.0.128']);
  assert.deepEqual([found?.balancerOwned, found?.sourceRanges], [true, ['10.0.0.0/8']]);
  assert.equal(announcerOf(balanced, new Set(['172.29.0.128'])), undefined, "a node's address is nobody else's");
  const proxied = service({ type: 'LoadBalancer' }, { ingress: [{ ip: '172.29.0.128', ipMode: 'Proxy' }] });
  assert.deepEqual(plan(proxied, [])?.balancerAddresses, []);
  const former = service({}, { annotations, ingress: [{ ip: '172.29.0.128' }] });
  assert.deepEqual([plan(former, [])?.balancerAddresses, plan(former, [])?.balancerOwned], [[], false]);
});

test('UDP: every endpoint that serves keeps its flows, wherever new ones go', () => {
  const udp = service({ ports: [{ name: 'dns', port: 53, protocol: 'UDP' }], internalTrafficPolicy: 'Local' });
  const slices = [
    {
      ...slice(endpoint(1, 'n1'), endpoint(2, 'n2', ending), endpoint(3, 'n2', down)),
      ports: [{ name: 'dns', port: 53, protocol: 'UDP' }],
    },
  ] as unknown as EndpointSlice[];
  assert.deepEqual(last(plan(udp, slices)?.living ?? []), [1, 2]);
});

test('a health check counts the ready endpoints of this node once each', () => {
  const twice = [slice(endpoint(1, 'n1'), endpoint(2, 'n2')), slice(endpoint(1, 'n1'), endpoint(4, 'n1', down))];
  assert.equal(readyHere(twice, 'n1'), 1);
  assert.equal(readyHere(twice, 'n3'), 0);
});

test('Services for another proxy, and those that names alone lead to, have no rules', () => {
  const slices = [slice(endpoint(1, 'n1'))];
  const labelled = (labels: object): Service => {
    const one = service({});
    return { ...one, metadata: { ...one.metadata, labels } } as Service;
  };
  assert.equal(planService(labelled({ app: 'web' }), slices, { nodeName: 'n1' }).length, 1);
  assert.equal(
    planService(labelled({ 'service.kubernetes.io/service-proxy-name': 'x' }), slices, { nodeName: 'n1' }).length,
    0,
  );
  assert.equal(planService(labelled({ 'service.kubernetes.io/headless': '' }), slices, { nodeName: 'n1' }).length, 0);
});
