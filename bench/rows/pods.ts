import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bench, median, type Row, sleepMs } from '../measurement.ts';
import { findKubectl, type Run, runner } from '../target/kubectl.ts';
import { temporaryFolder } from '../target/temporary-folder.ts';

const image = process.env.K8TS_BENCH_IMAGE ?? 'k8ts.local/pause:1';
const names = {
  run: 'pods: kubectl run to Ready, image present',
  deployment: 'pods: Deployment of 30, all available',
  rate: 'pods: 60 at once, started a second and node',
};

/**
 * Real containers on a cluster that runs already (`--cluster NAME|KUBECONFIG`), with real kubectl, both of its processes counted.
 * The image is the pause image that every node of `k8ts up` has; K8TS_BENCH_IMAGE names another.
 */
export const benchPods: Bench = async ({ quick, cluster }, report) => {
  const kubectlFile = findKubectl();
  const kubeconfig = cluster === undefined ? undefined : kubeconfigOf(cluster);
  const lack =
    cluster === undefined
      ? 'needs a cluster with real nodes: k8ts up, then --cluster default (or a kubeconfig)'
      : kubeconfig === undefined
        ? `${cluster} is neither a kubeconfig nor a cluster of k8ts up on this machine`
        : kubectlFile === undefined
          ? 'needs kubectl: node scripts/fetch-test-tools.ts'
          : undefined;
  if (lack !== undefined) {
    for (const name of Object.values(names)) report({ name, skipped: lack });
    return;
  }
  const namespace = `bench-${Date.now().toString(36)}`;
  const kubectl = runner(kubectlFile as string, { env: { KUBECONFIG: kubeconfig as string } });
  const inside: Run = (...args) => kubectl('-n', namespace, ...args);
  await kubectl('create', 'namespace', namespace);
  try {
    await accountIsThere(inside);
    await measure(inside, quick, report);
  } finally {
    await kubectl('delete', 'namespace', namespace, '--wait=false');
  }
};

async function measure(kubectl: Run, quick: boolean, report: (row: Row) => void): Promise<void> {
  const tookMs: number[] = [];
  for (let i = 0; i < (quick ? 3 : 10); i++) {
    const startMs = performance.now();
    await kubectl('run', `p${i}`, `--image=${image}`, '--restart=Never');
    await kubectl('wait', '--for=condition=Ready', `pod/p${i}`, '--timeout=60s');
    tookMs.push(performance.now() - startMs);
    await kubectl('delete', 'pod', `p${i}`, '--grace-period=0', '--force');
    await sleepMs(300);
  }
  const note = `${image}, middle of ${tookMs.length}; ${Math.round(Math.min(...tookMs))} to ${Math.round(Math.max(...tookMs))} ms`;
  report({ name: names.run, value: median(tookMs), unit: 'ms', note });

  const nodes = (await kubectl('get', 'nodes', '-o', 'name')).trim().split('\n').length;
  const scaled = async (replicas: number): Promise<number> => {
    const startMs = performance.now();
    await kubectl('create', 'deployment', `d${replicas}`, `--image=${image}`, `--replicas=${replicas}`);
    await kubectl(
      'wait',
      `--for=jsonpath={.status.availableReplicas}=${replicas}`,
      `deployment/d${replicas}`,
      '--timeout=120s',
    );
    const tookMs = performance.now() - startMs;
    await kubectl('delete', 'deployment', `d${replicas}`);
    await kubectl('delete', 'pods', '--all', '--grace-period=1', '--wait=false');
    await gone(kubectl);
    return tookMs;
  };
  const deployment = await scaled(30);
  report({
    name: names.deployment,
    value: deployment / 1000,
    unit: 's',
    note: `kubectl create to the last one, ${nodes} node(s)`,
  });
  const seconds = (await scaled(60)) / 1000;
  report({
    name: names.rate,
    value: 60 / seconds / nodes,
    unit: 'pods/s',
    note: `${seconds.toFixed(1)} s in all, ${nodes} node(s)`,
  });
}

async function accountIsThere(kubectl: Run): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    if ((await kubectl('get', 'serviceaccount', 'default', '--ignore-not-found', '-o', 'name')) !== '') return;
    await sleepMs(100);
  }
}

async function gone(kubectl: Run): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if ((await kubectl('get', 'pods', '-o', 'name')).trim() === '') return;
    await sleepMs(200);
  }
}

/** A file as it is; a name: what `k8ts kubeconfig --name NAME` prints. */
function kubeconfigOf(cluster: string): string | undefined {
  if (existsSync(cluster)) return cluster;
  const launcher = new URL('../../k8ts', import.meta.url).pathname;
  const { status, stdout } = spawnSync(launcher, ['kubeconfig', '--name', cluster]);
  if (status !== 0) return undefined;
  const file = join(temporaryFolder('kubeconfig'), 'config');
  writeFileSync(file, stdout, { mode: 0o600 });
  return file;
}
