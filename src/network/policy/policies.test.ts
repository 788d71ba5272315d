import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { IPBlock, LabelSelector, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '#api';
import { planPolicy } from './plan-policies.ts';
import { type PodFacts, podFacts } from './pod-facts.ts';
import { emptyPolicyRuleset, policyDifference, type PolicyRuleset, policyScript } from './policy-ruleset.ts';
import { PolicyState } from './policy-state.ts';

const policy = (spec: object, name = 'web', namespace = 'default'): NetworkPolicy =>
  ({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name, namespace }, spec }) as NetworkPolicy;
const pod = (address: string, labels: Record<string, string>, more: Partial<PodFacts> = {}): PodFacts => ({
  uid: address,
  namespace: 'default',
  labels,
  addresses: [address],
  ports: [{ name: 'http', protocol: 'tcp', port: 8080 }],
  ...more,
});

test('a policy is read: absent types, absent peers and ports, blocks without their exceptions, merged ports', () => {
  const plan = planPolicy(
    policy({
      podSelector: { matchLabels: { app: 'web' } },
      ingress: [
        {
          from: [{ ipBlock: { cidr: '10.0.0.0/30', except: ['10.0.0.1/32'] } }],
          ports: [{ port: 80 }, { port: 81, endPort: 90 }, { protocol: 'UDP' }, { port: 'http' }],
        },
        {},
      ],
    }),
  );
  assert.equal(plan.egress, undefined);
  assert.deepEqual(plan.ingress?.[0]?.blocks, [
    { first: 0x0a000000, last: 0x0a000000 },
    { first: 0x0a000002, last: 0x0a000003 },
  ]);
  assert.deepEqual(plan.ingress?.[0]?.ports, [
    { protocol: 'tcp', all: false, numbers: [{ first: 80, last: 90 }], names: ['http'] },
    { protocol: 'udp', all: true, numbers: [], names: [] },
  ]);
  assert.deepEqual([plan.ingress?.[1]?.anyPeer, plan.ingress?.[1]?.anyPort], [true, true]);
  assert.deepEqual(planPolicy(policy({ podSelector: {}, egress: [{}] })).egress?.length, 1);
  assert.deepEqual(planPolicy(policy({ podSelector: {}, policyTypes: ['Egress'] })).ingress, undefined);
  const foreign = planPolicy(policy({ podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: 'fd00::/8' } }] }] }));
  assert.deepEqual([foreign.ingress?.[0]?.anyPeer, foreign.ingress?.[0]?.blocks], [false, []]);
});

test('pods in the node network, ended or without an address are nobody; addresses that only the runtime knows count', () => {
  const object = { metadata: { name: 'a', namespace: 'n', uid: 'u' }, spec: { containers: [] }, status: {} } as never;
  assert.equal(podFacts(object), undefined);
  assert.deepEqual(podFacts(object, ['10.244.0.5', 'fd00::1'])?.addresses, ['10.244.0.5']);
  const ended = { ...(object as object), status: { phase: 'Failed', podIP: '10.244.0.5' } } as never;
  assert.equal(podFacts(ended), undefined);
  const shared = { ...(object as object), spec: { hostNetwork: true, containers: [] }, status: { podIP: '10.0.0.1' } };
  assert.equal(podFacts(shared as never), undefined);
});

