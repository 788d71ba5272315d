import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { silentLog, systemClock } from '#base';
import { type LogOptions, readLog } from './reader.ts';
import { rotateLog } from './rotation.ts';
import { lastLines } from './tail.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'k8ts-logs-'));
  path = join(directory, '0.log');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const line = (second: number, text: string, tag = 'F', stream = 'stdout'): string =>
  `2026-01-01T00:00:${String(second).padStart(2, '0')}.5Z ${stream} ${tag} ${text}\n`;

async function read(
  options: Partial<LogOptions>,
  running = async () => false,
  signal = new AbortController().signal,
): Promise<string> {
  let text = '';
  for await (const piece of readLog(
    { path, clock: systemClock, running, signal },
    { follow: false, timestamps: false, ...options },
  ))
    text += piece;
  return text;
}

test('lines, pieces, streams, times and limits', async () => {
  await writeFile(
    path,
    `${line(1, 'one')}${line(2, 'tw', 'P')}${line(2, 'o')}${line(3, 'err', 'F', 'stderr')}garbage\n${line(4, '')}`,
  );
  assert.equal(await read({}), 'one\ntwo\nerr\n\n');
  assert.equal(await read({ stream: 'stderr' }), 'err\n');
  assert.equal(
    await read({ timestamps: true, stream: 'stdout' }),
    '2026-01-01T00:00:01.5Z one\n2026-01-01T00:00:02.5Z two\n2026-01-01T00:00:04.5Z \n',
  );
  assert.equal(await read({ sinceTime: '2026-01-01T00:00:03Z' }), 'err\n\n');
  assert.equal(await read({ sinceTime: '2026-01-01T00:00:03.500000001Z' }), '\n');
  assert.equal(await read({ limitBytes: 5 }), 'one\nt');
  assert.equal(await read({ tailLines: 1 }), '\n');
  assert.equal(await read({ tailLines: 0 }), '');
  assert.equal(await read({ tailLines: 100 }), 'one\ntwo\nerr\n\n');
});

test('the tail of a large file', async () => {
  await writeFile(path, Array.from({ length: 20_000 }, (_, at) => line(1, `line ${at}`)).join(''));
  assert.equal(await read({ tailLines: 2 }), 'line 19998\nline 19999\n');
  assert.equal((await read({ tailLines: 15_000 })).split('\n').length, 15_001);
  assert.equal(await lastLines(path, { lines: 1, bytes: 100 }), 'line 19999\n');
  assert.equal(await lastLines(path, { lines: 80, bytes: 10 }), 'ine 19999\n');
});

test('following goes over a rotation and ends with the container', async () => {
  await writeFile(path, line(1, 'old'));
  let alive = true;
  const following = read({ follow: true }, async () => alive);
  await appendFile(path, line(2, 'more'));
  await rename(path, `${path}.1`);
  await appendFile(`${path}.1`, line(3, 'late'));
  await writeFile(path, line(4, 'new'));
  alive = false;
  assert.equal(await following, 'old\nmore\nlate\nnew\n');
});

test('an abort ends following', async () => {
  await writeFile(path, line(1, 'x'));
  const ending = new AbortController();
  const following = read({ follow: true }, async () => true, ending.signal);
  setImmediate(() => ending.abort());
  await following;
});

test('a symbolic link is no log', async () => {
  await symlink('/etc/passwd', path);
  await assert.rejects(read({}));
});

test('rotation keeps so many files, compresses the older, and puts a log back that the runtime will not reopen', async () => {
  const options = { clock: systemClock, log: silentLog, signal: new AbortController().signal, keptFiles: 3 };
  const reopen = { reopenContainerLog: () => writeFile(path, '') } as never;
  for (const stamp of ['20260101-000000', '20260101-000001.gz', '20260101-000002'])
    await writeFile(`${path}.${stamp}`, 'x');
  await writeFile(path, line(1, 'now'));
  await rotateLog({ ...options, cri: reopen }, 'id', path);
  const names = (await readdir(directory)).sort();
  assert.equal(names.length, 3);
  assert.deepEqual(names.slice(0, 2), ['0.log', '0.log.20260101-000002.gz']);
  await writeFile(path, line(2, 'kept'));
  const refuse = { reopenContainerLog: () => Promise.reject(new Error('no')) } as never;
  await assert.rejects(rotateLog({ ...options, cri: refuse }, 'id', path));
  assert.equal(await read({}), 'kept\n');
});
