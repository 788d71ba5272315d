import { requireState, openPki, writeAdminKubeconfig } from '#admin';
import { defineCommand } from '../command.ts';
import { type ClusterOptions, layoutOf, withCluster } from '../local/options.ts';

export const kubeconfigCommand = defineCommand('kubeconfig', (command) => {
  withCluster(command).action((options: ClusterOptions) => {
    const layout = layoutOf(options);
    const state = requireState(layout);
    process.stdout.write(writeAdminKubeconfig(layout, state, openPki(layout, state)));
  });
});