test('golden: the first script, then only elements, then nothing is left', () => {
  const state = new PolicyState();
  assert.equal(state.ruleset(), emptyPolicyRuleset);
  state.setPolicy(
    policy({
      podSelector: { matchLabels: { app: 'web' } },
      ingress: [
        { from: [{ podSelector: { matchLabels: { app: 'client' } } }], ports: [{ port: 80 }, { port: 'http' }] },
      ],
    }),
  );
  assert.equal(state.ruleset(), emptyPolicyRuleset, 'no pod of this node is selected');
  state.setOwnPod('10.244.1.2', pod('10.244.1.2', { app: 'web' }));
  state.setPod('10.244.2.9', pod('10.244.2.9', { app: 'client' }));
  const first = state.ruleset();
  assert.equal(
    policyScript(first),
    `table ip k8ts_policy {}
delete table ip k8ts_policy
table ip k8ts_policy {
  set isolated_ingress { type ipv4_addr; }
  set isolated_egress { type ipv4_addr; }
  set own { type ipv4_addr . ipv4_addr; }
  chain ingress { drop; }
  chain egress { drop; }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    ip saddr . ip daddr @own accept
    ip saddr @isolated_egress jump egress
    ip daddr @isolated_ingress jump ingress
  }
}
add set ip k8ts_policy WEB { type ipv4_addr; }
add set ip k8ts_policy CLIENT { type ipv4_addr; }
add set ip k8ts_policy HTTP { type ipv4_addr . inet_service; }
flush chain ip k8ts_policy ingress
add rule ip k8ts_policy ingress ip daddr @WEB ip saddr @CLIENT meta l4proto tcp th dport { 80 } return
add rule ip k8ts_policy ingress ip daddr @WEB ip saddr @CLIENT meta l4proto tcp ip daddr . th dport @HTTP return
add rule ip k8ts_policy ingress drop
add element ip k8ts_policy isolated_ingress { 10.244.1.2 }
add element ip k8ts_policy own { 10.244.1.2 . 10.244.1.2 }
add element ip k8ts_policy WEB { 10.244.1.2 }
add element ip k8ts_policy CLIENT { 10.244.2.9 }
add element ip k8ts_policy HTTP { 10.244.1.2 . 8080 }
`
      .replaceAll('WEB', setName(first, 0))
      .replaceAll('CLIENT', setName(first, 1))
      .replaceAll('HTTP', setName(first, 2)),
  );
  state.setPod('10.244.3.1', pod('10.244.3.1', { app: 'client' }));
  const second = state.ruleset();
  assert.equal(
    policyDifference(first, second),
    `add element ip k8ts_policy ${setName(first, 1)} { 10.244.3.1 }\n`,
    'a new client costs one element',
  );
  state.setPod('10.244.3.1', pod('10.244.3.1', { app: 'client' }));
  assert.equal(state.ruleset(), second, 'nothing changed: the same rules');
  state.setOwnPod('10.244.1.2', undefined);
  assert.equal(policyScript(state.ruleset()), 'table ip k8ts_policy {}\ndelete table ip k8ts_policy\n');
});

function setName(ruleset: PolicyRuleset, index: number): string {
  return [...ruleset.sets.keys()].filter((name) => name.startsWith('pods_'))[index] ?? '';
}

test('only what is asked for is needed', () => {
  const state = new PolicyState();
  state.setOwnPod('a', pod('10.244.1.2', { app: 'web' }));
  state.setPolicy(policy({ podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }] }));
  assert.deepEqual(state.needs(), { pods: false, namespaces: false });
  state.setPolicy(policy({ podSelector: {}, ingress: [{ from: [{ podSelector: {} }] }] }));
  assert.deepEqual(state.needs(), { pods: true, namespaces: false });
  state.setPolicy(
    policy({ podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { a: 'b' } } }] }] }),
  );
  assert.deepEqual(state.needs(), { pods: true, namespaces: true });
  state.removePolicy('default', 'web');
  assert.deepEqual(state.needs(), { pods: false, namespaces: false });
});

/** Enough of nft to run our scripts, strictly: an element that is there is not added twice, one that is not is not deleted. */
class Rules {
  sets = new Map<string, Set<string>>();
  chains = new Map<string, string[]>();

