import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Node } from '#api';
import { noWays, planWays, tunnelHardware, tunnelRules, wayCommands } from '../tunnel/plan-tunnel.ts';
import { isOnLink, planRoutes } from './plan-routes.ts';

const node = (name: string, address: string, podCIDR?: string): Node =>
  ({
    metadata: { name },
    spec: podCIDR === undefined ? {} : { podCIDR },
    status: { addresses: [{ type: 'InternalIP', address }] },
  }) as unknown as Node;
const hostRoutes = [
  { dst: 'default', gateway: '10.1.0.1', dev: 'eth0' },
  { dst: '10.1.0.0/24', dev: 'eth0', protocol: 'kernel' },
  { dst: '10.1.0.128/25', gateway: '10.1.0.9', dev: 'eth0' },
  { dst: '10.244.1.0/24', gateway: '10.1.0.3', dev: 'eth0', protocol: '118' },
];
const nodes = [
  node('a', '10.1.0.2', '10.244.0.0/24'),
  node('b', '10.1.0.3', '10.244.1.0/24'),
  node('c', '10.2.0.2', '10.244.2.0/24'),
  node('d', '10.1.0.200', '10.244.3.0/24'),
  node('new', '10.1.0.5'),
];
const names = (plan: ReturnType<typeof planRoutes>) =>
  [plan.direct, plan.tunnelled, plan.left].map((list) => list.map((one) => one.node).join());

test('a node is on the link when the most specific route there has no router', () => {
  assert.equal(isOnLink('10.1.0.3', hostRoutes), true);
  assert.equal(isOnLink('10.1.0.200', hostRoutes), false);
  assert.equal(isOnLink('10.2.0.2', hostRoutes), false);
  assert.equal(isOnLink('10.2.0.2', []), false);
  assert.equal(isOnLink('10.1.0.3', [{ dst: '10.1.0.3', type: 'blackhole' }]), false);
});

test('the way to each node follows from mode and link', () => {
  const options = { ownName: 'a', nodes, hostRoutes };
  assert.deepEqual(names(planRoutes({ ...options, mode: 'auto' })), ['b', 'c,d', '']);
  assert.deepEqual(names(planRoutes({ ...options, mode: 'routes' })), ['b', '', 'c,d']);
  assert.deepEqual(names(planRoutes({ ...options, mode: 'vxlan' })), ['', 'b,c,d', '']);
});

const own = { address: '10.1.0.2', podCidr: '10.244.0.0/24', uplinkMtu: 1500 };
const waysOf = (some: readonly Node[], mode: 'auto' | 'vxlan' = 'auto') =>
  planWays(planRoutes({ ownName: 'a', nodes: some, hostRoutes, mode }), own);

test('golden: the commands that make the ways, only the difference, and that take all of it away', () => {
  const first = waysOf([nodes[0] as Node, nodes[1] as Node, nodes[2] as Node]);
  assert.deepEqual(wayCommands(noWays, first), {
    device: [
      'link add k8ts.vxlan address 02:6b:0a:01:00:02 mtu 1450 type vxlan id 118 local 10.1.0.2 dstport 4789 nolearning',
      'address replace 10.244.0.0/32 dev k8ts.vxlan',
      'link set k8ts.vxlan up',
    ],
    bridge: ['fdb replace 02:6b:0a:02:00:02 dev k8ts.vxlan dst 10.2.0.2 self permanent'],
    ip: [
      'neighbour replace 10.244.2.0 lladdr 02:6b:0a:02:00:02 dev k8ts.vxlan nud permanent',
      'route replace 10.244.1.0/24 via 10.1.0.3 proto 118',
      'route replace 10.244.2.0/24 via 10.244.2.0 dev k8ts.vxlan onlink proto 118',
    ],
  });
  assert.deepEqual(wayCommands(first, first), { device: [], bridge: [], ip: [] });
  const more = waysOf(nodes);
  assert.deepEqual(wayCommands(first, more), {
    device: [],
    bridge: ['fdb replace 02:6b:0a:01:00:c8 dev k8ts.vxlan dst 10.1.0.200 self permanent'],
    ip: [
      'neighbour replace 10.244.3.0 lladdr 02:6b:0a:01:00:c8 dev k8ts.vxlan nud permanent',
      'route replace 10.244.3.0/24 via 10.244.3.0 dev k8ts.vxlan onlink proto 118',
    ],
  });
  assert.deepEqual(wayCommands(more, first), {
    device: [],
    bridge: ['fdb delete 02:6b:0a:01:00:c8 dev k8ts.vxlan dst 10.1.0.200 self'],
    ip: ['route delete 10.244.3.0/24 proto 118', 'neighbour delete 10.244.3.0 dev k8ts.vxlan'],
  });
  assert.deepEqual(wayCommands(first, waysOf([nodes[0] as Node])), {
    device: ['link delete k8ts.vxlan'],
    bridge: [],
    ip: ['route delete 10.244.1.0/24 proto 118'],
  });
});

test('a device that is not as wanted is made anew, with all that hung on it', () => {
  const wanted = waysOf([nodes[0] as Node, nodes[2] as Node]);
  const other = { ...wanted, device: { ...wanted.device, mtu: 1400 } } as typeof wanted;
  const commands = wayCommands(other, wanted);
  assert.equal(commands.device[0], 'link delete k8ts.vxlan');
  assert.deepEqual([commands.device.length, commands.bridge.length, commands.ip.length], [4, 1, 2]);
});

test('without a range of its own a node has no tunnel, and no two nodes share a hardware address', () => {
  const plan = planRoutes({ ownName: 'a', nodes, hostRoutes, mode: 'auto' });
  const ways = planWays(plan, { ...own, podCidr: undefined });
  assert.equal(ways.device, undefined);
  assert.deepEqual([...ways.routes.keys()], ['10.244.1.0/24']);
  assert.notEqual(tunnelHardware('10.1.0.2'), tunnelHardware('10.1.2.0'));
});

test('only nodes may send wrapped packets', () => {
  assert.match(tunnelRules(['10.2.0.2', '10.1.0.200']), /elements = \{ 10\.1\.0\.200, 10\.2\.0\.2 \}/);
  assert.equal(tunnelRules([]), 'table ip k8ts_tunnel {}\ndelete table ip k8ts_tunnel\n');
});
