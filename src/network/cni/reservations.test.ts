import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog, systemClock } from '#base';
import { giveBack } from './reservations.ts';

test('addresses of sandboxes that are long gone are given back; young ones and those in use stay', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'k8ts-ipam-'));
  const folder = join(stateDir, 'k8ts');
  mkdirSync(folder);
  const note = (name: string, text: string, ageS: number): void => {
    writeFileSync(join(folder, name), text);
    const then = systemClock.nowMs() / 1000 - ageS;
    utimesSync(join(folder, name), then, then);
  };
  note('10.244.0.2', 'living\r\neth0', 9_000);
  note('10.244.0.3', 'gone\r\neth0', 9_000);
  note('10.244.0.4', 'being-made\r\neth0', 5);
  note('last_reserved_ip.0', '10.244.0.4', 9_000);
  note('lock', '', 9_000);
  let asked = 0;
  const options = {
    stateDir,
    sandboxes: async () => {
      asked++;
      return new Set(['living']);
    },
    clock: systemClock,
    log: silentLog,
  };
  try {
    assert.deepEqual(await giveBack(options), ['10.244.0.3']);
    assert.deepEqual(readdirSync(folder).sort(), ['10.244.0.2', '10.244.0.4', 'last_reserved_ip.0', 'lock']);
    await assert.rejects(giveBack({ ...options, sandboxes: () => Promise.reject(new Error('the runtime is away')) }));
    assert.ok(readdirSync(folder).includes('10.244.0.2'), 'nothing is given back without knowing');
    rmSync(join(folder, '10.244.0.2'));
    asked = 0;
    assert.deepEqual(await giveBack(options), []);
    assert.equal(asked, 0, 'the runtime is asked only when there is something old');
    assert.deepEqual(await giveBack({ ...options, stateDir: '/nowhere' }), []);
  } finally {
    rmSync(stateDir, { recursive: true });
  }
});
