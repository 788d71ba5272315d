import { join } from 'node:path';
import type { Bench } from '../measurement.ts';
import { findKubectl, runner } from '../target/kubectl.ts';
import { temporaryFolder } from '../target/temporary-folder.ts';

const image = 'k8ts.local/pause:1';
const launcher = new URL('../../k8ts', import.meta.url).pathname;

/**
 * `k8ts up` from nothing, isolated, to a first Ready pod, then the same with three nodes to all Ready. Makes real nodes, so it
 * needs root and runs only when it is named. Each cluster is deleted again.
 */
export const benchUp: Bench = async (_options, report) => {
  const first = 'up: to a first Ready pod, image present';
  const three = 'up: three nodes from nothing to all Ready';
  const kubectlFile = findKubectl();
  if (process.getuid?.() !== 0 || kubectlFile === undefined) {
    const skipped = kubectlFile === undefined ? 'needs kubectl: node scripts/fetch-test-tools.ts' : 'needs root';
    for (const name of [first, three]) report({ name, skipped });
    return;
  }
  const k8ts = runner(launcher);
  const withCluster = async (
    name: string,
    nodes: number,
    use: (kubeconfig: string) => Promise<void>,
  ): Promise<number> => {
    const folder = temporaryFolder('up');
    const kubeconfig = join(folder, 'config');
    const own = ['--name', name, '--data-dir', join(folder, 'data')];
    const startMs = performance.now();
    try {
      await k8ts(
        'up',
        ...own,
        '--nodes',
        String(nodes),
        '--isolated',
        '--kubeconfig',
        kubeconfig,
        '--api-port',
        '17443',
      );
      await use(kubeconfig);
      return performance.now() - startMs;
    } finally {
      await k8ts('down', ...own, '--delete').catch((error) => void process.stderr.write(`${error}\n`));
    }
  };
  const toPod = await withCluster('bench-one', 1, async (kubeconfig) => {
    const kubectl = runner(kubectlFile, { env: { KUBECONFIG: kubeconfig } });
    await kubectl('run', 'first', `--image=${image}`, '--restart=Never');
    await kubectl('wait', '--for=condition=Ready', 'pod/first', '--timeout=60s');
  });
  report({
    name: first,
    value: toPod / 1000,
    unit: 's',
    note: 'k8ts up && kubectl run && kubectl wait, one node, DNS answering',
  });
  const toNodes = await withCluster('bench-three', 3, async () => {});
  report({ name: three, value: toNodes / 1000, unit: 's', note: 'k8ts up --nodes 3, to DNS answering' });
};