  run(script: string): void {
    let text = script.replace('table ip k8ts_policy {}\n', '');
    if (text.startsWith('delete table')) {
      this.sets = new Map();
      this.chains = new Map();
      text = text.replace('delete table ip k8ts_policy\n', '');
    }
    for (const match of text.matchAll(/^ {2}set (\S+) \{/gm)) this.sets.set(match[1] as string, new Set());
    for (const match of text.matchAll(/^ {2}chain (\S+) \{ drop; \}/gm)) this.chains.set(match[1] as string, ['drop']);
    for (const line of text.split('\n')) {
      const [, verb = '', object = '', name = '', rest = ''] =
        /^(add|delete|flush) (\S+) ip k8ts_policy (\S+) ?(.*)$/.exec(line) ?? [];
      const elements = rest.replace(/^\{ | \}$/g, '').split(', ');
      if (object === 'rule') this.chains.get(name)?.push(rest);
      else if (object === 'chain') this.chains.set(name, []);
      else if (verb === 'add' && object === 'set') {
        assert.ok(!this.sets.has(name));
        this.sets.set(name, new Set());
      } else if (object === 'set') {
        const reads = [...this.chains.values()].flat().some((rule) => rule.includes(`@${name} `));
        assert.ok(this.sets.delete(name) && !reads, 'a set that is read is not deleted');
      } else if (object === 'element') {
        for (const one of elements) {
          const set = this.sets.get(name);
          assert.ok(set !== undefined && set.has(one) === (verb === 'delete'), line);
          if (verb === 'add') set.add(one);
          else set.delete(one);
        }
      }
    }
  }

  lets(packet: Packet): boolean {
    const has = (set: string, element: string): boolean => this.sets.get(set)?.has(element) === true;
    if (has('own', `${packet.from} . ${packet.to}`)) return true;
    if (has('isolated_egress', packet.from) && !this.#passes('egress', packet)) return false;
    return !has('isolated_ingress', packet.to) || this.#passes('ingress', packet);
  }

  #passes(chain: string, packet: Packet): boolean {
    for (const rule of this.chains.get(chain) ?? []) {
      if (rule === 'drop') return false;
      if (this.#matches(rule.replace(/ return$/, ''), packet)) return true;
    }
    assert.fail('a chain ends with drop');
  }

  #matches(rule: string, { from, to, protocol, port }: Packet): boolean {
    const number = (text: string): number =>
      text.includes('.') ? text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) : Number(text);
    const within = (value: string, list: string): boolean =>
      list.split(', ').some((range) => {
        const [first = '', last = first] = range.split('-');
        return number(value) >= number(first) && number(value) <= number(last);
      });
    let rest = rule;
    while (rest !== '') {
      const match =
        /^(ip saddr|ip daddr \. th dport|ip daddr|th dport|meta l4proto) (?:@(\S+)|\{ ([^}]*) \}|(\S+)) ?/.exec(rest);
      assert.ok(match !== null, `not understood: ${rest}`);
      const [whole, key, set, list, word] = match;
      const value =
        key === 'ip saddr'
          ? from
          : key === 'ip daddr'
            ? to
            : key === 'th dport'
              ? String(port)
              : key === 'meta l4proto'
                ? protocol
                : `${to} . ${port}`;
      const fits =
        set !== undefined
          ? this.sets.get(set)?.has(value) === true
          : list !== undefined
            ? within(value, list)
            : value === word;
      if (!fits) return false;
      rest = rest.slice(whole.length);
    }
    return true;
  }
}

interface Packet {
  from: string;
  to: string;
  protocol: string;
  port: number;
}

