import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServicePortPlan } from './plan-services.ts';
import { buildRuleset, completeScript, differenceScript, emptyRuleset } from './ruleset.ts';

const network = { nodeAddresses: ['172.29.0.10'], clusterCidr: '10.244.0.0/16', uplink: 'eth0' };
const backend = (last: number, local = false) => ({ address: `10.244.1.${last}`, port: 8080, local });
const web: ServicePortPlan = {
  id: 'default/web:/tcp',
  protocol: 'tcp',
  port: 80,
  clusterAddress: '10.96.0.7',
  externalAddresses: [],
  internal: [backend(1), backend(2, true)],
  external: [backend(1), backend(2, true)],
  externalLocal: false,
};

test('a service with two backends is two elements, and its local backend may be sent back to itself', () => {
  const { elements } = buildRuleset([web], [], network);
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
  const open = buildRuleset([{ ...web, nodePort: 30080 }], [], network).elements;
  assert.ok(open.get('masqueraded')?.has('172.29.0.10 . tcp . 30080'));
  const local = buildRuleset([{ ...web, nodePort: 30080, external: [], externalLocal: true }], [], network).elements;
  assert.ok(local.get('discarded')?.has('172.29.0.10 . tcp . 30080'));
  assert.equal(local.has('masqueraded'), false);
});

test('without backends connections are refused at once', () => {
  const { elements } = buildRuleset([{ ...web, internal: [] }], [], network);
  assert.ok(elements.get('refused')?.has('10.96.0.7 . tcp . 80'));
});

test('only the difference is sent', () => {
  const made = new Set<string>();
  const before = buildRuleset([web], [], network);
  completeScript(network, before, made);
  assert.equal(differenceScript(before, buildRuleset([web], [], network), made), '');
  const moved = buildRuleset([{ ...web, internal: [backend(1), backend(9)] }], [], network);
  assert.equal(
    differenceScript(before, moved, made),
    [
      'delete element ip k8ts random_2 { 10.96.0.7 . tcp . 80 . 1 }',
      'add element ip k8ts random_2 { 10.96.0.7 . tcp . 80 . 1 : 10.244.1.9 . 8080 }',
      '',
    ].join('\n'),
  );
});

test('a first use of a number of backends makes its map and rule; the last use takes the rule away', () => {
  const made = new Set<string>();
  const script = differenceScript(emptyRuleset, buildRuleset([web], [], network), made);
  assert.match(script, /add map ip k8ts random_2 /);
  assert.match(script, /add rule ip k8ts balance dnat ip addr \. port to .* numgen random mod 2 map @random_2/);
  const gone = differenceScript(buildRuleset([web], [], network), emptyRuleset, made);
  assert.match(gone, /^flush chain ip k8ts balance$/m);
  assert.match(gone, /delete element ip k8ts random_2/);
});

test('with affinity each backend has a number that stays while others come and go', () => {
  const sticky = { ...web, affinitySeconds: 10 };
  const numbers = (backends: ServicePortPlan['internal']) =>
    new Map(
      [...(buildRuleset([{ ...sticky, internal: backends }], [], network).elements.get('sticky') ?? [])].map(
        ([key, value]) => [value, key],
      ),
    );
  const two = numbers([backend(1), backend(2)]);
  const three = numbers([backend(3), backend(1), backend(2)]);
  assert.equal(two.get('10.244.1.1 . 8080'), three.get('10.244.1.1 . 8080'));
  const script = completeScript(network, buildRuleset([sticky], [], network), new Set());
  assert.match(script, /timeout 10s : meta mark/);
  assert.match(script, /map @draw_2/);
});
