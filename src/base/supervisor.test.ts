import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { silentLog, sleep, startSupervisor, systemClock } from './index.ts';
import { isAlive, type ProcessRecord, readProcess } from './process-record.ts';

const folder = mkdtempSync(join(tmpdir(), 'k8ts-supervisor-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const programOf = (name: string, code: string) => ({
  name,
  program: process.execPath,
  args: ['-e', code],
  logFile: join(folder, `${name}.log`),
  pidFile: join(folder, `${name}.pid`),
});
const forEver = `console.log('started'); setInterval(() => {}, 1000)`;

async function until<T>(ask: () => T | undefined): Promise<T> {
  const endMs = systemClock.monotonicMs() + 60_000;
  for (;;) {
    const answer = ask();
    if (answer !== undefined) return answer;
    assert.ok(systemClock.monotonicMs() < endMs, 'not within a minute');
    await sleep(systemClock, 20);
  }
}

const other = (pidFile: string, than: ProcessRecord): ProcessRecord | undefined => {
  const found = readProcess(pidFile);
  return found?.pid === than.pid ? undefined : found;
};

test('a killed program is started again, and stopping ends it', async () => {
  const program = programOf('killed', forEver);
  const supervisor = startSupervisor({ programs: [program], clock: systemClock, log: silentLog });
  const first = await until(() => readProcess(program.pidFile));
  process.kill(first.pid, 'SIGKILL');
  const second = await until(() => other(program.pidFile, first));
  rmSync(program.pidFile);
  await supervisor.close();
  assert.equal(isAlive(second), false);
});

test('a program that fails at once is tried again less and less often', async () => {
  const program = programOf('failing', `console.log('try'); process.exit(3)`);
  const delays: number[] = [];
  const log = { ...silentLog, warn: (fields: object) => void delays.push((fields as { delayMs: number }).delayMs) };
  const supervisor = startSupervisor({ programs: [program], clock: systemClock, log });
  await until(() => (delays.length >= 3 ? true : undefined));
  await supervisor.close();
  assert.deepEqual(delays.slice(0, 3), [200, 400, 800]);
  assert.match(readFileSync(program.logFile, 'utf8'), /try\ntry\ntry/);
});

test('a program that a killed supervisor left behind is watched on, not started twice', async () => {
  const program = programOf('left', forEver);
  const script = join(folder, 'supervise.ts');
  const room = new URL('./index.ts', import.meta.url).pathname;
  writeFileSync(
    script,
    `import { startSupervisor, systemClock, silentLog } from ${JSON.stringify(room)};
     startSupervisor({ programs: [${JSON.stringify(program)}], clock: systemClock, log: silentLog });`,
  );
  const { spawn } = await import('node:child_process');
  const killed = spawn(process.execPath, [script], { stdio: 'ignore' });
  const first = await until(() => readProcess(program.pidFile));
  killed.kill('SIGKILL');
  const supervisor = startSupervisor({ programs: [program], clock: systemClock, log: silentLog });
  await sleep(systemClock, 700);
  assert.equal(readProcess(program.pidFile)?.pid, first.pid);
  process.kill(first.pid, 'SIGKILL');
  await until(() => other(program.pidFile, first));
  await supervisor.close();
});
