import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod } from '#api';
import { ManualClock, silentLog } from '#base';
import { keepNodePressure } from './node-pressure.ts';
import { planEviction, planShortages, refusedUnderPressure, type Signals } from './plan-eviction.ts';
import { defaultEvictionThresholds, parseEvictionThresholds } from '#machinery';

const Mi = 2 ** 20;
const Gi = 2 ** 30;

interface PodFacts {
  readonly uid: string;
  readonly priority?: number;
  readonly memory?: string;
  readonly phase?: string;
  readonly deleted?: true;
  readonly tolerations?: object[];
}
const podOf = ({ uid, priority = 0, memory, phase = 'Running', deleted, tolerations = [] }: PodFacts): Pod =>
  ({
    metadata: { name: uid, uid, ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}) },
    spec: {
      priority,
      tolerations,
      containers: [{ name: 'c', resources: memory === undefined ? {} : { requests: { memory } } }],
    },
    status: { phase },
  }) as unknown as Pod;
const signals = (memoryAvailable: number, diskAvailable = 100 * Gi, pidAvailable = 30_000): Signals =>
  new Map([
    ['memory.available', { available: memoryAvailable, capacity: 8 * Gi }],
    ['nodefs.available', { available: diskAvailable, capacity: 200 * Gi }],
    ['pid.available', { available: pidAvailable, capacity: 32_768 }],
  ]);
const memoryShortage = {
  signal: 'memory.available',
  resource: 'memory',
  threshold: 100 * Mi,
  available: 50 * Mi,
} as const;

describe('eviction thresholds', () => {
  it('are met below a quantity or a share, memory first', () => {
    assert.deepEqual(planShortages(signals(100 * Mi, 20 * Gi), defaultEvictionThresholds), []);
    const found = planShortages(signals(100 * Mi - 1, 20 * Gi - 1), defaultEvictionThresholds);
    assert.deepEqual(
      found.map(({ signal, resource, threshold }) => [signal, resource, threshold]),
      [
        ['memory.available', 'memory', 100 * Mi],
        ['nodefs.available', 'ephemeral-storage', 20 * Gi],
      ],
    );
    assert.equal(planShortages(signals(8 * Gi, 8 * Gi, 99), { 'pid.available': '100' })[0]?.resource, 'pids');
    assert.deepEqual(planShortages(signals(1), { 'nodefs.available': '1Gi' }), []);
  });

  it('are checked when a person writes them', () => {
    assert.deepEqual(parseEvictionThresholds({ 'memory.available': '1Gi', 'nodefs.available': '2.5%' }), {
      'memory.available': '1Gi',
      'nodefs.available': '2.5%',
    });
    const wrongs: Record<string, string>[] = [
      { memory: '1Gi' },
      { 'memory.available': '-1Mi' },
      { 'memory.available': '100%' },
      { 'nodefs.available': 'much' },
    ];
    for (const wrong of wrongs)
      assert.throws(() => parseEvictionThresholds(wrong), { code: 'EvictionThreshold' }, JSON.stringify(wrong));
  });
});

describe('which pod goes', () => {
  const used: Record<string, number> = {};
  const plan = (...pods: (PodFacts & { readonly uses: number })[]) => {
    for (const { uid, uses } of pods) used[uid] = uses;
    return planEviction(memoryShortage, pods.map(podOf), ({ metadata }) => new Map([['c', used[metadata.uid] ?? 0]]));
  };

  it('exceeds its request, then has the lowest priority, then the largest excess', () => {
    const modest = { uid: 'modest', memory: '500Mi', uses: 400 * Mi };
    const important = { uid: 'important', priority: 10, uses: 300 * Mi };
    const small = { uid: 'small', memory: '100Mi', uses: 150 * Mi };
    const large = { uid: 'large', memory: '100Mi', uses: 250 * Mi };
    assert.equal(plan(modest, important, small, large)?.uid, 'large');
    assert.equal(plan(modest, important, small)?.uid, 'small');
    assert.equal(plan(modest, important)?.uid, 'important');
    assert.equal(plan(modest)?.uid, 'modest');
  });

  it('is not a critical one, nor one that ends already', () => {
    const critical = { uid: 'critical', priority: 2_000_000_000, uses: Gi };
    const over = { uid: 'over', phase: 'Succeeded', uses: Gi };
    const leaving = { uid: 'leaving', deleted: true as const, uses: Gi };
    assert.equal(plan(critical, over, leaving), undefined);
  });

  it('is told what the node lacks and which container held more than it asked for', () => {
    assert.equal(
      plan({ uid: 'a', memory: '100Mi', uses: 150 * Mi })?.message,
      'The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. ' +
        'Container c was using 150Mi, request is 100Mi, has larger consumption of memory. ',
    );
    assert.equal(
      plan({ uid: 'b', memory: '200Mi', uses: 150 * Mi })?.message,
      'The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. ',
    );
  });
});