/** The words of the API's documentation, one after the other, with nothing remembered. */
function naive(policies: readonly NetworkPolicy[], world: World, { from, to, protocol, port }: Packet): boolean {
  if (from === to) return true;
  const podAt = (address: string) => world.pods.find((one) => one.addresses.includes(address));
  const selects = (selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean =>
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) =>
      operator === 'In'
        ? values.includes(labels[key] ?? '\0')
        : operator === 'NotIn'
          ? !values.includes(labels[key] ?? '\0')
          : (operator === 'Exists') === (labels[key] !== undefined),
    );
  const bits = (address: string): string =>
    address
      .split('.')
      .map((part) => Number(part).toString(2).padStart(8, '0'))
      .join('');
  const inCidr = (address: string, cidr: string): boolean => {
    const [base = '', length = ''] = cidr.split('/');
    return bits(address).startsWith(bits(base).slice(0, Number(length)));
  };
  const peerFits = (namespace: string, peer: NetworkPolicyPeer, address: string): boolean => {
    if (peer.ipBlock)
      return inCidr(address, peer.ipBlock.cidr) && !(peer.ipBlock.except ?? []).some((one) => inCidr(address, one));
    const other = podAt(address);
    if (other === undefined) return false;
    const there = peer.namespaceSelector
      ? world.namespaces[other.namespace] !== undefined &&
        selects(peer.namespaceSelector, world.namespaces[other.namespace] ?? {})
      : other.namespace === namespace;
    return there && selects(peer.podSelector ?? {}, other.labels);
  };
  const portFits = (one: NetworkPolicyPort): boolean => {
    if ((one.protocol ?? 'TCP').toLowerCase() !== protocol) return false;
    if (one.port === undefined) return true;
    if (typeof one.port === 'number') return port >= one.port && port <= (one.endPort ?? one.port);
    return (
      podAt(to)?.ports.some(
        (named) => named.name === one.port && named.protocol === protocol && named.port === port,
      ) === true
    );
  };
  const allowed = (address: string, other: string, direction: 'Ingress' | 'Egress'): boolean => {
    const self = podAt(address);
    if (self === undefined || self.node !== 'here') return true;
    const own = policies.filter(({ metadata, spec }) => {
      const types = spec.policyTypes ?? (spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress']);
      return (
        metadata.namespace === self.namespace &&
        selects(spec.podSelector ?? {}, self.labels) &&
        types.includes(direction)
      );
    });
    if (own.length === 0) return true;
    return own.some(({ metadata, spec }) => {
      const rules =
        direction === 'Ingress'
          ? (spec.ingress ?? []).map((one) => ({ peers: one.from ?? [], ports: one.ports ?? [] }))
          : (spec.egress ?? []).map((one) => ({ peers: one.to ?? [], ports: one.ports ?? [] }));
      return rules.some(
        ({ peers, ports }) =>
          (peers.length === 0 || peers.some((peer) => peerFits(metadata.namespace ?? '', peer, other))) &&
          (ports.length === 0 || ports.some(portFits)),
      );
    });
  };
  return allowed(from, to, 'Egress') && allowed(to, from, 'Ingress');
}

interface World {
  namespaces: Record<string, Record<string, string>>;
  pods: (PodFacts & { node: 'here' | 'there' })[];
}

