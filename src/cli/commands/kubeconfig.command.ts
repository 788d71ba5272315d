import { loadMachine, openPki, requireState, writeAdminKubeconfig } from '#admin';
import { systemClock } from '#base';
import { defineCommand } from '../command.ts';
import { collectNames, withRoot } from '../machine/options.ts';
import { parseDurationMs } from '../options.ts';
import { type ClusterOptions, layoutOf, withCluster } from '../local/options.ts';

interface UserFlags {
  root: string;
  clientName: string;
  org: readonly string[];
  token?: string;
  validityPeriod: number;
}

export const kubeconfigCommand = defineCommand('kubeconfig', (command) => {
  withCluster(command).action((options: ClusterOptions) => {
    const layout = layoutOf(options);
    const state = requireState(layout);
    process.stdout.write(writeAdminKubeconfig(layout, state, openPki(layout, state)));
  });
  withRoot(command.command('user').description('print a kubeconfig for another user of a cluster of several machines'))
    .requiredOption('--client-name <name>', 'name of the user')
    .option('--org <name>', 'group of the user (repeatable)', collectNames, [])
    .option('--token <token>', 'with this token instead of a certificate')
    .option('--validity-period <duration>', 'how long the certificate counts', parseDurationMs, 8760 * 3_600_000)
    .action(async (flags: UserFlags) => {
      const { userKubeconfig } = await loadMachine();
      const { root, clientName, org: organizations, token, validityPeriod: validityMs } = flags;
      const more = token === undefined ? {} : { token };
      process.stdout.write(
        userKubeconfig({ root, clientName, organizations, validityMs, clock: systemClock, ...more }),
      );
    });
});
