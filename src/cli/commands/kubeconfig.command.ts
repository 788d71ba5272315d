import { requireState } from '#admin';
import { defineCommand } from '../command.ts';
import { openPki, writeAdminKubeconfig } from '../local/configure.ts';
import { type ClusterOptions, layoutOf, withCluster } from '../local/options.ts';

export const kubeconfigCommand = defineCommand('kubeconfig', (program) => {
  withCluster(program.command('kubeconfig'))
    .description("print the administrator's kubeconfig")
    .action((options: ClusterOptions) => {
      const layout = layoutOf(options);
      const state = requireState(layout);
      process.stdout.write(writeAdminKubeconfig(layout, state, openPki(layout, state)));
    });
});
