import assert from 'node:assert/strict';
import { readFileSync, symlinkSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { busyboxImage } from './images.ts';
import { Machine, run, whyNoContainers } from './harness.ts';

const skip = whyNoContainers() ?? false;
const machine = new Machine('default');
const root = new URL('../..', import.meta.url).pathname;

/** The commands of the README's block that follows `<!-- run: quick start -->`, as printed. */
function quickStart(): string[] {
  const readme = readFileSync(`${root}README.md`, 'utf8');
  const block = /<!-- run: quick start -->\n```sh\n([\s\S]*?)```/.exec(readme)?.[1];
  assert.ok(block, 'the README has a quick start');
  return block.trim().split('\n');
}

before(async () => {
  if (skip !== false) return;
  const program = 'mkdir -p /www; echo hello > /www/index.html; trap "exit 0" TERM; httpd -f -p 80 -h /www & wait';
  await machine.prepare([await busyboxImage('docker.io/library/nginx:1.29-alpine', { cmd: ['sh', '-c', program] })]);
  symlinkSync(`${root}.cache/tools/kubectl-1.35`, machine.path('kubectl'));
});
after(async () => {
  if (skip === false)
    await run(`${root}k8ts`, ['down', '--delete', '--name', machine.name, '--data-dir', machine.path('data')], {
      env: machine.env,
    });
});

test("the README's quick start runs as printed", { skip }, async () => {
  const env = { ...machine.env, PATH: `${machine.folder}:${process.env.PATH}` };
  for (const line of quickStart()) {
    const [program = '', ...args] = line.split(' ');
    // The test's own cluster: no way out, its images loaded, its data apart from a cluster the machine may have.
    if (program === './k8ts') args.push('--data-dir', machine.path('data'), '--name', machine.name);
    if (args[0] === 'up') args.push('--isolated', '--image', machine.images);
    const { code, stdout, stderr } = await run(program === './k8ts' ? `${root}k8ts` : program, args, {
      env,
      timeoutMs: 150_000,
    });
    assert.equal(code, 0, `${line}: ${stderr}`);
    if (line.startsWith('kubectl get')) assert.match(stdout, /service\/web +ClusterIP/);
  }
});
