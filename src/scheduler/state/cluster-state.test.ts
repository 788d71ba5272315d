import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type TestState, testState } from '../test-cluster.ts';
import type { PodInfo } from './pod-info.ts';

type Step =
  | { readonly kind: 'node' | 'gone'; readonly node: number; readonly zone: number; readonly cpu: number }
  | { readonly kind: 'place' | 'remove'; readonly pod: number; readonly node: number; readonly app: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('node' as const, 'gone' as const),
    node: fc.nat(3),
    zone: fc.nat(1),
    cpu: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({
    kind: fc.constantFrom('place' as const, 'place' as const, 'remove' as const),
    pod: fc.nat(5),
    node: fc.nat(3),
    app: fc.nat(1),
  }),
);

const selector = { matchLabels: { app: 'a0' } };
const asking = {
  containers: [{ name: 'c', resources: { requests: { cpu: '1' } } }],
  topologySpreadConstraints: [
    { topologyKey: 'zone', maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule', labelSelector: selector },
  ],
  affinity: {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'a1' } } },
      ],
    },
  },
};

interface World {
  readonly nodes: Map<number, { zone: number; cpu: number }>;
  readonly pods: Map<number, { node: number; app: number }>;
}

function fill(state: TestState, { nodes, pods }: World): void {
  for (const [name, { zone, cpu }] of nodes)
    state.node(`n${name}`, { labels: { zone: `z${zone}` }, allocatable: { cpu: `${cpu}` } });
  for (const [name, { node, app }] of pods) state.cluster.place(podOf(state, name, app), `n${node}`);
}

function podOf(state: TestState, name: number, app: number): PodInfo {
  const spec = {
    containers: [{ name: 'c', resources: { requests: { cpu: '500m' } } }],
    ...(app === 1 ? { affinity: antiA0 } : {}),
  };
  return state.pod(`p${name}`, { labels: { app: `a${app}` }, spec, meta: { uid: `uid${name}` } });
}

const antiA0 = {
  podAntiAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: [
      { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'a0' } } },
    ],
  },
};

test('what is kept up step by step answers as what is built anew', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const state = testState();
      const world: World = { nodes: new Map(), pods: new Map() };
      const question = (one: TestState): PodInfo => one.pod('q', { labels: { app: 'a0' }, spec: asking });
      for (const one of steps) {
        switch (one.kind) {
          case 'node':
            world.nodes.set(one.node, { zone: one.zone, cpu: one.cpu });
            state.node(`n${one.node}`, { labels: { zone: `z${one.zone}` }, allocatable: { cpu: `${one.cpu}` } });
            break;
          case 'gone':
            world.nodes.delete(one.node);
            state.cluster.removeNode(`n${one.node}`);
            break;
          case 'place':
            world.pods.set(one.pod, { node: one.node, app: one.app });
            state.cluster.place(podOf(state, one.pod, one.app), `n${one.node}`);
            break;
          default:
            world.pods.delete(one.pod);
            state.cluster.remove(`uid${one.pod}`);
        }
        const fresh = testState();
        fill(fresh, world);
        assert.deepEqual(state.fits(question(state)), fresh.fits(question(fresh)));
      }
    }),
    { numRuns: 150 },
  );
});
