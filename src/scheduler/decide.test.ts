import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#base';
import { labelSelectorFromMap } from '#machinery';
import { feasibleEnough } from './decide.ts';
import { testState } from './test-cluster.ts';

const zone = (value: string): Record<string, string> => ({ 'topology.kubernetes.io/zone': value });
const app = (value: string): Record<string, string> => ({ app: value });
const selector = (value: string): object => ({ matchLabels: app(value) });
const hostname = 'kubernetes.io/hostname';
const zoneKey = 'topology.kubernetes.io/zone';

test('how many feasible nodes are looked for', () => {
  assert.deepEqual([10, 100, 200, 1000, 5000, 20_000].map(feasibleEnough), [10, 100, 100, 420, 500, 1000]);
});

test('what a pod that fits nowhere is told', () => {
  const state = testState();
  assert.equal(state.fits(state.pod('p')), 'no nodes available to schedule pods');
  state.node('tainted', { spec: { taints: [{ key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }] } });
  state.node('full1', { allocatable: { cpu: '1' } });
  state.node('full2', { allocatable: { cpu: '1', memory: '1Mi' } });
  state.node('cordoned', { spec: { unschedulable: true } });
  state.node('crowded', { allocatable: { pods: '0' } });
  assert.equal(
    state.fits(state.pod('p', { requests: { cpu: '2', memory: '1Gi' } })),
    '0/5 nodes are available: 1 Insufficient memory, 1 Too many pods, 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 1 node(s) were unschedulable, 2 Insufficient cpu.',
  );
  assert.equal(
    state.fits(state.pod('p', { spec: { nodeSelector: { disk: 'ssd' } } })),
    "0/5 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 1 node(s) were unschedulable, 3 node(s) didn't match Pod's node affinity/selector.",
  );
});

test('resources: containers, init containers, sidecars, overhead, extended resources', () => {
  const state = testState();
  state.node('n', { allocatable: { cpu: '2', 'example.com/gpu': '1' } });
  const container = (cpu: string, more: object = {}): object => ({
    name: 'c',
    image: 'i',
    resources: { requests: { cpu } },
    ...more,
  });
  const fits = (spec: object): boolean =>
    state.fits(state.pod('p', { spec })) !== undefined && Array.isArray(state.fits(state.pod('p', { spec })));
  assert.equal(fits({ containers: [container('1'), container('1')] }), true);
  assert.equal(fits({ containers: [container('1'), container('1001m')] }), false);
  assert.equal(fits({ containers: [container('1')], initContainers: [container('2')] }), true);
  assert.equal(fits({ containers: [container('1')], initContainers: [container('2100m')] }), false);
  assert.equal(
    fits({ containers: [container('1')], initContainers: [container('1100m', { restartPolicy: 'Always' })] }),
    false,
  );
  assert.equal(fits({ containers: [container('1')], overhead: { cpu: '1100m' } }), false);
  const gpu = { containers: [{ name: 'c', image: 'i', resources: { requests: { 'example.com/gpu': '1' } } }] };
  state.on('n', 'first', { spec: gpu });
  assert.equal(state.fits(state.pod('p', { spec: gpu })), '0/1 nodes are available: 1 Insufficient example.com/gpu.');
});

test('taints and tolerations', () => {
  const state = testState();
  state.node('n', { spec: { taints: [{ key: 'a', value: 'b', effect: 'NoSchedule' }] } });
  const fits = (...tolerations: object[]): boolean =>
    Array.isArray(state.fits(state.pod('p', { spec: { tolerations } })));
  assert.equal(fits(), false);
  assert.equal(fits({ key: 'a', value: 'b', effect: 'NoSchedule' }), true);
  assert.equal(fits({ key: 'a', value: 'c' }), false);
  assert.equal(fits({ key: 'a', operator: 'Exists' }), true);
  assert.equal(fits({ operator: 'Exists' }), true);
  assert.equal(fits({ operator: 'Exists', effect: 'NoExecute' }), false);
});

test('node affinity', () => {
  const state = testState();
  state.node('a', { labels: { ...zone('1'), size: '10' } });
  state.node('b', { labels: { ...zone('2'), size: '20' } });
  const required = (...terms: object[]): object => ({
    spec: {
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } },
    },
  });
  const expression = (key: string, operator: string, ...values: string[]): object => ({
    matchExpressions: [{ key, operator, values }],
  });
  const fits = (...terms: object[]): unknown => state.fits(state.pod('p', required(...terms)));
  assert.deepEqual(fits(expression(zoneKey, 'In', '1', '3')), ['a']);
  assert.deepEqual(fits(expression(zoneKey, 'NotIn', '1')), ['b']);
  assert.deepEqual(fits(expression('size', 'Gt', '15')), ['b']);
  assert.deepEqual(fits(expression('size', 'Lt', '15'), expression(zoneKey, 'In', '2')), ['a', 'b']);
  assert.match(fits(expression('size', 'DoesNotExist')) as string, /affinity\/selector/);
  assert.match(fits({}) as string, /affinity\/selector/);
  const pin = { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['b'] }] };
  assert.deepEqual(fits(pin), ['b']);
  assert.equal(state.decide(state.pod('p', required(pin))).node?.name, 'b');
  const gone = { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['c'] }] };
  assert.match(fits(gone) as string, /^0\/2 nodes are available: 2 node\(s\) didn't match Pod's node affinity/);
});

