import assert from 'node:assert/strict';
import { test } from 'node:test';
import { announcedByAnnotation, type Service } from '#api';
import { aNode, aService } from '../../testkit/builders.ts';
import { parseAddressSpans } from './address-spans.ts';
import { isOurs, planBalancers } from './plan.ts';

const node = (name: string, address: string, ready: 'True' | 'False' | 'Unknown' = 'True') => {
  const built = aNode(name, { ready });
  return { ...built, status: { ...built.status, addresses: [{ type: 'InternalIP', address }] } } as typeof built;
};
const nodes = [node('n1', '172.29.0.10'), node('n2', '172.29.0.11'), node('down', '172.29.0.12', 'Unknown')];
let serial = 0;
function balancer(name: string, spec: object = {}, part: { address?: string; announcedBy?: string } = {}): Service {
  const { address, announcedBy } = part;
  const service = aService(name, {
    metadata: {
      uid: `u${serial}`,
      creationTimestamp: `2026-01-01T00:00:${String(serial++).padStart(2, '0')}Z`,
      ...(announcedBy === undefined ? {} : { annotations: { [announcedByAnnotation]: announcedBy } }),
    },
    spec: { type: 'LoadBalancer', ports: [{ port: 80, protocol: 'TCP' }], ...spec },
  } as object);
  const ingress = address === undefined ? [] : [{ ip: address, ipMode: 'VIP' }];
  return { ...service, status: { loadBalancer: { ingress } } } as Service;
}
function plan(
  services: Service[],
  options: { ranges?: string; local?: string[]; only?: string[]; ingressServed?: boolean } = {},
) {
  const { ranges = '172.29.0.128-172.29.0.130', local = [] } = options;
  const plans = planBalancers({
    services,
    nodes: options.only === undefined ? nodes : nodes.filter((one) => options.only?.includes(one.metadata.name)),
    nodesWithEndpoints: () => new Set(local),
    spans: parseAddressSpans(ranges),
    ingressServed: options.ingressServed === true,
  });
  return Object.fromEntries([...plans].map(([service, one]) => [service.metadata.name, one]));
}

test('each gets an address of its own and a ready node that answers, the work shared', () => {
  assert.deepEqual(plan([balancer('a'), balancer('b'), balancer('c'), balancer('d')]), {
    a: { addresses: ['172.29.0.128'], announcedBy: 'n1' },
    b: { addresses: ['172.29.0.129'], announcedBy: 'n2' },
    c: { addresses: ['172.29.0.130'], announcedBy: 'n1' },
    d: { addresses: [], problem: 'no address is left in the range of load-balancer addresses' },
  });
});

test('what a Service has it keeps, its node too, unless that node is lost', () => {
  const had = { address: '172.29.0.130', announcedBy: 'n2' };
  const [young, old] = [balancer('young'), balancer('old', {}, had)];
  assert.deepEqual(plan([young, old]), {
    young: { addresses: ['172.29.0.128'], announcedBy: 'n1' },
    old: { addresses: ['172.29.0.130'], announcedBy: 'n2' },
  });
  assert.equal(plan([old], { only: ['n1', 'down'] }).old?.announcedBy, 'n1');
  assert.equal(plan([old], { only: ['down'] }).old?.announcedBy, 'n2', 'no node is ready: nothing is moved');
  assert.equal(plan([young], { only: ['down'] }).young?.announcedBy, '');
  assert.deepEqual(plan([old], { ranges: '10.0.0.1' }).old?.addresses, ['10.0.0.1'], 'the range was changed');
});

test('an address that was asked for is given, or the reason is told', () => {
  const plans = plan([
    balancer('first', { loadBalancerIP: '172.29.0.130' }),
    balancer('second', { loadBalancerIP: '172.29.0.130' }),
    balancer('outside', { loadBalancerIP: '192.0.2.1' }),
  ]);
  assert.deepEqual(plans.first?.addresses, ['172.29.0.130']);
  assert.equal(plans.second?.problem, '172.29.0.130 is in use by default/first');
  assert.equal(plans.outside?.problem, '192.0.2.1 is not in the range of load-balancer addresses');
});

test('with externalTrafficPolicy Local a node with an endpoint answers, and nobody without one', () => {
  const local = balancer('local', { externalTrafficPolicy: 'Local' }, { address: '172.29.0.128', announcedBy: 'n1' });
  assert.equal(plan([local], { local: ['n2'] }).local?.announcedBy, 'n2');
  assert.deepEqual(plan([local]).local, { addresses: ['172.29.0.128'], announcedBy: '' });
});

test('without a range the ready nodes answer at their own addresses, a port once, and none that is theirs', () => {
  const plans = plan(
    [
      balancer('web'),
      balancer('other'),
      balancer('ssh', { ports: [{ port: 22, protocol: 'TCP' }] }),
      balancer('near', { externalTrafficPolicy: 'Local', ports: [{ port: 81, protocol: 'TCP' }] }),
      balancer('asked', { loadBalancerIP: '172.29.0.11', ports: [{ port: 82, protocol: 'TCP' }] }),
    ],
    { ranges: '', local: ['n2', 'down'] },
  );
  assert.deepEqual(plans.web, { addresses: ['172.29.0.10', '172.29.0.11'] });
  assert.match(plans.other?.problem ?? '', /^port 80\/TCP of the nodes' addresses is in use by default\/web:/);
  assert.match(plans.ssh?.problem ?? '', /^port 22 .* is kept for the nodes themselves/);
  assert.deepEqual(plans.near, { addresses: ['172.29.0.11'] });
  assert.deepEqual(plans.asked, { addresses: ['172.29.0.11'] });
});

test('while nodes serve Ingresses at their addresses, no new Service gets those ports', () => {
  const held = balancer('held', {}, { address: '172.29.0.10' });
  const late = balancer('late', { ports: [{ port: 443, protocol: 'TCP' }] });
  const plans = plan([held, late], { ranges: '', ingressServed: true });
  assert.deepEqual(plans.held?.addresses, ['172.29.0.10', '172.29.0.11']);
  assert.match(plans.late?.problem ?? '', /^port 443 of the nodes' addresses serves Ingresses/);
  assert.equal(plan([late], { ingressServed: true }).late?.problem, undefined, 'with a range there is no clash');
});

test('only Services without a class or with ours are served', () => {
  assert.equal(isOurs(balancer('a')), true);
  assert.equal(isOurs(balancer('a', { loadBalancerClass: 'k8ts.io/load-balancer' })), true);
  assert.equal(isOurs(balancer('a', { loadBalancerClass: 'example.com/other' })), false);
  assert.equal(isOurs(aService('a')), false);
});

test('ranges are read in three forms; what is none is named', () => {
  const [network, span, one] = parseAddressSpans('10.0.0.0/29, 10.0.1.5-10.0.1.6\n10.0.2.1');
  assert.deepEqual(
    [network, span, one].map((each) => (each?.last ?? 0) - (each?.first ?? 0)),
    [5, 1, 0],
  );
  for (const bad of ['10.0.0.9-10.0.0.1', '10.0.0.0/33', '10.0.0', 'x', '1.2.3.4-', '10.0.0.0/8-10.0.0.1'])
    assert.throws(() => parseAddressSpans(bad), new RegExp(`"${bad.replaceAll('.', '\\.')}" is no range`));
});
