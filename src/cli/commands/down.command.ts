import { existsSync, readdirSync, rmSync } from 'node:fs';
import { defaultKubeconfigFile, readState, stopCluster, withClusterLock } from '#admin';
import { CodedError, systemClock, systemRandom } from '#base';
import { readKubeconfig, removeFromKubeconfig, writeKubeconfig } from '#client';
import { defineCommand } from '../command.ts';
import { type ClusterOptions, layoutOf, withCluster } from '../local/options.ts';
import { openProgress } from '../progress.ts';

export const downCommand = defineCommand('down', (command) => {
  withCluster(command)
    .option('--delete', 'remove everything of it: data, links, namespaces, kubeconfig context')
    .action(async (options: ClusterOptions & { delete?: boolean }) => {
      const layout = layoutOf(options);
      const progress = openProgress();
      await withClusterLock(`${layout.runDir}.lock`, async () => {
        let state: ReturnType<typeof readState>;
        try {
          state = readState(layout);
        } catch (error) {
          if (options.delete !== true) throw error;
        }
        if (state === undefined && options.delete !== true) {
          throw new CodedError('NoCluster', `there is no cluster ${options.name}: k8ts list shows those that exist`);
        }
        await progress.phase(`stop cluster ${options.name}`, () => stopCluster(systemClock, layout, state));
        if (options.delete === true) {
          await progress.phase('delete its data', async () => deleteFolder(layout.dataDir));
          const file = defaultKubeconfigFile();
          const config = await readKubeconfig(file, { missingIsEmpty: true });
          const next = removeFromKubeconfig(config, `k8ts-${options.name}`);
          if (next !== config) await writeKubeconfig(file, next, systemRandom);
        }
      });
    });
});

/** Deletes a folder; where something is mounted on it, all that is in it. */
function deleteFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch (error) {
    if (!existsSync(folder) || readdirSync(folder).length > 0) throw error;
  }
}
