import { readFileSync, statSync, writeFileSync } from 'node:fs';
import {
  type Clock,
  type Closable,
  type Log,
  messageOf,
  type Random,
  type Timer,
  processRecord,
  readProcess,
} from '#base';
import { openClient, openInformers, openKubeconfigTransport } from '#client';
import { loadIngress } from '#network';

/** What `k8ts ingress --config FILE` reads; the agent writes it. */
export interface IngressConfiguration {
  readonly nodeName: string;
  readonly addresses: readonly string[];
  readonly kubeconfig: string;
  /** A certificate that `kubeconfig` names and someone renews there. */
  readonly clientCertificate?: string;
  readonly resolvers: readonly string[];
  /** Number of the process that serves. */
  readonly pidFile: string;
}

export interface IngressProcessOptions {
  readonly configuration: IngressConfiguration;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** There has been nothing to serve for a while, or nobody to serve for. */
  readonly onIdle: () => void;
}

const idleAfterMs = 60_000;
const checkEveryMs = 5_000;
/** How long this process serves on when the agent died: the next one replaces it. */
const orphanMs = 120_000;

/** Serves Ingresses on this node in a process of its own. Its standard input is the agent's end of a pipe. */
export async function startIngress(options: IngressProcessOptions): Promise<Closable> {
  const { configuration, clock, random, log, onIdle } = options;
  const { startIngressController } = await loadIngress();
  const transport = await openKubeconfigTransport({ file: configuration.kubeconfig });
  const client = openClient({ transport, userAgent: 'k8ts-ingress' });
  const informers = openInformers({ client, clock, random, log });
  const controller = await startIngressController({
    nodeName: configuration.nodeName,
    addresses: configuration.addresses,
    resolvers: configuration.resolvers,
    client,
    informers,
    clock,
    random,
    log,
  });
  log.info({ ...controller.ports, sinceStartMs: Math.round(clock.monotonicMs()) }, 'Ingresses are served');
  replaceOlder(configuration.pidFile, log);
  let orphanedMs: number | undefined;
  process.stdin.on('end', () => {
    orphanedMs = clock.monotonicMs();
    log.warn({}, 'the agent has gone; Ingresses are served until there is a new one');
  });
  process.stdin.on('error', () => {});
  process.stdin.resume();
  let certificate = changeOf(configuration.clientCertificate);
  let timer: Timer;
  const check = (): void => {
    timer = clock.setTimer(check, checkEveryMs);
    const orphaned = orphanedMs !== undefined && clock.monotonicMs() - orphanedMs > orphanMs;
    if (orphaned || controller.idleMs() > idleAfterMs) return onIdle();
    const now = changeOf(configuration.clientCertificate);
    if (now !== certificate) transport.reconnect();
    certificate = now;
  };
  timer = clock.setTimer(check, checkEveryMs);
  return {
    async close() {
      timer.cancel();
      await controller.close();
      informers.close();
      await transport.close();
    },
  };
}

/** Both listen for a moment: no connection is refused while an older process of a former agent goes. */
function replaceOlder(pidFile: string, log: Log): void {
  try {
    const pid = readProcess(pidFile)?.pid;
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    if (pid !== undefined && pid !== process.pid && words.includes('ingress') && words.includes('--config'))
      process.kill(pid, 'SIGTERM');
  } catch {
    // There is none.
  }
  try {
    writeFileSync(pidFile, JSON.stringify(processRecord(process.pid)), { mode: 0o600 });
  } catch (error) {
    log.warn({ pidFile, error: messageOf(error) }, 'the process number could not be written');
  }
}

function changeOf(file: string | undefined): number {
  if (file === undefined) return 0;
  try {
    return statSync(file).mtimeMs;
  } catch {
    return 0;
  }
}