test('host ports', () => {
  const state = testState();
  state.node('n');
  const ports = (hostPort: number, hostIP?: string, protocol = 'TCP'): object => ({
    spec: { containers: [{ name: 'c', ports: [{ containerPort: 1, hostPort, hostIP, protocol }] }] },
  });
  state.on('n', 'first', ports(80, '10.0.0.1'));
  assert.match(state.fits(state.pod('p', ports(80))) as string, /didn't have free ports for the requested pod ports/);
  assert.deepEqual(state.fits(state.pod('p', ports(80, '10.0.0.2'))), ['n']);
  assert.deepEqual(state.fits(state.pod('p', ports(80, undefined, 'UDP'))), ['n']);
  assert.deepEqual(state.fits(state.pod('p', ports(81))), ['n']);
});

const spread = (topologyKey: string, more: object = {}): object => ({
  topologySpreadConstraints: [
    { topologyKey, maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule', labelSelector: selector('a'), ...more },
  ],
});

test('topology spread, hard', () => {
  const state = testState();
  state.node('n1', { labels: zone('1') });
  state.node('n2', { labels: zone('2') });
  state.node('n3');
  state.on('n1', 'a1', { labels: app('a') });
  const fits = (more?: object): unknown =>
    state.fits(state.pod('p', { labels: app('a'), spec: spread(zoneKey, more) }));
  assert.deepEqual(fits(), ['n2']);
  assert.deepEqual(fits({ maxSkew: 2 }), ['n1', 'n2']);
  assert.deepEqual(fits({ labelSelector: selector('b') }), ['n1', 'n2']);
  assert.deepEqual(fits({ minDomains: 3 }), ['n2']);
  state.on('n2', 'a2', { labels: app('a') });
  state.on('n1', 'going', { labels: app('a'), meta: { deletionTimestamp: 'x' } });
  assert.deepEqual(fits(), ['n1', 'n2']);
  assert.equal(
    fits({ minDomains: 3 }),
    "0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label), 2 node(s) didn't match pod topology spread constraints.",
  );
  const elsewhere = state.pod('p', { labels: app('a'), namespace: 'other', spec: spread(zoneKey) });
  assert.deepEqual(state.fits(elsewhere), ['n1', 'n2']);
});

test('topology spread, soft and by default', () => {
  const state = testState({ ownSelector: labelSelectorFromMap(app('a')) });
  for (const name of ['n1', 'n2', 'n3', 'n4']) state.node(name, { labels: zone(name === 'n4' ? '2' : '1') });
  const placed: string[] = [];
  for (let i = 0; i < 8; i++) {
    const info = state.pod(`p${i}`, { labels: app('a'), requests: { cpu: '1m', memory: '1' } });
    const { node } = state.decide(info);
    assert.ok(node);
    state.cluster.place(info, node.name, true);
    placed.push(node.name);
  }
  const counts = Map.groupBy(placed, (one) => one);
  assert.equal(counts.size, 4);
  assert.ok((counts.get('n4')?.length ?? 0) >= 2, placed.join());
});

const near = (kind: string, labels: string, topologyKey: string, more: object = {}): object => ({
  affinity: {
    [kind]: {
      requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey, labelSelector: selector(labels), ...more }],
    },
  },
});

test('pod affinity and anti-affinity', () => {
  const state = testState();
  state.node('n1', { labels: zone('1') });
  state.node('n2', { labels: zone('1') });
  state.node('n3', { labels: zone('2') });
  state.on('n1', 'db', { labels: app('db'), spec: near('podAntiAffinity', 'noisy', hostname) });
  const fits = (labels: string, spec: object, namespace = 'default'): unknown =>
    state.fits(state.pod('p', { labels: app(labels), spec, namespace }));
  assert.deepEqual(fits('web', near('podAffinity', 'db', zoneKey)), ['n1', 'n2']);
  assert.deepEqual(fits('web', near('podAffinity', 'db', hostname)), ['n1']);
  assert.deepEqual(fits('web', near('podAntiAffinity', 'db', zoneKey)), ['n3']);
  assert.deepEqual(fits('noisy', {}), ['n2', 'n3']);
  assert.deepEqual(fits('noisy', {}, 'other'), ['n1', 'n2', 'n3']);
  assert.equal(
    fits('web', near('podAffinity', 'none', zoneKey)),
    "0/3 nodes are available: 3 node(s) didn't match pod affinity rules.",
  );
  assert.deepEqual(fits('first', near('podAffinity', 'first', zoneKey)), ['n1', 'n2', 'n3']);
  assert.equal(
    fits('web', near('podAffinity', 'db', zoneKey), 'other'),
    "0/3 nodes are available: 3 node(s) didn't match pod affinity rules.",
  );
  assert.deepEqual(fits('web', near('podAffinity', 'db', zoneKey, { namespaceSelector: {} }), 'other'), ['n1', 'n2']);
  assert.deepEqual(fits('web', near('podAffinity', 'db', zoneKey, { namespaces: ['default'] }), 'other'), ['n1', 'n2']);
  state.cluster.remove([...(state.cluster.nodes.get('n1')?.pods.keys() ?? [])][0] as string);
  assert.deepEqual(fits('noisy', {}), ['n1', 'n2', 'n3']);
  assert.equal(
    fits('web', near('podAffinity', 'db', zoneKey)),
    "0/3 nodes are available: 3 node(s) didn't match pod affinity rules.",
  );
});

