import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentLog, systemClock } from '#base';
import { NftSession } from './nft-session.ts';

/** Stands in for `nft -i`: refuses what says `bad`, dies of `die`, is silent after `mute`. Lines of carets come late, as nft's do. */
const program = `
let mute = false;
process.stdin.setEncoding('utf8');
let rest = '';
process.stdin.on('data', (piece) => {
  const lines = (rest + piece).split('\\n');
  rest = lines.pop();
  for (const line of lines) {
    if (line.includes('die')) process.exit(1);
    if (line.includes('mute')) mute = true;
    if (mute) continue;
    if (line.includes('bad')) process.stderr.write('Error: Could not process rule: No such file\\n' + line + '\\n    ^^^\\n');
    if (line.startsWith('list table')) {
      process.stderr.write('Error: No such file or directory\\n' + line + '\\n');
      setTimeout(() => process.stderr.write('              ^^^^^^\\n'), 1);
    }
  }
});
`;

function open(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'k8ts-nft-'));
  const file = join(folder, 'nft.cjs');
  writeFileSync(file, program);
  const once: string[] = [];
  const session = new NftSession({
    clock: systemClock,
    log: silentLog,
    command: [process.execPath, file],
    once: async (script) => void once.push(script),
    timeoutMs: 3_000,
  });
  t.after(async () => {
    await session.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { session, once };
}

test('transactions pass one after the other; a refused one says why, and the next one is not touched', async (t) => {
  const { session, once } = open(t);
  const results = await Promise.allSettled(
    ['add a\nadd b\n', 'add bad\n', 'add c\n', 'add bad again\n', 'add d\n'].map((script) => session.run(script)),
  );
  assert.deepEqual(
    results.map((one) => one.status),
    ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'],
  );
  assert.match(
    String((results[1] as PromiseRejectedResult).reason),
    /nft -i: Error: Could not process rule: No such file add bad$/,
  );
  assert.deepEqual(once, []);
});

test('a long script has a process of its own', async (t) => {
  const { session, once } = open(t);
  await session.run(`add ${'x'.repeat(20_000)}\n`);
  assert.equal(once.length, 1);
});

test('a session that dies or falls silent is an error, is started again, and is given up when that goes on', async (t) => {
  const { session, once } = open(t);
  await assert.rejects(session.run('die\n'), /gave no answer/);
  await session.run('add a\n');
  for (const script of ['die\n', 'mute\n', 'die\n']) await assert.rejects(session.run(script), /gave no answer/);
  await session.run('add a\n');
  assert.deepEqual(once, ['add a\n']);
});
