import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Node, PersistentVolume, Pod, VolumeAttachment } from '#api';
import { patienceMs, planAttachments } from './plan.ts';

const volume = (...accessModes: string[]): PersistentVolume =>
  ({
    metadata: { name: 'pv' },
    spec: { accessModes, csi: { driver: 'd', volumeHandle: 'h' } },
  }) as unknown as PersistentVolume;
const pod = (nodeName: string): Pod => ({ metadata: { name: `on-${nodeName}` }, spec: { nodeName } }) as unknown as Pod;
const attachment = (nodeName: string, more: object = {}): VolumeAttachment =>
  ({
    metadata: { name: nodeName, ...more },
    spec: { attacher: 'd', nodeName, source: {} },
  }) as unknown as VolumeAttachment;
const node = (more: { spec?: object; inUse?: boolean; ready?: boolean } = {}): Node =>
  ({
    metadata: { name: 'n' },
    spec: more.spec ?? {},
    status: { ready: more.ready ?? true, volumesInUse: more.inUse ? ['kubernetes.io/csi/d^h'] : [] },
  }) as unknown as Node;

function plan(facts: {
  modes?: string[];
  pods?: string[];
  attached?: VolumeAttachment[];
  nodes: Record<string, Node>;
  unwantedMs?: number;
}) {
  const { attach, detach, blocked, lookAgain } = planAttachments({
    volume: volume(...(facts.modes ?? ['ReadWriteOnce'])),
    pods: (facts.pods ?? []).map(pod),
    attachments: facts.attached ?? [],
    node: (name) => facts.nodes[name],
    isReady: (one) => (one.status as unknown as { ready: boolean }).ready,
    unwantedMs: () => facts.unwantedMs ?? 0,
  });
  return {
    attach: attach.join(),
    detach: detach.map(({ spec }) => spec.nodeName).join(),
    blocked: blocked.map(({ elsewhere }) => elsewhere).join(),
    lookAgain,
  };
}
const nothing = { attach: '', detach: '', blocked: '', lookAgain: false };

test('a volume is attached where pods use it, once', () => {
  const nodes = { a: node(), b: node() };
  assert.deepEqual(plan({ nodes, pods: ['a', 'a'] }), { ...nothing, attach: 'a' });
  assert.deepEqual(plan({ nodes, pods: ['a'], attached: [attachment('a')] }), nothing);
  assert.deepEqual(plan({ nodes, pods: ['c'] }), nothing, 'the node has gone');
  assert.deepEqual(plan({ nodes, pods: ['a', 'b'], modes: ['ReadWriteMany'] }), { ...nothing, attach: 'a,b' });
});

test('a volume for one node waits until it is detached from the other', () => {
  const nodes = { a: node({ inUse: true }), b: node() };
  const attached = [attachment('a')];
  const waits = { ...nothing, blocked: 'a', lookAgain: true };
  assert.deepEqual(plan({ nodes, pods: ['b'], attached }), waits, 'the kubelet still has it mounted');
  assert.deepEqual(plan({ nodes: { ...nodes, a: node() }, pods: ['b'], attached }), { ...waits, detach: 'a' });
  assert.deepEqual(plan({ nodes, pods: ['b'], attached: [attachment('a', { deletionTimestamp: 'x' })] }), waits);
});

test('a node that does not answer keeps its volume for some minutes, one that is gone or given up does not', () => {
  const attached = [attachment('a')];
  const silent = node({ ready: false, inUse: true });
  assert.deepEqual(plan({ nodes: { a: silent }, attached }), { ...nothing, lookAgain: true });
  assert.deepEqual(plan({ nodes: { a: node({ ready: false }) }, attached }), { ...nothing, lookAgain: true });
  assert.deepEqual(plan({ nodes: { a: silent }, attached, unwantedMs: patienceMs }), { ...nothing, detach: 'a' });
  assert.deepEqual(plan({ nodes: {}, attached }), { ...nothing, detach: 'a' });
  const taints = [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }];
  const given = node({ ready: false, inUse: true, spec: { taints } });
  assert.deepEqual(plan({ nodes: { a: given }, attached }), { ...nothing, detach: 'a' });
});
