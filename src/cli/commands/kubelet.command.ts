import { CodedError } from '#base';
import { defineCommand } from '../command.ts';
import { ownAddress, ownNodeName, parseLabels, parseList, parseTaints } from '../components/flags.ts';
import { parsePort } from '../options.ts';

interface Flags {
  kubeconfig: string;
  hostnameOverride?: string;
  nodeIp?: string;
  containerRuntimeEndpoint: string;
  rootDir: string;
  podLogsDir: string;
  cgroupRoot: string;
  clusterDns: string[];
  clusterDomain: string;
  port: number;
  tlsCertFile?: string;
  tlsPrivateKeyFile?: string;
  clientCaFile?: string;
  nodeLabels: Record<string, string>;
  registerWithTaints: { key: string; value?: string; effect: string }[];
}

export const kubeletCommand = defineCommand('kubelet', (command) => {
  command
    .requiredOption('--kubeconfig <file>', 'how to reach the API, as system:node:NAME')
    .option('--hostname-override <name>', "the node's name (default: the host's)")
    .option('--node-ip <address>', "the node's address")
    .option(
      '--container-runtime-endpoint <socket>',
      'socket of the container runtime (CRI v1)',
      'unix:///run/containerd/containerd.sock',
    )
    .option('--root-dir <dir>', 'data of pods', '/var/lib/kubelet')
    .option('--pod-logs-dir <dir>', 'logs of pods', '/var/log/pods')
    .option('--cgroup-root <path>', 'control group below which pods run', '/')
    .option('--cluster-dns <addresses>', 'name servers of pods', parseList, ['10.96.0.10'])
    .option('--cluster-domain <domain>', 'domain of the cluster', 'cluster.local')
    .option('--port <port>', "port of the kubelet's server", parsePort, 10_250)
    .option('--tls-cert-file <file>', "certificate of the kubelet's server (without it there is no server)")
    .option('--tls-private-key-file <file>', 'its key')
    .option('--client-ca-file <file>', "authority of the server's clients")
    .option('--node-labels <labels>', 'KEY=VALUE[,KEY=VALUE]', parseLabels, {})
    .option('--register-with-taints <taints>', 'KEY[=VALUE]:EFFECT[,…]', parseTaints, [])
    .action(async (options: Flags) => {
      const { runComponent } = await import('#assembly');
      const { tlsCertFile, tlsPrivateKeyFile, clientCaFile } = options;
      const tls = [tlsCertFile, tlsPrivateKeyFile, clientCaFile].filter((one) => one !== undefined);
      if (tls.length !== 0 && tls.length !== 3)
        throw new CodedError(
          'WrongUsage',
          'give --tls-cert-file, --tls-private-key-file and --client-ca-file together, or none',
        );
      const [certFile, keyFile, caFile] = tls;
      await runComponent({
        name: 'kubelet',
        flags: {
          kubeconfig: options.kubeconfig,
          nodeName: options.hostnameOverride ?? ownNodeName(),
          nodeIp: options.nodeIp ?? ownAddress().address,
          criSocket: options.containerRuntimeEndpoint,
          rootDir: options.rootDir,
          podLogsDir: options.podLogsDir,
          cgroupRoot: options.cgroupRoot,
          clusterDns: options.clusterDns,
          clusterDomain: options.clusterDomain,
          port: options.port,
          ...(certFile === undefined || keyFile === undefined || caFile === undefined
            ? {}
            : { tls: { certFile, keyFile, clientCaFile: caFile } }),
          labels: options.nodeLabels,
          taints: options.registerWithTaints,
        },
      });
    });
});
