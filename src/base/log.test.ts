import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLog } from './index.ts';

test('a line is JSON with level, time, the fields of log and child, and the message', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'log-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const to = join(folder, 'log');
  const log = openLog({ to });
  log.debug({}, 'below the level');
  log.info({}, 'line\nbreak "quoted"');
  log.child({ component: 'x', skipped: undefined }).child({ n: 1 }).warn({ pod: 'a/b' }, 'm');
  const cycle: { self?: object } = {};
  cycle.self = cycle;
  log.error(cycle, 'still told');
  const lines = readFileSync(to, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ time, unloggable, ...rest }) => rest),
    [
      { level: 30, msg: 'line\nbreak "quoted"' },
      { level: 40, component: 'x', n: 1, pod: 'a/b', msg: 'm' },
      { level: 50, msg: 'still told' },
    ],
  );
  assert.ok(lines.every(({ time }) => Math.abs(Date.parse(time) - Date.now()) < 60_000));
  assert.match(lines[2].unloggable, /circular/);
});

test('a silent log writes nothing; a log whose reader has gone does not fail', () => {
  openLog({ level: 'silent' }).error({}, 'nothing');
  openLog({ to: 987_654 }).error({}, 'nobody reads');
});
