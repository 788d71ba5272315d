import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServicePortPlan } from './plan-services.ts';
import { type NodeNetwork, serviceEntries, withoutNested } from './rule-entries.ts';
import { RuleTable } from './rule-table.ts';
import { changeScript, completeScript } from './ruleset.ts';

const network: NodeNetwork = { nodeAddresses: ['172.29.0.10'], clusterCidr: '10.244.0.0/16', uplink: 'eth0' };
const backend = (last: number, local = false) => ({ address: `10.244.1.${last}`, port: 8080, local });
const web: ServicePortPlan = {
  id: 'default/web:/tcp',
  protocol: 'tcp',
  port: 80,
  clusterAddress: '10.96.0.7',
  externalAddresses: [],
  balancerAddresses: [],
  balancerOwned: false,
  internal: [backend(1), backend(2, true)],
  external: [backend(1), backend(2, true)],
  externalLocal: false,
  inside: [],
  living: [],
};

function tableOf(...plans: ServicePortPlan[]): RuleTable {
  const table = new RuleTable();
  for (const plan of plans) table.set(plan.id, serviceEntries(plan, plan.id, network));
  return table;
}

const elementsOf = (...plans: ServicePortPlan[]) => tableOf(...plans).elements;

test('a service with two backends is two elements, and its local backend may be sent back to itself', () => {
  const elements = elementsOf(web);
  assert.deepEqual(
    [...(elements.get('random_2') ?? [])],
    [
      ['10.96.0.7 . tcp . 80 . 0', '10.244.1.1 . 8080'],
      ['10.96.0.7 . tcp . 80 . 1', '10.244.1.2 . 8080'],
    ],
  );
  assert.deepEqual([...(elements.get('hairpins') ?? new Map()).keys()], ['10.244.1.2 . 10.244.1.2']);
  assert.equal(elements.has('masqueraded'), false);
});

test('a node port hides the client unless its policy is Local, and Local without a backend here is silence', () => {
  const open = elementsOf({ ...web, nodePort: 30080 });
  assert.ok(open.get('masqueraded')?.has('172.29.0.10 . tcp . 30080'));
  const local = elementsOf({ ...web, nodePort: 30080, external: [], externalLocal: true, inside: web.internal });
  assert.ok(local.get('discarded')?.has('172.29.0.10 . tcp . 30080'));
  assert.equal(local.has('masqueraded'), false);
  assert.equal(local.get('inside_2')?.get('172.29.0.10 . tcp . 30080 . 1'), '10.244.1.2 . 8080');
  assert.ok(local.get('shortcuts')?.has('172.29.0.10 . tcp . 30080'));
});

test('without backends connections are refused at once', () => {
  const elements = elementsOf({ ...web, internal: [], nodePort: 30080, external: [] });
  assert.ok(elements.get('refused')?.has('10.96.0.7 . tcp . 80'));
  assert.ok(elements.get('refused')?.has('172.29.0.10 . tcp . 30080'));
});

test('a load balancer admits its source ranges only, and refuses ports that no Service has', () => {
  const ranges = ['10.1.0.0/16', '10.0.0.0/8', '192.168.1.7/24', '10.0.0.0/8'];
  const plan = { ...web, balancerAddresses: ['172.29.0.200'], balancerOwned: true, sourceRanges: ranges };
  const elements = elementsOf(plan, { ...plan, id: 'default/web:https/tcp', port: 443 });
  assert.deepEqual(
    [...(elements.get('admitted')?.keys() ?? [])].filter((one) => one.includes(' 80 ')),
    ['172.29.0.200 . tcp . 80 . 10.0.0.0/8', '172.29.0.200 . tcp . 80 . 192.168.1.0/24'],
  );
  assert.ok(elements.get('restricted')?.has('172.29.0.200 . tcp . 80'));
  assert.deepEqual([...(elements.get('balanced')?.keys() ?? [])], ['172.29.0.200']);
  assert.deepEqual(withoutNested(['0.0.0.0/0', '1.2.3.4/32']), ['0.0.0.0/0']);
});

test('an address that two Services want belongs to the older one, and goes to the other with it', () => {
  const table = new RuleTable();
  const shared = { ...web, clusterAddress: undefined, externalAddresses: ['192.0.2.1'] };
  table.set('b', serviceEntries({ ...shared, external: [backend(2)] }, '2026-01-02', network));
  table.set('a', serviceEntries({ ...shared, external: [backend(1)] }, '2026-01-01', network));
  const holder = () => table.elements.get('random_1')?.get('192.0.2.1 . tcp . 80 . 0');
  assert.equal(holder(), '10.244.1.1 . 8080');
  table.set('a', []);
  assert.equal(holder(), '10.244.1.2 . 8080');
});

test('only the difference is sent', () => {
  const table = tableOf(web);
  const { made } = completeScript(table.elements, network);
  table.takeChange();
  table.set(web.id, serviceEntries({ ...web }, web.id, network));
  assert.equal(changeScript(table.takeChange(), table.elements, made).text, '');
  table.set(web.id, serviceEntries({ ...web, internal: [backend(1), backend(9)], external: [] }, web.id, network));
  assert.equal(
    changeScript(table.takeChange(), table.elements, made).text,
    [
      'delete element ip k8ts random_2 { 10.96.0.7 . tcp . 80 . 1 }',
      'delete element ip k8ts hairpins { 10.244.1.2 . 10.244.1.2 }',
      'add element ip k8ts random_2 { 10.96.0.7 . tcp . 80 . 1 : 10.244.1.9 . 8080 }',
      '',
    ].join('\n'),
  );
});

test('a first use of a number of backends makes its map and rule together; they stay when nobody has that number', () => {
  const table = tableOf(web);
  const { text, made } = changeScript(table.takeChange(), table.elements, new Set());
  assert.match(
    text,
    /^add map ip k8ts random_2 .*\nadd rule ip k8ts balance dnat ip addr \. port to .* numgen random mod 2 map @random_2$/m,
  );
  table.set(web.id, []);
  const gone = changeScript(table.takeChange(), table.elements, made);
  assert.doesNotMatch(gone.text, /rule|map/);
  assert.match(gone.text, /delete element ip k8ts random_2/);
  assert.deepEqual([...gone.made], ['random_2']);
});

test('with affinity each backend has a number that stays while others come and go', () => {
  const sticky = { ...web, affinitySeconds: 10 };
  const numbers = (backends: ServicePortPlan['internal']) =>
    new Map(
      [...(elementsOf({ ...sticky, internal: backends }).get('sticky') ?? [])].map(([key, value]) => [value, key]),
    );
  const two = numbers([backend(1), backend(2)]);
  const three = numbers([backend(3), backend(1), backend(2)]);
  assert.equal(two.get('10.244.1.1 . 8080'), three.get('10.244.1.1 . 8080'));
  const script = completeScript(elementsOf(sticky), network).text;
  assert.match(script, /timeout 10s : meta mark/);
  assert.match(script, /map @draw_2/);
});

test('a UDP port says which flows may stay; without zones in the kernel nothing of that is written', () => {
  const dns = { ...web, protocol: 'udp' as const, internal: [backend(1)], living: [backend(1), backend(2)] };
  const elements = elementsOf(dns);
  assert.deepEqual(
    [...(elements.get('udp_flows')?.keys() ?? [])],
    ['10.96.0.7 . udp . 80 . 10.244.1.1 . 8080', '10.96.0.7 . udp . 80 . 10.244.1.2 . 8080'],
  );
  assert.match(completeScript(elements, network).text, /ct original zone set/);
  assert.doesNotMatch(completeScript(elements, network, { withoutZones: true }).text, /zone/);
});
