/**
 * Measures the project: `npm run bench -- [groups…] [--quick] [--against KUBECONFIG] [--cluster NAME|KUBECONFIG]
 * [--main FILE] [--notes] [--json FILE]`. `--main` is the program whose server is measured, as `dist/cli/main.js`; default: from source.
 * Groups run one after the other, each in a process of its own and for a bounded time. A benchmark is not a test: it says what it
 * found and ends with 0, unless it is used wrongly.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { createInterface } from 'node:readline';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Group, groups } from './groups.ts';
import type { BenchOptions, Row } from './measurement.ts';
import { type Line, tableHead, tableLine } from './table.ts';
import { targetOf } from './targets.ts';

const runner = new URL('./run-group.ts', import.meta.url).pathname;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    against: { type: 'string' },
    cluster: { type: 'string' },
    main: { type: 'string' },
    json: { type: 'string' },
    notes: { type: 'boolean', default: false },
  },
});
const unknown = positionals.filter((name) => !groups.some((group) => group.name === name));
if (unknown.length > 0) {
  process.stderr.write(`bench: no rows ${unknown.join(', ')}; there are: ${groups.map((one) => one.name).join(' ')}\n`);
  process.exit(2);
}
const chosen = groups.filter((one) =>
  positionals.length === 0 ? one.onlyByName !== true : positionals.includes(one.name),
);
const quick = values.quick === true;
const withPeer = values.against !== undefined;
const lines: Line[] = [];
if (values.main !== undefined) process.env.K8TS_BENCH_MAIN = resolve(values.main);

console.log(
  `${cpus().length} × ${cpus()[0]?.model ?? '?'}, ${Math.round(totalmem() / 2 ** 30)} GiB, node ${process.version}, load ${loadavg()
    .map((one) => one.toFixed(1))
    .join(' ')} before${quick ? ', --quick: a look, not a result' : ''}`,
);
console.log(`\n${tableHead(withPeer)}`);
for (const group of chosen) {
  const options = { quick, ...(values.cluster === undefined ? {} : { cluster: values.cluster }) };
  const peers: Row[] = [];
  if (withPeer && group.anyServer) {
    await runGroup(group, { ...options, kubeconfig: values.against as string }, (row) => peers.push(row));
  }
  await runGroup(group, options, (row) => {
    const peer = peers.find((one) => one.name === row.name);
    const line = { row, ...(peer === undefined ? {} : { peer }) };
    lines.push(line);
    console.log(tableLine(line, withPeer));
    if (values.notes && 'note' in row) console.log(`    ${row.note}`);
  });
}
console.log(
  `\nload ${loadavg()
    .map((one) => one.toFixed(1))
    .join(' ')} after; --notes says how each row was measured`,
);
if (values.json !== undefined) {
  const rows = lines.map(({ row, peer }) => ({
    ...row,
    target: targetOf(row.name)?.text,
    ...(peer === undefined ? {} : { peer }),
  }));
  writeFileSync(
    values.json,
    `${JSON.stringify({ takenAt: new Date().toISOString(), node: process.version, cores: cpus().length, load: loadavg(), quick, rows }, null, 2)}\n`,
  );
}

async function runGroup(group: Group, options: BenchOptions, report: (row: Row) => void): Promise<void> {
  const limitSeconds = quick ? group.limitSeconds / 2 : group.limitSeconds;
  const command = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    runner,
    group.name,
    JSON.stringify(options),
  ];
  const isolated = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', ...command];
  const [program = '', ...args] = group.ownNetwork === true ? isolated : command;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  let failure: string | undefined;
  child.stderr.on('data', (piece: Buffer) => {
    errors = `${errors}${piece}`.slice(-4000);
  });
  const kill = (): void => void child.kill('SIGTERM');
  process.once('exit', kill);
  const timer = setTimeout(() => {
    failure = `not done within ${limitSeconds} s`;
    kill();
  }, limitSeconds * 1000);
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', resolve);
    child.once('error', (error) => {
      failure = error.message;
      resolve(null);
    });
  });
  for await (const line of createInterface({ input: child.stdout }))
    if (line.startsWith('{')) report(JSON.parse(line) as Row);
  const code = await ended;
  clearTimeout(timer);
  process.off('exit', kill);
  if (failure !== undefined || code !== 0) {
    const why =
      failure ?? errors.split('\n').find((one) => /Error\b/.test(one)) ?? errors.trim().split('\n').at(-1) ?? '';
    report({ name: `${group.name}: the rest`, skipped: `failed: ${why.trim()}` });
  }
}
