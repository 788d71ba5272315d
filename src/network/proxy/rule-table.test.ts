import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ServicePortPlan } from './plan-services.ts';
import { type Entry, hostPortEntries, serviceEntries } from './rule-entries.ts';
import { type ElementChange, RuleTable } from './rule-table.ts';

const network = { nodeAddresses: ['172.29.0.10', '192.168.7.1'], clusterCidr: '10.244.0.0/16', uplink: 'eth0' };

/** Few addresses and ports, so that owners often want the same ones. */
const backends = fc.uniqueArray(
  fc.record({
    address: fc.constantFrom('10.244.1.1', '10.244.1.2', '10.244.2.1', '10.244.2.2'),
    port: fc.constantFrom(80, 8080),
    local: fc.boolean(),
  }),
  { selector: (one) => `${one.address}:${one.port}`, maxLength: 4 },
);
const plan: fc.Arbitrary<ServicePortPlan> = fc.record({
  id: fc.constant('x'),
  protocol: fc.constantFrom('tcp', 'udp'),
  port: fc.constantFrom(80, 443),
  clusterAddress: fc.constantFrom(undefined, '10.96.0.1', '10.96.0.2'),
  externalAddresses: fc.subarray(['192.0.2.1', '192.0.2.2']),
  balancerAddresses: fc.subarray(['172.29.0.200', '172.29.0.201']),
  balancerOwned: fc.boolean(),
  sourceRanges: fc.option(fc.subarray(['10.0.0.0/8', '10.1.0.0/16', '0.0.0.0/0']), { nil: undefined }),
  nodePort: fc.constantFrom(undefined, 30_001, 30_002),
  affinitySeconds: fc.constantFrom(undefined, 10, 10_800),
  internal: backends,
  external: backends,
  externalLocal: fc.boolean(),
  inside: backends,
  living: backends,
}) as unknown as fc.Arbitrary<ServicePortPlan>;
const hostPort = fc.record({
  protocol: fc.constantFrom('tcp' as const, 'udp' as const),
  hostPort: fc.constantFrom(80, 30_001),
  hostAddress: fc.constantFrom('', '192.0.2.1'),
  address: fc.constantFrom('10.244.1.1', '10.244.1.9'),
  port: fc.constant(80),
});
const owners = ['default/a', 'default/b', 'default/c', 'pod 1'];
/** An owner gets other entries, or none. */
const step = fc.oneof(
  fc.record({
    owner: fc.constantFrom(...owners.slice(0, 3)),
    entries: fc
      .array(plan, { maxLength: 2 })
      .map((plans) => plans.flatMap((one) => serviceEntries(one, '2026-01-01', network))),
  }),
  fc.record({
    owner: fc.constant('pod 1'),
    entries: fc
      .array(hostPort, { maxLength: 2 })
      .map((ports): Entry[] => ports.flatMap((one) => hostPortEntries(one, network))),
  }),
);

const sorted = (elements: ReadonlyMap<string, ReadonlyMap<string, string>>) =>
  Object.fromEntries(
    [...elements]
      .filter(([, entries]) => entries.size > 0)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, entries]) => [name, Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)))]),
  );

/** What the kernel does with a change: an element that is deleted must be there, one that is added must not. */
function applyTo(kernel: Map<string, Map<string, string>>, change: ElementChange): void {
  for (const [name, keys] of change.gone)
    for (const key of keys) assert.ok(kernel.get(name)?.delete(key), `${name} ${key} is not there to be deleted`);
  for (const [name, pairs] of change.added) {
    const held = kernel.get(name) ?? new Map<string, string>();
    kernel.set(name, held);
    for (const [key, value] of pairs) {
      assert.ok(!held.has(key), `${name} ${key} is there already`);
      held.set(key, value);
    }
  }
}

test('property: changes sent one after the other leave what a full rebuild writes', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(step, fc.boolean()), { maxLength: 30 }), (steps) => {
      const table = new RuleTable();
      const kernel = new Map<string, Map<string, string>>();
      const last = new Map<string, readonly Entry[]>();
      for (const [{ owner, entries }, send] of steps) {
        const keys = new Set<string>();
        const own = entries.filter((one) => !keys.has(one.key) && keys.add(one.key) !== undefined);
        table.set(owner, own);
        last.set(owner, own);
        if (send) applyTo(kernel, table.takeChange());
      }
      applyTo(kernel, table.takeChange());
      const rebuilt = new RuleTable();
      for (const owner of [...last.keys()].sort().reverse()) rebuilt.set(owner, last.get(owner) as Entry[]);
      assert.deepEqual(sorted(table.elements), sorted(rebuilt.elements));
      assert.deepEqual(sorted(kernel), sorted(table.elements));
      for (const owner of last.keys()) table.set(owner, []);
      assert.deepEqual(sorted(table.elements), {});
    }),
    { numRuns: 300 },
  );
});