describe('a node under pressure', () => {
  const calm = { memoryPressure: false, diskPressure: false, pidPressure: false };

  it('refuses pods that asked for no memory when memory is short, and all but critical ones when disk is', () => {
    const plain = podOf({ uid: 'a' });
    const asking = podOf({ uid: 'b', memory: '1Mi' });
    const tolerant = podOf({
      uid: 'c',
      tolerations: [{ key: 'node.kubernetes.io/memory-pressure', operator: 'Exists' }],
    });
    const critical = podOf({ uid: 'd', priority: 2_000_001_000 });
    const memory = { ...calm, memoryPressure: true };
    const disk = { ...calm, diskPressure: true };
    const refused = (pod: Pod, pressure: typeof calm): string | undefined =>
      refusedUnderPressure(pod, pressure)?.message;
    assert.equal(refused(plain, calm), undefined);
    assert.match(refused(plain, memory) ?? '', /The node had condition: \[MemoryPressure\]/);
    for (const one of [asking, tolerant, critical]) assert.equal(refused(one, memory), undefined);
    for (const one of [plain, asking, tolerant]) assert.match(refused(one, disk) ?? '', /\[DiskPressure\]/);
    assert.equal(refused(critical, disk), undefined);
  });

  function open() {
    const clock = new ManualClock();
    const ending = new AbortController();
    const seen = { failed: [] as string[], told: [] as string[], changes: 0, reclaims: 0 };
    const machine = { memory: Gi, disk: 100 * Gi, afterReclaim: undefined as number | undefined };
    const pods = [podOf({ uid: 'first' }), podOf({ uid: 'second' })];
    const keeper = keepNodePressure({
      ...{ thresholds: defaultEvictionThresholds, clock, log: silentLog, signal: ending.signal },
      readSignals: async () => signals(machine.memory, machine.disk),
      pods: () =>
        pods.map((pod) => ({
          pod,
          fail: ({ reason, graceSeconds }) => void seen.failed.push(`${pod.metadata.uid} ${reason} ${graceSeconds}`),
        })),
      volumeUsage: async ({ metadata }) =>
        new Map([['v', { usedBytes: metadata.uid === 'second' ? Gi : 0, inodes: 1 }]]),
      containerStats: async () => [],
      reclaimDisk: async () => {
        seen.reclaims++;
        machine.disk = machine.afterReclaim ?? machine.disk;
      },
      tellNode: (reason, message) => void seen.told.push(`${reason}: ${message}`),
      tellPod: () => {},
      onChange: () => void seen.changes++,
    });
    const end = async (): Promise<void> => {
      ending.abort();
      await keeper.done;
    };
    return { clock, seen, machine, pods, keeper, end };
  }
  const round = 10_000;

  it('says so, evicts one pod at a time without grace, and stays so for five minutes', async () => {
    const { clock, seen, machine, pods, keeper, end } = open();
    await keeper.looked;
    assert.deepEqual([keeper.pressure, seen.changes], [calm, 0]);
    machine.memory = 50 * Mi;
    await clock.advance(round);
    assert.deepEqual([keeper.pressure.memoryPressure, seen.changes], [true, 1]);
    assert.deepEqual(seen.failed, ['first Evicted 0']);
    await clock.advance(round);
    assert.equal(seen.failed.length, 1, 'the first one is still ending');
    pods[0] = podOf({ uid: 'first', phase: 'Failed' });
    await clock.advance(round);
    assert.deepEqual(seen.failed, ['first Evicted 0', 'second Evicted 0']);
    assert.deepEqual(seen.told, ['EvictionThresholdMet: Attempting to reclaim memory']);
    machine.memory = Gi;
    for (let ms = 0; ms < 300_000 - round; ms += round) await clock.advance(round);
    assert.equal(keeper.pressure.memoryPressure, true);
    await clock.advance(round);
    assert.deepEqual([keeper.pressure, seen.changes], [calm, 2]);
    await end();
  });

  it('removes unused images before any pod, and pods only when that was not enough', async () => {
    const { clock, seen, machine, keeper, end } = open();
    await keeper.looked;
    machine.disk = Gi;
    machine.afterReclaim = 50 * Gi;
    await clock.advance(round);
    assert.deepEqual([seen.reclaims, seen.failed, keeper.pressure.diskPressure], [1, [], true]);
    machine.disk = Gi;
    machine.afterReclaim = 2 * Gi;
    await clock.advance(round);
    assert.deepEqual([seen.reclaims, seen.failed], [2, ['second Evicted 0']]);
    await end();
  });
});
