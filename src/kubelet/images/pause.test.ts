import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sleep, systemClock } from '#base';
import { pauseProgram } from './pause.ts';

const otherMachine = process.arch === 'x64' ? false : 'its machine code is tried on amd64 only';

test('the pause program reaps, sleeps on, and ends at SIGTERM also as process 1', { skip: otherMachine }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pause-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'pause');
  writeFileSync(file, pauseProgram('amd64'), { mode: 0o755 });
  const isRoot = process.getuid?.() === 0;
  const [program, ...args] = isRoot ? ['unshare', '--pid', '--fork', '--kill-child', file] : [file];
  const child = spawn(program as string, args, { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));

  const pid = await eventually(() => (isRoot ? childOf(child.pid as number) : child.pid));
  const waits = () => readFileSync(`/proc/${pid}/syscall`, 'utf8').startsWith('128 ') || undefined;
  await eventually(waits);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  assert.notEqual(BigInt(`0x${/SigIgn:\s*(\w+)/.exec(status)?.[1]}`) & (1n << 16n), 0n, 'SIGCHLD is ignored');
  process.kill(pid, 'SIGSTOP');
  process.kill(pid, 'SIGCONT');
  await eventually(waits);
  process.kill(pid, 'SIGTERM');
  assert.equal(await ended, 0);
});

function childOf(pid: number): number | undefined {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children === '' ? undefined : Number(children.split(' ')[0]);
}

async function eventually<T>(look: () => T | undefined): Promise<T> {
  for (let i = 0; i < 6000; i++) {
    try {
      const seen = look();
      if (seen !== undefined) return seen;
    } catch {}
    await sleep(systemClock, 10);
  }
  throw new Error('not seen within 60 s');
}
