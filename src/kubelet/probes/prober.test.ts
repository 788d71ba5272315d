import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '#base';
import type { Container } from '#api';
import { ContainerProber, type ProbeKind } from './prober.ts';

interface Rig {
  readonly clock: ManualClock;
  readonly prober: ContainerProber;
  /** `seconds kind` of each check made. */
  readonly checks: string[];
  readonly unhealthy: ProbeKind[];
}

function rig(
  container: Partial<Container>,
  answer: (kind: ProbeKind, seconds: number) => boolean | 'unknown',
  known?: { ready: boolean; started: boolean },
): Rig {
  const clock = new ManualClock();
  const startedAtMs = clock.nowMs();
  const checks: string[] = [];
  const unhealthy: ProbeKind[] = [];
  const prober = new ContainerProber({
    cri: undefined as never,
    clock,
    containerId: 'c',
    container: { name: 'c', ...container },
    podIp: '',
    startedAtMs,
    ...(known === undefined ? {} : { known }),
    onChange: () => {},
    onUnhealthy: (kind) => unhealthy.push(kind),
    check: async (kind) => {
      const seconds = (clock.nowMs() - startedAtMs) / 1000;
      checks.push(`${seconds} ${kind}`);
      const said = answer(kind, seconds);
      return { result: said === 'unknown' ? said : said ? 'success' : 'failure', output: '' };
    },
  });
  return { clock, prober, checks, unhealthy };
}

test('readiness is asked often until it first passes, then by its period', async () => {
  const { clock, prober, checks, unhealthy } = rig(
    { readinessProbe: { periodSeconds: 10 } },
    (_, seconds) => seconds >= 1,
  );
  await clock.advance(600);
  assert.equal(prober.ready, false);
  await clock.advance(1000);
  assert.equal(prober.ready, true);
  const soFar = checks.length;
  assert.ok(soFar >= 4 && soFar <= 6, String(soFar));
  await clock.advance(30_000);
  assert.ok(checks.length - soFar >= 2 && checks.length - soFar <= 4, checks.join());
  assert.deepEqual(unhealthy, ['readiness']);
  prober.close();
});

test('readiness is lost after failureThreshold failures', async () => {
  const { clock, prober } = rig(
    { readinessProbe: { periodSeconds: 5, failureThreshold: 2 } },
    (_, seconds) => seconds < 9,
  );
  await clock.advance(9000);
  assert.equal(prober.ready, true);
  await clock.advance(5000);
  assert.equal(prober.ready, true);
  await clock.advance(5000);
  assert.equal(prober.ready, false);
  prober.close();
});

test('initialDelaySeconds is kept to', async () => {
  const { clock, prober, checks } = rig({ readinessProbe: { initialDelaySeconds: 30 } }, () => true);
  await clock.advance(29_900);
  assert.deepEqual(checks, []);
  await clock.advance(200);
  assert.deepEqual(checks, ['30 readiness']);
  assert.equal(prober.ready, true);
  prober.close();
});

test('startup holds the others back; its extra checks never count as failures', async () => {
  const probe = { periodSeconds: 10, failureThreshold: 2 };
  const { clock, prober, checks } = rig(
    { startupProbe: probe, livenessProbe: { periodSeconds: 1, failureThreshold: 1 } },
    (kind, seconds) => kind !== 'startup' || seconds >= 6,
  );
  await clock.advance(5900);
  assert.equal(prober.started, false);
  assert.equal(prober.failed, undefined);
  assert.ok(!checks.some((one) => one.endsWith('liveness')));
  await clock.advance(10_000);
  assert.equal(prober.started, true);
  assert.equal(prober.failed, undefined);
  assert.ok(checks.some((one) => one.endsWith('liveness')));
  prober.close();
});

test('startup and liveness fail after their thresholds', async () => {
  const startup = rig({ startupProbe: { periodSeconds: 10, failureThreshold: 2 } }, () => false);
  await startup.clock.advance(9000);
  assert.equal(startup.prober.failed, undefined);
  await startup.clock.advance(2000);
  assert.equal(startup.prober.failed, 'startup');
  const liveness = rig({ livenessProbe: { periodSeconds: 2, failureThreshold: 3 } }, () => false);
  await liveness.clock.advance(4500);
  assert.equal(liveness.prober.failed, undefined);
  await liveness.clock.advance(1000);
  assert.equal(liveness.prober.failed, 'liveness');
});

test('a container known from before stays ready until a probe says otherwise', async () => {
  const { clock, prober } = rig(
    { startupProbe: {}, readinessProbe: { periodSeconds: 10, failureThreshold: 1 } },
    () => false,
    { ready: true, started: true },
  );
  assert.equal(prober.ready, true);
  await clock.advance(10);
  assert.equal(prober.ready, false);
  prober.close();
});

test('a check that could not be made counts for nothing', async () => {
  const probe = { periodSeconds: 1, failureThreshold: 1 };
  const { clock, prober } = rig({ livenessProbe: probe, readinessProbe: probe }, (_, seconds) =>
    seconds < 3 ? true : 'unknown',
  );
  await clock.advance(60_000);
  assert.equal(prober.ready, true);
  assert.equal(prober.failed, undefined);
  prober.close();
});
