import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Container, Pod } from '#api';
import {
  isRestartableInit,
  forEachContainer,
  isPodAvailable,
  isPodReady,
  isPodTerminal,
  podCondition,
} from './pod-facts.ts';
import { podLimits, podQosClass, podRequests } from './pod-resources.ts';

const container = (requests: Record<string, string>, more: object = {}): Container => ({
  name: 'c',
  resources: { requests },
  ...more,
});
const podOf = (spec: object, status: object = {}): Pod =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [], ...spec },
    status,
  }) as unknown as Pod;

const requests: readonly (readonly [title: string, spec: object, expected: Record<string, string>])[] = [
  [
    'containers add up',
    { containers: [container({ cpu: '100m' }), container({ cpu: '1', memory: '1Gi' })] },
    { cpu: '1100m', memory: '1Gi' },
  ],
  [
    'the largest init container counts, not their sum',
    {
      containers: [container({ cpu: '1' })],
      initContainers: [container({ cpu: '3' }), container({ cpu: '2', memory: '5' })],
    },
    { cpu: '3', memory: '5' },
  ],
  [
    'a sidecar runs beside all that come later',
    {
      containers: [container({ cpu: '1' })],
      initContainers: [
        container({ cpu: '2' }),
        container({ cpu: '1' }, { restartPolicy: 'Always' }),
        container({ cpu: '3' }),
      ],
    },
    { cpu: '4' },
  ],
  [
    'overhead and pod-level resources',
    {
      containers: [container({ cpu: '1', memory: '1Mi' })],
      resources: { requests: { cpu: '2' } },
      overhead: { cpu: '250m' },
    },
    { cpu: '2250m', memory: '1Mi' },
  ],
];

for (const [title, spec, expected] of requests)
  test(`requests: ${title}`, () => {
    assert.deepEqual(podRequests(podOf(spec)), expected);
  });

test('limits take overhead only where there is a limit', () => {
  const pod = podOf({
    containers: [{ name: 'c', resources: { limits: { cpu: '1' } } }],
    overhead: { cpu: '1', memory: '1' },
  });
  assert.deepEqual(podLimits(pod), { cpu: '2' });
});

const both = { cpu: '1', memory: '1Gi' };
const classes: readonly (readonly [spec: object, expected: string])[] = [
  [{ containers: [container({})] }, 'BestEffort'],
  [{ containers: [container({ cpu: '0' })] }, 'BestEffort'],
  [{ containers: [container({ 'example.com/gpu': '1' })] }, 'BestEffort'],
  [{ containers: [container({ cpu: '1' })] }, 'Burstable'],
  [{ containers: [{ name: 'c', resources: { limits: both, requests: both } }] }, 'Guaranteed'],
  [{ containers: [{ name: 'c', resources: { limits: both, requests: { ...both, cpu: '1000m' } } }] }, 'Guaranteed'],
  [{ containers: [{ name: 'c', resources: { limits: both, requests: { cpu: '500m' } } }] }, 'Burstable'],
  [{ containers: [{ name: 'c', resources: { limits: both, requests: both } }, { name: 'd' }] }, 'Burstable'],
  [
    { containers: [{ name: 'c', resources: { limits: both, requests: both } }], initContainers: [{ name: 'i' }] },
    'Burstable',
  ],
  [{ containers: [{ name: 'c' }], resources: { limits: both, requests: both } }, 'Guaranteed'],
];

for (const [index, [spec, expected]] of classes.entries())
  test(`QoS class ${index}: ${expected}`, () => {
    assert.equal(podQosClass(podOf(spec)), expected);
  });

test('readiness, availability and the end', () => {
  const ready = (status: string, since = '2026-01-01T00:00:00Z') =>
    podOf({}, { conditions: [{ type: 'Ready', status, lastTransitionTime: since }] });
  const startMs = 1767225600000;
  assert.equal(isPodReady(ready('True')), true);
  assert.equal(isPodReady(ready('Unknown')), false);
  assert.equal(isPodReady(podOf({})), false);
  assert.equal(podCondition(ready('True'), 'Ready')?.status, 'True');
  assert.equal(isPodAvailable(ready('True'), 10, startMs + 9_999), false);
  assert.equal(isPodAvailable(ready('True'), 10, startMs + 10_000), true);
  assert.equal(isPodAvailable(ready('True', ''), 10, startMs), false);
  assert.equal(isPodTerminal(podOf({}, { phase: 'Failed' })), true);
  assert.equal(isPodTerminal(podOf({}, { phase: 'Running' })), false);
  assert.equal(isRestartableInit({ name: 's', restartPolicy: 'Always' }), true);
});

test('every container list of the pod is visited', () => {
  const seen: string[] = [];
  forEachContainer(
    {
      containers: [{ name: 'a' }, { name: 'b' }],
      initContainers: [{ name: 'c' }],
      ephemeralContainers: [{ name: 'd' }],
    },
    (one, field, role) => seen.push(`${field} ${role} ${one.name}`),
  );
  assert.deepEqual(seen, [
    'initContainers[0] init c',
    'containers[0] main a',
    'containers[1] main b',
    'ephemeralContainers[0] ephemeral d',
  ]);
});
