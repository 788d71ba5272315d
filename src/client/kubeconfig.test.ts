import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { seededRandom } from '#base';
import {
  type Kubeconfig,
  kubeconfigTarget,
  mergeKubeconfig,
  parseKubeconfig,
  removeFromKubeconfig,
} from './kubeconfig.ts';
import { kubeconfigCredentials, readKubeconfig, writeKubeconfig } from './kubeconfig-file.ts';

const config = (name: string, server = `https://${name}`): Kubeconfig => ({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name, cluster: { server } }],
  users: [{ name: `${name}-admin`, user: { token: `${name}-token` } }],
  contexts: [{ name, context: { cluster: name, user: `${name}-admin` } }],
  'current-context': name,
});

test('merging replaces what has the same name, keeps the rest, and makes the new context current', () => {
  const merged = mergeKubeconfig(mergeKubeconfig(config('a'), config('b')), config('a', 'https://new'));
  assert.deepEqual(
    merged.clusters.map((one) => `${one.name} ${one.cluster.server}`),
    ['a https://new', 'b https://b'],
  );
  assert.deepEqual([merged.users.length, merged.contexts.length, merged['current-context']], [2, 2, 'a']);
  const less = removeFromKubeconfig(merged, 'a');
  assert.deepEqual([less.clusters.length, less.users[0]?.name, less['current-context']], [1, 'b-admin', '']);
});

test('parsing: YAML and JSON, empty is empty, unknown fields stay, the rest is refused by name', () => {
  assert.equal(parseKubeconfig('').clusters.length, 0);
  const parsed = parseKubeconfig('kind: Config\nextensions: [1]\nclusters: null\ncurrent-context: x\n');
  assert.deepEqual([parsed.clusters, (parsed as { extensions?: unknown }).extensions], [[], [1]]);
  assert.throws(() => parseKubeconfig('kind: Pod'), /kind Pod/);
  assert.throws(() => parseKubeconfig('[1]'), /not a mapping/);
  assert.throws(() => parseKubeconfig('kind: Config\nusers: 3'), /users/);
  assert.throws(() => kubeconfigTarget(parseKubeconfig('')), /no current context/);
  assert.throws(() => kubeconfigTarget(config('a'), 'b'), /no context b/);
  assert.equal(kubeconfigTarget(config('a')).cluster.server, 'https://a');
});

test('the file is written whole, for its owner alone, through links, and read back', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'kubeconfig-'));
  try {
    const file = join(directory, 'real');
    const link = join(directory, 'link');
    await writeFile(file, 'old', { mode: 0o644 });
    await symlink('real', link);
    await writeKubeconfig(link, config('a'), seededRandom(1));
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.deepEqual(await readKubeconfig(link), config('a'));
    assert.deepEqual((await readdir(directory)).toSorted(), ['link', 'real']);
    await writeFile(join(directory, 'ca.pem'), 'CA');
    const user = { 'client-key-data': Buffer.from('KEY').toString('base64'), token: 't' };
    const target = {
      contextName: 'a',
      namespace: undefined,
      cluster: { server: 's', 'certificate-authority': 'ca.pem' },
      user,
    };
    assert.deepEqual(await kubeconfigCredentials(target, directory), { ca: 'CA', key: 'KEY', token: 't' });
    await assert.rejects(readKubeconfig(join(directory, 'none')), /none/);
    assert.equal((await readKubeconfig(join(directory, 'none'), { missingIsEmpty: true })).kind, 'Config');
    assert.match(await readFile(file, 'utf8'), /^apiVersion: v1/);
  } finally {
    await rm(directory, { recursive: true });
  }
});
