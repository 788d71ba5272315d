import { readFileSync } from 'node:fs';
import type { Clock, Closable, Log, Random } from '#base';
import { type Client, type Informers, openClient, openInformers, openKubeconfigTransport } from '#client';
import { authorityOf, parsePrivateKey } from '#pki';
import { startElected } from '../elected.ts';
import type { ControllerManagerFlags, ElectionFlags, SchedulerFlags } from './component-flags.ts';

interface Means {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Runs the controllers alone, against the API server of a kubeconfig. */
export async function startControllerManagerAlone(
  options: Means & { flags: ControllerManagerFlags },
): Promise<Closable> {
  const { flags, ...means } = options;
  const { startControllers } = await import('#controllers');
  const { clusterSigningCertFile, clusterSigningKeyFile, rootCaFile, serviceAccountPrivateKeyFile } = flags;
  const read = (file: string): string => readFileSync(file, 'utf8');
  const tokenKey =
    serviceAccountPrivateKeyFile === undefined
      ? undefined
      : parsePrivateKey(read(serviceAccountPrivateKeyFile)).privateKey;
  const signer =
    clusterSigningCertFile === undefined || clusterSigningKeyFile === undefined
      ? undefined
      : authorityOf(
          read(clusterSigningCertFile),
          read(clusterSigningKeyFile),
          parsePrivateKey(read(clusterSigningKeyFile)).privateKey,
        );
  return startLoop({
    ...means,
    flags,
    name: 'kube-controller-manager',
    start: (client, informers) =>
      startControllers({
        ...means,
        client,
        informers,
        controllers: flags.controllers,
        settings: {
          clusterCidr: flags.clusterCidr,
          ...(rootCaFile === undefined ? {} : { rootCa: read(rootCaFile) }),
          ...(tokenKey === undefined ? {} : { serviceAccountKey: () => tokenKey }),
          ...(signer === undefined ? {} : { signer }),
          ...(flags.nodeMonitorGraceMs === undefined ? {} : { nodeMonitorGraceMs: flags.nodeMonitorGraceMs }),
        },
      }),
  });
}

/** Runs the scheduler alone, against the API server of a kubeconfig. */
export async function startSchedulerAlone(options: Means & { flags: SchedulerFlags }): Promise<Closable> {
  const { flags, ...means } = options;
  const { startScheduler } = await import('#scheduler');
  const { schedulerName } = flags;
  return startLoop({
    ...means,
    flags,
    name: 'kube-scheduler',
    start: (client, informers) =>
      startScheduler({ ...means, client, informers, ...(schedulerName === undefined ? {} : { name: schedulerName }) }),
  });
}

async function startLoop(
  options: Means & {
    readonly flags: ElectionFlags & { readonly kubeconfig: string };
    readonly name: string;
    readonly start: (client: Client, informers: Informers) => Promise<Closable>;
  },
): Promise<Closable> {
  const { flags, name, start, clock, random, log } = options;
  const transport = await openKubeconfigTransport({ file: flags.kubeconfig });
  const client = openClient({ transport, userAgent: name });
  const begin = async (): Promise<Closable> => {
    const informers = openInformers({ client, clock, random, log });
    const running = await start(client, informers);
    return {
      async close() {
        await running.close();
        informers.close();
      },
    };
  };
  const running = flags.leaderElect
    ? startElected({ client, clock, random, log, name, settings: flags.election, start: begin })
    : await begin();
  return {
    async close() {
      await running.close();
      await transport.close();
    },
  };
}
