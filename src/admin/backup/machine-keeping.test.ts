import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machineLayout } from '../machine/layout.ts';
import { planMachineKeeping, planRestoredKeeping } from './machine-keeping.ts';

const of = { cluster: 'kubernetes', version: '1' };

test('a server is told places of its machine, and only of what was asked for', () => {
  const layout = machineLayout('/srv/m');
  assert.deepEqual(planMachineKeeping(layout, {}, of), {});
  const plan = planMachineKeeping(
    layout,
    { historyMs: 7_200_000, snapshots: { everyMs: 60_000, keep: 3 }, audit: { policy: 'abc', maxBackups: 2 } },
    of,
  ) as { snapshots: { dir: string; places: object }; audit: object; historyMs: number };
  assert.equal(plan.historyMs, 7_200_000);
  assert.deepEqual(plan.audit, {
    logPath: '/srv/m/var/log/kubernetes/audit.log',
    maxBackups: 2,
    policyFile: '/srv/m/etc/kubernetes/audit-policy.yaml',
  });
  assert.equal(plan.snapshots.dir, '/srv/m/var/lib/kubernetes/snapshots');
  assert.deepEqual(plan.snapshots.places, {
    kind: 'machine',
    cluster: 'kubernetes',
    pkiDir: '/srv/m/etc/kubernetes/pki',
    configurationDir: '/srv/m/etc/kubernetes',
    configurationFiles: ['k8ts/server.json', 'k8ts/agent.json', 'k8ts/machine.json', 'admin.conf', 'audit-policy.yaml'],
    version: '1',
  });
});

test('restored below another root, paths move along; those elsewhere stay', () => {
  const old = machineLayout('/srv/old');
  const server = {
    pkiDir: old.pkiDir,
    port: 6443,
    ...planMachineKeeping(old, { snapshots: { everyMs: 1, keep: 1, dir: '/mnt/safe' }, audit: {} }, of),
  };
  const moved = planRestoredKeeping(machineLayout('/srv/new'), server) as {
    snapshots: { dir: string; places: { pkiDir: string } };
    audit: { logPath: string };
  };
  assert.deepEqual(Object.keys(moved), ['snapshots', 'audit']);
  assert.equal(moved.snapshots.dir, '/mnt/safe');
  assert.equal(moved.snapshots.places.pkiDir, '/srv/new/etc/kubernetes/pki');
  assert.equal(moved.audit.logPath, '/srv/new/var/log/kubernetes/audit.log');
  const whole = planRestoredKeeping(machineLayout('/srv/new'), {
    pkiDir: '/etc/kubernetes/pki',
    audit: { logPath: '/var/log/a' },
  });
  assert.deepEqual(whole, { audit: { logPath: '/srv/new/var/log/a' } });
});
