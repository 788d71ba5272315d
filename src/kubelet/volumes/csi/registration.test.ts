import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { silentLog, systemClock } from '#base';
import { openCsiRegistry } from './registration.ts';

const driverProgram = new URL('../../../../test/e2e/volumes/csi-driver.ts', import.meta.url).pathname;

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!(await condition())) {
    assert.ok(performance.now() < endMs, what);
    await pause(20);
  }
}

test('a driver registers by its socket, is known until it leaves, and again when it comes back', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'k8ts-csi-'));
  const registered: string[] = [];
  const left: string[] = [];
  let refuse = true;
  const registry = await openCsiRegistry({
    directory: join(directory, 'registry'),
    clock: systemClock,
    log: silentLog,
    async onRegister({ name, nodeInfo, nodeCapabilities }) {
      if (refuse) {
        refuse = false;
        throw new Error('the node is not registered yet');
      }
      registered.push(`${name} ${nodeInfo.node_id} ${[...nodeCapabilities].sort()}`);
    },
    onLeave: async (name) => void left.push(name),
  });
  const start = () =>
    spawn(process.execPath, [
      driverProgram,
      ...['--name', 'unit.example.test', '--node', 'n', '--data', join(directory, 'data')],
      ...['--socket', join(directory, 'csi.sock'), '--registration', join(directory, 'registry/reg.sock')],
    ]);
  let driver = start();
  try {
    await until('the driver is known', () => registry.get('unit.example.test') !== undefined);
    assert.deepEqual(registered, ['unit.example.test id-n EXPAND_VOLUME,STAGE_UNSTAGE_VOLUME']);
    const answer = await registry
      .get('unit.example.test')
      ?.controller<{ volume: { volume_id: string; capacity_bytes: number } }>(
        'CreateVolume',
        { name: 'v-1', capacity_range: { required_bytes: 1024 } },
        10_000,
      );
    assert.deepEqual([answer?.volume.volume_id, answer?.volume.capacity_bytes], ['v-1', 1024]);
    await assert.rejects(
      async () =>
        registry
          .get('unit.example.test')
          ?.controller('ControllerExpandVolume', { volume_id: 'absent', capacity_range: {} }, 10_000),
      { code: 'NOT_FOUND' },
    );
    driver.kill('SIGTERM');
    await until('the driver has left', () => left.length === 1);
    assert.equal(registry.get('unit.example.test'), undefined);
    driver = start();
    await until('the driver is back', () => registered.length === 2);
    const log = await readFile(join(directory, 'data/calls.log'), 'utf8');
    assert.match(log, /NotifyRegistrationStatus.*"error":"the node is not registered yet"/);
    assert.match(log, /NotifyRegistrationStatus.*"plugin_registered":true/);
  } finally {
    registry.close();
    driver.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  }
});