const labels = fc.dictionary(fc.constantFrom('app', 'tier'), fc.constantFrom('a', 'b'), { maxKeys: 2 });
const selector: fc.Arbitrary<LabelSelector> = fc.oneof(
  fc.constant({}),
  labels.map((matchLabels) => ({ matchLabels: { ...matchLabels } })),
  fc
    .tuple(fc.constantFrom('app', 'tier'), fc.constantFrom('In', 'NotIn', 'Exists', 'DoesNotExist'))
    .map(([key, operator]) => ({
      matchExpressions: [operator.includes('In') ? { key, operator, values: ['a'] } : { key, operator }],
    })),
) as fc.Arbitrary<LabelSelector>;
const block: fc.Arbitrary<IPBlock> = fc.constantFrom(
  { cidr: '0.0.0.0/0' },
  { cidr: '0.0.0.0/0', except: ['10.244.0.0/16'] },
  { cidr: '10.244.0.0/16', except: ['10.244.1.0/24', '10.244.2.0/30'] },
  { cidr: '192.168.0.0/16' },
  { cidr: 'fd00::/8' },
);
const peer: fc.Arbitrary<NetworkPolicyPeer> = fc.oneof(
  selector.map((podSelector) => ({ podSelector })),
  selector.map((namespaceSelector) => ({ namespaceSelector })),
  fc.tuple(selector, selector).map(([podSelector, namespaceSelector]) => ({ podSelector, namespaceSelector })),
  block.map((ipBlock) => ({ ipBlock })),
);
const port: fc.Arbitrary<NetworkPolicyPort> = fc.constantFrom(
  {},
  { protocol: 'UDP' },
  { port: 80 },
  { port: 80, endPort: 90 },
  { port: 'http' },
  { protocol: 'UDP', port: 'dns' },
);
const few = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(one, { maxLength: 2 });
const policies = fc.array(
  fc.record(
    {
      namespace: fc.constantFrom('one', 'two'),
      podSelector: selector,
      ingress: few(fc.record({ from: few(peer), ports: few(port) }, { requiredKeys: [] })),
      egress: few(fc.record({ to: few(peer), ports: few(port) }, { requiredKeys: [] })),
      policyTypes: fc.constantFrom(['Ingress'], ['Egress'], ['Ingress', 'Egress']),
    },
    { requiredKeys: ['namespace', 'podSelector'] },
  ),
  { maxLength: 4 },
);
const world: fc.Arbitrary<World> = fc
  .record({
    namespaces: fc.record({ one: labels, two: labels }),
    pods: fc.array(
      fc.record({
        namespace: fc.constantFrom('one', 'two'),
        node: fc.constantFrom('here' as const, 'there' as const),
        labels,
        ports: fc.constantFrom(
          [],
          [{ name: 'http', protocol: 'tcp' as const, port: 80 }],
          [
            { name: 'http', protocol: 'tcp' as const, port: 8080 },
            { name: 'dns', protocol: 'udp' as const, port: 53 },
          ],
        ),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  })
  .map(({ namespaces, pods }) => ({
    namespaces: namespaces as World['namespaces'],
    pods: pods.map((one, index) => ({
      ...one,
      uid: `pod-${index}`,
      addresses: [`10.244.${one.node === 'here' ? 1 : 2}.${index + 2}`],
    })),
  }));

test('property: after any changes, applied one by one, the rules let through what the documentation lets through', () => {
  const tell = (state: PolicyState, { namespaces, pods }: World, before: World | undefined): void => {
    for (const [name, own] of Object.entries(namespaces)) state.setNamespace(name, own);
    for (const { uid, node } of before?.pods ?? []) {
      if (node === 'here' && !pods.some((one) => one.uid === uid && one.node === 'here'))
        state.setOwnPod(uid, undefined);
      if (!pods.some((one) => one.uid === uid)) state.setPod(uid, undefined);
    }
    for (const one of pods) {
      state.setPod(one.uid, one);
      if (one.node === 'here') state.setOwnPod(one.uid, one);
    }
  };
  fc.assert(
    fc.property(fc.array(fc.tuple(world, policies), { minLength: 1, maxLength: 3 }), (steps) => {
      const state = new PolicyState();
      const rules = new Rules();
      let applied = emptyPolicyRuleset;
      let before: World | undefined;
      let old: NetworkPolicy[] = [];
      for (const [now, specs] of steps) {
        const objects = specs.map(({ namespace, ...spec }, index) => policy(spec, `policy-${index}`, namespace));
        tell(state, now, before);
        for (const { metadata } of old) state.removePolicy(metadata.namespace ?? '', metadata.name);
        for (const one of objects) state.setPolicy(one);
        const next = state.ruleset();
        const anew = applied.sets.size === 0 || next.sets.size === 0;
        rules.run(anew ? policyScript(next) : policyDifference(applied, next));
        applied = next;
        before = now;
        old = objects;
        const addresses = [...now.pods.flatMap((one) => one.addresses), '192.168.7.7', '8.8.8.8'];
        for (const from of addresses)
          for (const to of addresses)
            for (const [protocol, number] of [
              ['tcp', 80],
              ['tcp', 85],
              ['tcp', 8080],
              ['udp', 53],
              ['icmp', 0],
            ] as const) {
              const packet = { from, to, protocol, port: number };
              assert.equal(rules.lets(packet), naive(objects, now, packet), JSON.stringify(packet));
            }
      }
    }),
    { numRuns: 400 },
  );
});

test('ten thousand pods and two hundred policies: a pod that comes costs less than ten milliseconds', () => {
  const state = new PolicyState();
  for (let index = 0; index < 200; index++)
    state.setPolicy(
      policy(
        {
          podSelector: { matchLabels: { app: `a${index}` } },
          ingress: [{ from: [{ podSelector: { matchLabels: { app: `a${index + 1}` } } }] }],
        },
        `p${index}`,
      ),
    );
  const many = (index: number) =>
    pod(`10.${Math.floor(index / 65536)}.${Math.floor(index / 256) % 256}.${index % 256}`, { app: `a${index % 200}` });
  for (let index = 0; index < 10_000; index++) state.setPod(`u${index}`, many(index));
  for (let index = 0; index < 100; index++) state.setOwnPod(`u${index}`, many(index));
  const before = state.ruleset();
  const times = Array.from({ length: 9 }, (_, index) => {
    const startMs = performance.now();
    state.setPod(`new${index}`, many(10_001 + index));
    assert.ok(policyDifference(before, state.ruleset()) !== '');
    return performance.now() - startMs;
  });
  assert.ok((times.sort((a, b) => a - b)[4] as number) < 10, `${times}`);
});
