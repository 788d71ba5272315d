import { defineCommand } from '../command.ts';
import { type ElectionOptions, electionOf, parseList, withElection } from '../components/flags.ts';
import { parseDurationMs } from '../options.ts';

interface Flags extends ElectionOptions {
  kubeconfig: string;
  controllers: string[];
  clusterCidr: string;
  rootCaFile?: string;
  serviceAccountPrivateKeyFile?: string;
  clusterSigningCertFile?: string;
  clusterSigningKeyFile?: string;
  nodeMonitorGracePeriod?: number;
}

export const controllerManagerCommand = defineCommand('controller-manager', (command) => {
  withElection(command.requiredOption('--kubeconfig <file>', 'how to reach the API'))
    .option('--controllers <names>', 'which to run: names, * for all, -NAME to leave one out', parseList, ['*'])
    .option('--cluster-cidr <range>', 'addresses of pods', '10.244.0.0/16')
    .option('--root-ca-file <file>', "authority that pods are given for the API server's certificate")
    .option('--service-account-private-key-file <file>', 'key that signs the tokens of Secrets')
    .option('--cluster-signing-cert-file <file>', 'authority that signs certificate requests')
    .option('--cluster-signing-key-file <file>', 'its key')
    .option('--node-monitor-grace-period <duration>', 'a node silent for so long counts as lost', parseDurationMs)
    .action(async (options: Flags) => {
      const { runComponent } = await import('#assembly');
      const { kubeconfig, controllers, clusterCidr, rootCaFile, nodeMonitorGracePeriod } = options;
      const { serviceAccountPrivateKeyFile, clusterSigningCertFile, clusterSigningKeyFile } = options;
      await runComponent({
        name: 'controller-manager',
        flags: {
          ...{ kubeconfig, controllers, clusterCidr },
          ...electionOf(options),
          ...(rootCaFile === undefined ? {} : { rootCaFile }),
          ...(serviceAccountPrivateKeyFile === undefined ? {} : { serviceAccountPrivateKeyFile }),
          ...(clusterSigningCertFile === undefined ? {} : { clusterSigningCertFile }),
          ...(clusterSigningKeyFile === undefined ? {} : { clusterSigningKeyFile }),
          ...(nodeMonitorGracePeriod === undefined ? {} : { nodeMonitorGraceMs: nodeMonitorGracePeriod }),
        },
      });
    });
});
