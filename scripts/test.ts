/**
 * The project's tests, in order of cost:
 *
 *   node scripts/test.ts [check] [unit] [flow] [e2e]     default: all
 *
 * check: format, types, generated files · unit: every src room and the import table · flow: the real server in this process ·
 * e2e: real containers in a network namespace without a way out (skipped with a reason where the machine cannot).
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';

const root = new URL('..', import.meta.url).pathname;
const node = process.execPath;

interface Step {
  readonly suite: string;
  readonly name: string;
  readonly run: () => Promise<number>;
}

function run(program: string, args: readonly string[]): Promise<number> {
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  return new Promise((resolve) => {
    child.on('error', (error) => {
      console.error(`${program}: ${error.message}`);
      resolve(1);
    });
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

const testOptions = [
  '--disable-warning=ExperimentalWarning',
  '--test',
  '--test-reporter=dot',
  '--test-reporter-destination=stdout',
  '--test-reporter=./scripts/failures-reporter.ts',
  '--test-reporter-destination=stdout',
];

function nodeTests(patterns: readonly string[]): Promise<number> {
  const files = patterns.flatMap((pattern) => globSync(pattern, { cwd: root })).sort();
  return files.length === 0 ? Promise.resolve(0) : run(node, [...testOptions, '--test-timeout=180000', ...files]);
}

/**
 * Real containers, in a network namespace that has loopback and nothing else: no packet can leave the machine. Without root, only
 * the tests that need no containers do something; each of the others says why it was skipped.
 */
async function endToEnd(): Promise<number> {
  const fetched = await run(node, ['scripts/fetch-test-tools.ts']);
  if (fetched !== 0) return fetched;
  const files = globSync('test/e2e/*.test.ts', { cwd: root }).sort();
  const isolate = process.getuid?.() === 0 ? ['--net'] : ['--net', '--map-root-user'];
  return run('unshare', [
    ...isolate,
    '--',
    node,
    ...testOptions,
    '--test-concurrency=1',
    '--test-timeout=900000',
    ...files,
  ]);
}

const steps: readonly Step[] = [
  // The types of the official client, which a test uses, come with the test tools.
  { suite: 'check', name: 'test tools', run: () => run(node, ['scripts/fetch-test-tools.ts']) },
  { suite: 'check', name: 'format', run: () => run(`${root}node_modules/.bin/biome`, ['format', '.']) },
  { suite: 'check', name: 'types', run: () => run(node, [`${root}node_modules/typescript/bin/tsc`, '--noEmit']) },
  { suite: 'check', name: 'generated files', run: () => run(node, ['scripts/generate-types.ts', '--check']) },
  { suite: 'unit', name: 'unit and contract tests', run: () => nodeTests(['src/**/*.test.ts', 'test/*.test.ts']) },
  { suite: 'flow', name: 'flows', run: () => nodeTests(['test/flows/*.test.ts']) },
  { suite: 'e2e', name: 'end to end', run: endToEnd },
];

const asked = process.argv.slice(2);
const suites = [...new Set(steps.map((one) => one.suite))];
for (const one of asked) {
  if (!suites.includes(one)) {
    console.error(`unknown suite ${one}: choose from ${suites.join(' ')}`);
    process.exit(2);
  }
}
const failed: string[] = [];
for (const { suite, name, run: start } of steps) {
  if (asked.length > 0 && !asked.includes(suite)) continue;
  const startMs = performance.now();
  console.log(`== ${name}`);
  const code = await start();
  console.log(`== ${name}: ${code === 0 ? 'ok' : 'FAILED'} (${((performance.now() - startMs) / 1000).toFixed(1)} s)`);
  if (code !== 0) failed.push(name);
}
if (failed.length > 0) {
  console.log(`failed: ${failed.join(', ')}`);
  process.exit(1);
}
