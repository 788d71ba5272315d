import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync, readlinkSync, rmSync, statSync, mkdtempSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Machine, run, whyNoContainers } from './harness.ts';

const root = new URL('../..', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'k8ts-pack-'));
const prefix = join(folder, 'prefix');
const installed = join(prefix, 'lib', 'node_modules', 'k8ts');
const launcher = join(prefix, 'bin', 'k8ts');
/** The Node that runs this test, and its npm, come first. */
const env = { PATH: `${dirname(process.execPath)}:${process.env.PATH}` };

/** The tests run in a network namespace without a way out; only npm may use that of a process further up, towards its registry. */
function outerNetwork(): string[] {
  const own = readlinkSync('/proc/self/ns/net');
  let pid = process.ppid;
  while (pid > 0) {
    try {
      if (readlinkSync(`/proc/${pid}/ns/net`) !== own) return ['nsenter', `--net=/proc/${pid}/ns/net`, '--'];
    } catch {
      return [];
    }
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    pid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  }
  return [];
}

async function registryAnswers(): Promise<boolean> {
  const [program = 'npm', ...args] = [...outerNetwork(), 'npm', 'ping', '--fetch-retries=0', '--fetch-timeout=5000'];
  return (await run(program, args, { env })).code === 0;
}

const bareImport =
  /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\(|\bload\(|import\.meta\.url\)\()['"]([@a-z][\w@:./-]*)['"]/g;

describe('the published package', () => {
  let tarball = '';
  before(async () => {
    const built = await run(process.execPath, [join(root, 'scripts/build.ts')]);
    assert.equal(built.code, 0, built.stdout + built.stderr);
    const packed = await run('npm', ['pack', root, '--json', '--ignore-scripts', '--pack-destination', folder], {
      env,
    });
    assert.equal(packed.code, 0, packed.stderr);
    const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }];
    tarball = join(folder, filename);
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
    rmSync(join(root, 'dist'), { recursive: true, force: true });
  });

  test('holds JavaScript with its declarations and data, and nothing else', async (t) => {
    const { stdout } = await run('tar', ['-tzf', tarball]);
    const files = stdout.trim().split('\n');
    assert.deepEqual(
      files.filter((one) => /\.ts$/.test(one) && !one.endsWith('.d.ts') && !one.startsWith('package/demo/')),
      [],
    );
    assert.deepEqual(
      files.filter((one) => /\.test\.|\/src\/|\/test\/|\/bench\/|\/facts\//.test(one)),
      [],
    );
    const missing = [
      'package/k8ts',
      'package/LICENSE',
      'package/NOTICE',
      'package/dist/cli/main.js',
      'package/demo/shop.yaml',
      'package/demo/shop/web.ts',
    ].filter((one) => !files.includes(one));
    assert.deepEqual(missing, []);
    const { size } = statSync(tarball);
    t.diagnostic(`tarball ${(size / 1024).toFixed(0)} KiB, ${files.length} files`);
    assert.ok(size < 2 * 2 ** 20, `the tarball has ${size} bytes`);
  });

  test('imports only what its package.json names, and no room by its name in the sources', () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const strangers = new Set<string>();
    for (const file of globSync('**/*.js', { cwd: join(root, 'dist') })) {
      const text = readFileSync(join(root, 'dist', file), 'utf8');
      assert.doesNotMatch(text, /(?:from|import)\s*\(?\s*['"]#/, file);
      for (const [, name = ''] of text.matchAll(bareImport)) {
        const owner = name.startsWith('@') ? name.split('/', 2).join('/') : (name.split('/', 1)[0] ?? '');
        if (!isBuiltin(name) && !Object.hasOwn(dependencies, owner)) strangers.add(`${name} in ${file}`);
      }
    }
    assert.deepEqual([...strangers], []);
  });

  describe('installed in an empty folder', () => {
    let skip = '';
    before(async () => {
      if (!(await registryAnswers())) {
        skip = 'no npm registry can be reached from here';
        return;
      }
      const startMs = performance.now();
      const [program = 'npm', ...args] = [
        ...outerNetwork(),
        ...['npm', 'install', '--global', '--prefix', prefix, '--no-audit', '--no-fund', tarball],
      ];
      const { code, stderr } = await run(program, args, { env, timeoutMs: 300_000 });
      assert.equal(code, 0, stderr);
      const size = Number((await run('du', ['-sm', '--exclude=node-linux-*', installed])).stdout.split('\t')[0]);
      const brought = Number((await run('du', ['-sm', installed])).stdout.split('\t')[0]) - size;
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      console.log(`# npm install -g: ${seconds} s, ${size} MiB, and ${brought} MiB of Node where it was brought`);
      await run('ip', ['link', 'set', 'lo', 'up']);
    });

    test('it says its version, and needs no TypeScript', async (t) => {
      if (skip !== '') return t.skip(skip);
      const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
      const said = await run(launcher, ['--version'], { env });
      assert.equal(said.stdout, `${version}\n`, said.stderr);
      assert.equal(existsSync(join(installed, 'node_modules', 'typescript')), false);
      assert.deepEqual(
        globSync('{src,dist}/**/*.ts', { cwd: installed }).filter((one) => !one.endsWith('.d.ts')),
        [],
      );
    });

    test('k8ts and k8ts/testing can be imported', async (t) => {
      if (skip !== '') return t.skip(skip);
      const program = `
        import { resource } from 'k8ts';
        import { startCluster } from 'k8ts/testing';
        const cluster = await startCluster({ nodes: 1 });
        const { items } = await cluster.client.list(resource('v1', 'namespaces'));
        console.log(items.map((one) => one.metadata.name).sort().join(' '));
        await cluster.close();`;
      const args = ['--input-type=module', '--eval', program];
      const said = await run('sh', ['-c', 'cd "$0" && exec "$@"', installed, process.execPath, ...args], { env });
      assert.match(said.stdout, /^default .*kube-system$/m, said.stderr);
    });

    test('a cluster of simulated nodes', async (t) => {
      if (skip !== '') return t.skip(skip);
      const machine = new Machine('e2e-pack', launcher);
      t.after(() => machine.remove());
      await machine.up('--nodes', '0', '--simulate', '1');
      await machine.must('create', 'deployment', 'web', '--image=k8ts.test/web:1', '--replicas=2');
      await machine.must('rollout', 'status', 'deployment/web', '--timeout=90s');
    });

    test('a cluster with containers', async (t) => {
      if (skip !== '') return t.skip(skip);
      const why = whyNoContainers();
      if (why !== undefined) return t.skip(why);
      const machine = new Machine('e2e-pack1', launcher);
      t.after(() => machine.remove());
      await machine.prepare();
      await machine.up('--image', machine.images);
      await machine.must('create', 'deployment', 'web', '--image=k8ts.test/web:1');
      await machine.must('rollout', 'status', 'deployment/web', '--timeout=60s');
      assert.match(await machine.must('explain', 'pod.spec.containers'), /FIELD: containers/);
    });
  });
});
