import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '#api';
import { ManualClock, silentLog } from '#base';
import { hasStorageLimit, keepStorageLimits, planStorageEviction } from './storage-limits.ts';

const Mi = 2 ** 20;
const pod = (limits: { volume?: string; medium?: string; a?: string; b?: string }): Pod =>
  ({
    metadata: { name: 'p', uid: 'u' },
    status: { phase: 'Running' },
    spec: {
      volumes: [{ name: 'v', emptyDir: { sizeLimit: limits.volume, medium: limits.medium } }],
      containers: (['a', 'b'] as const).map((name) => ({
        name,
        resources: limits[name] === undefined ? {} : { limits: { 'ephemeral-storage': limits[name] } },
      })),
    },
  }) as unknown as Pod;
const use = (volume: number, a: number, b: number) => ({
  volumes: new Map([['v', volume * Mi]]),
  containers: new Map([
    ['a', a * Mi],
    ['b', b * Mi],
  ]),
});

test('what a pod wrote against its limits', () => {
  const rows: [Pod, ReturnType<typeof use>, string | undefined][] = [
    [pod({ volume: '10Mi' }), use(10, 90, 90), undefined],
    [pod({ volume: '10Mi' }), use(11, 0, 0), 'Usage of EmptyDir volume "v" exceeds the limit "10Mi". '],
    [pod({ volume: '10Mi', medium: 'Memory' }), use(11, 0, 0), undefined],
    [pod({ a: '10Mi' }), use(90, 10, 90), undefined],
    [pod({ a: '10Mi' }), use(0, 11, 0), 'Container a exceeded its local ephemeral storage limit "10Mi". '],
    [pod({ a: '10Mi', b: '10Mi' }), use(15, 3, 2), undefined],
    [
      pod({ a: '10Mi', b: '10Mi' }),
      use(15, 3, 3),
      'Pod ephemeral local storage usage exceeds the total limit of containers 20Mi. ',
    ],
  ];
  for (const [one, used, message] of rows) assert.equal(planStorageEviction(one, used), message);
  assert.equal(hasStorageLimit(pod({})), false);
  assert.equal(hasStorageLimit(pod({ volume: '1Mi', medium: 'Memory' })), false);
  assert.equal(hasStorageLimit(pod({ b: '1Mi' })), true);
});

test('pods without limits are not looked at; one that is too large is told and fails', async () => {
  const clock = new ManualClock();
  const ending = new AbortController();
  const failed: string[] = [];
  const told: string[] = [];
  let looked = 0;
  let usedBytes = Mi;
  const running = keepStorageLimits({
    pods: () =>
      [pod({}), pod({ volume: '2Mi' })].map((one) => ({ pod: one, fail: ({ reason }) => void failed.push(reason) })),
    volumeUsage: async () => {
      looked++;
      return new Map([['v', { usedBytes }]]);
    },
    containerStats: async () => [],
    tell: (_pod, message) => void told.push(message),
    clock,
    log: silentLog,
    signal: ending.signal,
  });
  await clock.advance(10_000);
  assert.deepEqual([looked, failed], [1, []]);
  usedBytes = 3 * Mi;
  await clock.advance(10_000);
  assert.deepEqual(failed, ['Evicted']);
  assert.match(told[0] ?? '', /^Usage of EmptyDir volume "v" exceeds/);
  ending.abort();
  await running;
});
