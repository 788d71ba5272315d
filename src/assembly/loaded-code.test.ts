import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runCommand } from '#base';

const source = new URL('..', import.meta.url).href;

/** Loads modules in a process of their own and tells which of ours, and of Node's, came with them. */
async function loadedWith(...modules: string[]): Promise<{ own: string[]; nodes: string[] }> {
  const program = `
    import { registerHooks } from 'node:module';
    const own = [];
    registerHooks({ load: (url, context, next) => (url.startsWith('file:') && own.push(url), next(url, context)) });
    for (const one of ${JSON.stringify(modules.map((one) => source + one))}) await import(one);
    process.stdout.write(JSON.stringify({ own, nodes: process.moduleLoadList }));`;
  const { stdout } = await runCommand(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program],
    { cwd: fileURLToPath(source), timeoutMs: 60_000 },
  );
  const { own, nodes } = JSON.parse(stdout) as { own: string[]; nodes: string[] };
  return { own: own.map((one) => one.replace(source, '')), nodes };
}

/** Node's fetch: an `import` of a name from `node:http` brings it. */
const fetchOf = (nodes: readonly string[]): string[] => nodes.filter((one) => /undici\/undici/.test(one));

test('an idle node keeps no code in memory that waits for something to happen', async () => {
  const { own, nodes } = await loadedWith('assembly/agent.ts', 'kubelet/kubelet.ts');
  const idle =
    /network\/(doctor|ingress|policy\/(?!network-policies|policy-table))|volumes\/csi|simulated|admin\/machine|apiserver\//;
  assert.deepEqual(
    own.filter((one) => idle.test(one)),
    [],
  );
  assert.deepEqual(fetchOf(nodes), []);
  assert.ok(own.includes('kubelet/pods/worker.ts'));
});

test('the supervisor of a machine loads none of the programs it runs', async () => {
  const { own, nodes } = await loadedWith('cli/run.ts', 'cli/machine/supervise.ts');
  assert.deepEqual(
    own.filter((one) => !/^(base\/|cli\/run\.ts$|cli\/machine\/supervise\.ts$)/.test(one)),
    [],
  );
  assert.deepEqual(fetchOf(nodes), []);
  assert.ok(!nodes.includes('NativeModule crypto'));
});

test('a server loads neither containers nor the commands', async () => {
  const { own, nodes } = await loadedWith('assembly/server.ts');
  assert.deepEqual(
    own.filter((one) => /^(cli|kubelet|network)\//.test(one)),
    [],
  );
  assert.deepEqual(fetchOf(nodes), []);
});
