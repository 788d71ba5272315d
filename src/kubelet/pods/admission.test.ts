import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Node, Pod, PodSpec } from '#api';
import { admitPod, matchesNode } from './admission.ts';

let count = 0;
const podOf = (spec: Partial<PodSpec>, phase = 'Running'): Pod =>
  ({
    metadata: { name: `p${count++}`, namespace: 'ns', uid: String(count) },
    spec: { containers: [{ name: 'a' }], ...spec },
    status: { phase },
  }) as unknown as Pod;
const nodeOf = (labels: Record<string, string> = {}): Node => ({ metadata: { name: 'n', labels } }) as unknown as Node;
const allocatable = { cpu: '2', memory: '1Gi', pods: '3' };
const withPort = (hostPort: number, hostIP?: string, protocol?: string): Pod =>
  podOf({
    containers: [
      {
        name: 'a',
        ports: [{ containerPort: 80, hostPort, ...(hostIP ? { hostIP } : {}), ...(protocol ? { protocol } : {}) }],
      },
    ],
  });
const cpu = (amount: string, phase?: string): Pod =>
  podOf({ containers: [{ name: 'a', resources: { requests: { cpu: amount } } }] }, phase);
const pressure = { memoryPressure: false, diskPressure: false, pidPressure: false };
const reason = (pod: Pod, others: readonly Pod[], node?: Node): string | undefined =>
  admitPod(pod, { others, allocatable, node, pressure })?.reason;

test('room', () => {
  assert.equal(reason(cpu('1'), [cpu('1')]), undefined);
  assert.equal(reason(cpu('1001m'), [cpu('1')]), 'OutOfcpu');
  assert.equal(reason(cpu('2'), [cpu('2', 'Succeeded')]), undefined);
  assert.equal(reason(podOf({}), [podOf({}), podOf({}), podOf({})]), 'OutOfpods');
  assert.equal(
    admitPod(cpu('3'), { others: [cpu('500m')], allocatable, node: undefined, pressure })?.message,
    "Pod was rejected: Node didn't have enough resource: cpu, requested: 3000, used: 500, capacity: 2000",
  );
});

test('host ports', () => {
  assert.equal(reason(withPort(80), [withPort(81)]), undefined);
  assert.equal(reason(withPort(80), [withPort(80)]), 'NodePorts');
  assert.equal(reason(withPort(80, '10.0.0.1'), [withPort(80, '10.0.0.2')]), undefined);
  assert.equal(reason(withPort(80, '10.0.0.1'), [withPort(80)]), 'NodePorts');
  assert.equal(reason(withPort(80, '', 'UDP'), [withPort(80)]), undefined);
});

test('sysctls', () => {
  const sysctls = (name: string) => podOf({ securityContext: { sysctls: [{ name, value: '1' }] } });
  assert.equal(reason(sysctls('kernel.shm_rmid_forced'), []), undefined);
  assert.equal(reason(sysctls('kernel.msgmax'), []), 'SysctlForbidden');
});

test('selectors and required affinity', () => {
  const affinity = (matchExpressions: object[], matchFields: object[] = []) =>
    podOf({
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions, matchFields } as never],
          },
        },
      },
    });
  const node = nodeOf({ disk: 'ssd', size: '10' });
  assert.equal(reason(podOf({ nodeSelector: { disk: 'hdd' } }), [], node), 'NodeAffinity');
  assert.equal(matchesNode(podOf({ nodeSelector: { disk: 'ssd' } }), node), true);
  assert.equal(matchesNode(podOf({ nodeSelector: { toString: 'x' } }), node), false);
  for (const [expression, expected] of [
    [{ key: 'disk', operator: 'In', values: ['ssd', 'x'] }, true],
    [{ key: 'disk', operator: 'NotIn', values: ['ssd'] }, false],
    [{ key: 'none', operator: 'NotIn', values: ['ssd'] }, true],
    [{ key: 'disk', operator: 'Exists' }, true],
    [{ key: 'disk', operator: 'DoesNotExist' }, false],
    [{ key: 'size', operator: 'Gt', values: ['9'] }, true],
    [{ key: 'size', operator: 'Lt', values: ['9'] }, false],
  ] as const) {
    assert.equal(matchesNode(affinity([expression]), node), expected, JSON.stringify(expression));
  }
  assert.equal(matchesNode(affinity([], [{ key: 'metadata.name', operator: 'In', values: ['n'] }]), node), true);
  assert.equal(matchesNode(affinity([], []), node), false);
});