test('scores: emptier, preferred, untainted, near friends', () => {
  const state = testState();
  state.node('a');
  state.node('b');
  state.on('a', 'load', { requests: { cpu: '3', memory: '6Gi' } });
  const chosen = (spec: object = {}, labels: Record<string, string> = {}): string | undefined =>
    state.decide(state.pod('p', { requests: { cpu: '100m', memory: '100Mi' }, spec, labels })).node?.name;
  assert.equal(chosen(), 'b');
  state.node('b', { spec: { taints: [{ key: 'x', effect: 'PreferNoSchedule' }] } });
  assert.equal(chosen(), 'a');
  state.node('b');
  const prefer = {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 10, preference: { matchExpressions: [{ key: hostname, operator: 'In', values: ['a'] }] } },
      ],
    },
  };
  assert.equal(chosen({ affinity: prefer }), 'a');
  state.on('a', 'friend', { labels: app('friend') });
  const weighted = { weight: 100, podAffinityTerm: { topologyKey: hostname, labelSelector: selector('friend') } };
  assert.equal(
    chosen({ affinity: { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [weighted] } } }),
    'a',
  );
  assert.equal(
    chosen({ affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [weighted] } } }),
    'b',
  );
});

test('verdicts follow the node', () => {
  const state = testState();
  state.node('n', { allocatable: { cpu: '1' } });
  const ask = (): boolean => Array.isArray(state.fits(state.pod('p', { requests: { cpu: '600m' } })));
  assert.equal(ask(), true);
  const first = state.on('n', 'first', { requests: { cpu: '600m' } });
  assert.equal(ask(), false);
  state.cluster.remove(first.uid);
  assert.equal(ask(), true);
  state.cluster.removeNode('n');
  state.node('m', { allocatable: { cpu: '500m' } });
  assert.equal(ask(), false);
});

test('a node promised to a more important pod is not given away', () => {
  const state = testState();
  state.node('n', { allocatable: { cpu: '1' } });
  const important = state.pod('important', { requests: { cpu: '1' }, priority: 10 });
  state.cluster.nominate(important, 'n');
  assert.equal(state.decide(state.pod('p', { requests: { cpu: '1' } })).node, undefined);
  assert.equal(state.decide(state.pod('p', { requests: { cpu: '1' }, priority: 11 })).node?.name, 'n');
  assert.equal(state.decide(important).node?.name, 'n');
});

test('what is remembered of nodes never outlives a change, also where nodes come in the place of others', () => {
  const random = seededRandom(7);
  const state = testState();
  const placed: string[] = [];
  let refusals = 0;
  for (let step = 0; step < 600; step++) {
    const name = `n${random.int(100)}`;
    const what = random.int(4);
    if (what === 0) {
      const spec = random.int(3) === 0 ? { unschedulable: true } : {};
      state.node(name, { allocatable: { cpu: String(1 + random.int(3)) }, spec });
    } else if (what === 1) state.cluster.removeNode(name);
    else if (what === 2 && placed.length > 0) {
      state.cluster.remove(placed.splice(random.int(placed.length), 1)[0] as string);
    }
    const pod = state.pod('p', { requests: { cpu: `${500 * (1 + random.int(4))}m` } });
    const { node } = state.decide(pod);
    const fits = state.fits(pod);
    if (node === undefined) {
      assert.equal(typeof fits, 'string');
      refusals++;
      continue;
    }
    assert.ok(fits.includes(node.name), `step ${step}: ${node.name} of ${fits}`);
    state.cluster.place(pod, node.name);
    placed.push(pod.uid);
  }
  assert.ok(refusals > 50 && placed.length > 20, `${refusals} refused, ${placed.length} placed`);
});

test('of nodes that are worth the same, each is as likely', () => {
  const state = testState();
  for (const name of ['a', 'b', 'c', 'full']) state.node(name, name === 'full' ? { allocatable: { cpu: '0' } } : {});
  const pod = state.pod('p', { requests: { cpu: '1' } });
  const counts = new Map<string, number>();
  for (let i = 0; i < 3000; i++) {
    const name = state.decide(pod).node?.name ?? '';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  assert.deepEqual([...counts.keys()].sort(), ['a', 'b', 'c']);
  for (const count of counts.values()) assert.ok(count > 850 && count < 1150, `${count} of 3000`);
});
