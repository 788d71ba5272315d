import { readFileSync } from 'node:fs';
import type { Clock, Closable, Log, Random } from '#base';
import { openClient, openInformers, openKubeconfigTransport } from '#client';
import type { KubeletFlags, ProxyFlags } from './component-flags.ts';

interface Means {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Runs a kubelet alone, on a container runtime that somebody else runs. */
export async function startKubeletAlone(options: Means & { flags: KubeletFlags }): Promise<Closable> {
  const { flags, clock, random, log } = options;
  const { startKubelet } = await (await import('#kubelet')).loadKubelet();
  const { tls } = flags;
  const transport = await openKubeconfigTransport({ file: flags.kubeconfig });
  const kubelet = await startKubelet({
    ...{ nodeName: flags.nodeName, nodeIp: flags.nodeIp, clock, random, log },
    client: openClient({ transport, userAgent: 'kubelet' }),
    criSocket: flags.criSocket,
    rootDir: flags.rootDir,
    podLogsDir: flags.podLogsDir,
    cgroupRoot: flags.cgroupRoot,
    clusterDns: flags.clusterDns,
    clusterDomain: flags.clusterDomain,
    port: flags.port,
    labels: flags.labels,
    taints: flags.taints,
    ...(tls === undefined
      ? {}
      : {
          tls: {
            cert: readFileSync(tls.certFile, 'utf8'),
            key: readFileSync(tls.keyFile, 'utf8'),
            clientCa: readFileSync(tls.clientCaFile, 'utf8'),
          },
        }),
  });
  return closeBoth(kubelet, transport);
}

/** Keeps the rules of Services alone. Host ports of pods need an identity that may see this node's pods. */
export async function startProxyAlone(options: Means & { flags: ProxyFlags }): Promise<Closable> {
  const { flags, clock, random, log } = options;
  const { startServiceProxy } = await import('#network');
  const transport = await openKubeconfigTransport({ file: flags.kubeconfig });
  const client = openClient({ transport, userAgent: 'kube-proxy' });
  const informers = openInformers({ client, clock, random, log });
  const proxy = await startServiceProxy({
    nodeName: flags.nodeName,
    network: {
      nodeAddresses: [flags.nodeIp],
      clusterCidr: flags.clusterCidr,
      serviceCidr: flags.serviceCidr,
      uplink: flags.uplink,
    },
    informers,
    podInformers: informers,
    clock,
    log,
  });
  return closeBoth({ close: async () => void (await proxy.close(), informers.close()) }, transport);
}

function closeBoth(part: { close(): Promise<void> }, transport: { close(): Promise<void> }): Closable {
  return {
    async close() {
      await part.close();
      await transport.close();
    },
  };
}
