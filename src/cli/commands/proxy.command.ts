import { defineCommand } from '../command.ts';
import { linkOfAddress, ownAddress, ownNodeName } from '../components/flags.ts';

interface Flags {
  kubeconfig: string;
  hostnameOverride?: string;
  bindAddress?: string;
  clusterCidr: string;
  serviceClusterIpRange: string;
}

export const proxyCommand = defineCommand('proxy', (command) => {
  command
    .requiredOption('--kubeconfig <file>', 'how to reach the API')
    .option('--hostname-override <name>', "the node's name (default: the host's)")
    .option('--bind-address <address>', "the node's address")
    .option('--cluster-cidr <range>', 'addresses of pods', '10.244.0.0/16')
    .option('--service-cluster-ip-range <range>', 'addresses of Services', '10.96.0.0/12')
    .action(async (options: Flags) => {
      const { runComponent } = await import('#assembly');
      const nodeIp = options.bindAddress ?? ownAddress().address;
      await runComponent({
        name: 'proxy',
        flags: {
          kubeconfig: options.kubeconfig,
          nodeName: options.hostnameOverride ?? ownNodeName(),
          nodeIp,
          clusterCidr: options.clusterCidr,
          serviceCidr: options.serviceClusterIpRange,
          uplink: linkOfAddress(nodeIp) ?? ownAddress().link,
        },
      });
    });
});
