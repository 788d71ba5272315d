import { dirname } from 'node:path';
import { silentLog, systemClock } from '#base';
import { type Client, kubeconfigCredentials, kubeconfigTarget, openClient, readKubeconfig } from '#client';
import { openHttpsTransport, type Transport } from '#wire';
import { sleepMs } from '../measurement.ts';

/** A Kubernetes API server, whoever made it, and what a load generator needs to speak to it. */
export interface ApiTarget {
  readonly server: string;
  readonly client: Client;
  readonly transport: Transport;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
  close(): Promise<void>;
}

export async function openApiTarget(kubeconfig: string): Promise<ApiTarget> {
  const target = kubeconfigTarget(await readKubeconfig(kubeconfig));
  const { ca, cert, key, token } = await kubeconfigCredentials(target, dirname(kubeconfig));
  const { server } = target.cluster;
  const transport = openHttpsTransport({
    server,
    ...(ca === undefined ? { insecureSkipTlsVerify: true } : { ca }),
    ...(cert === undefined ? {} : { clientCert: cert }),
    ...(key === undefined ? {} : { clientKey: key }),
    ...(token === undefined ? {} : { token }),
  });
  const client = openClient({ transport, userAgent: 'k8ts-bench' });
  const optional = { ca, cert, key, token };
  return { server, client, transport, ...optional, close: () => transport.close() } as ApiTarget;
}

/** Asks again and again until `probe` holds, and returns the time of that answer (`performance.now()`). */
export async function until(
  probe: () => Promise<boolean>,
  options: { limitMs: number; everyMs?: number; what: string },
): Promise<number> {
  const { limitMs, everyMs = 5, what } = options;
  const giveUpMs = performance.now() + limitMs;
  for (;;) {
    if (await probe().catch(() => false)) return performance.now();
    if (performance.now() > giveUpMs) throw new Error(`${what}: not within ${limitMs} ms`);
    await sleepMs(everyMs);
  }
}

/** True when the path answers 200. */
export async function answers(target: ApiTarget, path: string): Promise<boolean> {
  const response = await target.transport.request({ method: 'GET', target: path });
  await response.bytes();
  return response.status === 200;
}

export const benchLog = silentLog;
export const benchClock = systemClock;
