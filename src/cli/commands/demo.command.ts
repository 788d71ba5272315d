import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeAddress, openPki, reach, requireState } from '#admin';
import { CodedError, sleep, systemClock, systemRandom } from '#base';
import { defineCommand } from '../command.ts';
import { loadImages } from '../local/images.ts';
import { type ClusterOptions, layoutOf } from '../local/options.ts';
import { parseDurationMs, parseName } from '../options.ts';
import { openProgress } from '../progress.ts';

interface DemoOptions extends ClusterOptions {
  isolated?: boolean;
  kubeconfig?: string;
  wait: number;
}

export const demoCommand = defineCommand('demo', (command) => {
  command
    .option('--name <name>', 'name of the cluster', parseName, 'demo')
    .option('--data-dir <dir>', 'where the cluster keeps its data')
    .option('--isolated', 'give the nodes no route beyond this machine')
    .option('--kubeconfig <file>', 'write this kubeconfig alone instead of merging into the default one')
    .option('--wait <duration>', 'how long to wait for the shop', parseDurationMs, 180_000)
    .action(demo);
});

async function demo(options: DemoOptions): Promise<void> {
  const startMs = systemClock.monotonicMs();
  const deadlineMs = startMs + options.wait;
  const progress = openProgress();
  const { applyShop, buildShopImage, demoFolder, isShopReady, ordersAt, shopImage } = await (
    await import('#assembly')
  ).loadDemo();
  const folder = demoFolder();
  await startCluster(options);
  const layout = layoutOf(options);
  const state = requireState(layout);
  await progress.phase(`image ${shopImage}, made of this Node.js and demo/shop`, async () => {
    const archive = join(layout.dataDir, 'shop-image.tar');
    writeFileSync(archive, await buildShopImage(join(folder, 'shop')));
    await loadImages(layout, state, archive);
  });
  const { client, close } = reach(state, openPki(layout, state));
  try {
    await progress.phase('demo/shop.yaml applied', () => applyShop(client, folder, systemRandom));
    await progress.phase('web, api and store ready', async () => {
      while (!(await isShopReady(client))) {
        if (systemClock.monotonicMs() > deadlineMs)
          throw new CodedError('ShopNotReady', 'the shop is not ready in time: see kubectl -n shop get pods,events');
        await sleep(systemClock, 50);
      }
    });
    const workers = state.nodes.filter((one) => !one.stopped && !one.controlPlane);
    const address = nodeAddress(state, workers[0] ?? (state.nodes[0] as (typeof state.nodes)[number]));
    await progress.phase('an answer through the Ingress', () => ordersAt(address, { clock: systemClock, deadlineMs }));
    tell(state.name, address, systemClock.monotonicMs() - startMs);
  } finally {
    await close();
  }
}

/** `k8ts up`, in this process: the demonstration's cluster is one like any other. */
async function startCluster({ name, dataDir, isolated, kubeconfig }: DemoOptions): Promise<void> {
  const { runProgram } = await import('../program.ts');
  const given = (option: string, value: string | undefined): string[] => (value === undefined ? [] : [option, value]);
  const code = await runProgram([
    ...['up', '--name', name, '--nodes', '3'],
    ...given('--data-dir', dataDir),
    ...given('--kubeconfig', kubeconfig),
    ...(isolated === true ? ['--isolated'] : []),
  ]);
  if (code !== 0) throw new CodedError('NoCluster', `the cluster ${name} did not start`);
}

function tell(name: string, address: string, tookMs: number): void {
  process.stderr.write(
    [
      `\nThe shop is open after ${(tookMs / 1000).toFixed(1)} s: http://${address}/`,
      'Its page shows which pods answered. Then, for instance:',
      '  kubectl -n shop get pods,ingress,hpa,pvc -o wide',
      `  k8ts node stop worker1 --name ${name}      # a power cut: the page goes on, orders stay`,
      `  k8ts down --delete --name ${name}          # nothing of it is left`,
      '',
    ].join('\n'),
  );
  process.stdout.write(`http://${address}/\n`);
}
