import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Clock, type Closable, type Log, messageOf, type Random, sleep } from '#base';
import type { Client } from '#client';
import type { AgentConfiguration } from './agent-configuration.ts';

export interface ServingCredential {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string;
}

export interface RotationOptions {
  readonly configuration: AgentConfiguration;
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The file of the client's certificate holds a new one. */
  readonly onClient: () => void;
  readonly onServing: (credential: ServingCredential) => void;
}

/** A certificate is renewed at this part of its life, and up to so much later that nodes do not all come at once. */
const renewedAt = 0.7;
const spread = 0.2;
const retryMs = 60_000;
const firstRetryMs = 2_000;

/**
 * Renews the node's client and serving certificates through the API, each when it is due; at once when there is no serving
 * certificate that the cluster's authority has signed. A failure is logged and tried again: the certificate in use stays.
 */
export function startCertificateRotation(options: RotationOptions): Closable {
  const { configuration, clock, log } = options;
  const ending = new AbortController();
  const keep = async (what: 'client' | 'serving', file: string): Promise<void> => {
    for (let failures = 0, leastMs = 0; ; leastMs = firstRetryMs) {
      const waitMs = failures > 0 ? Math.min(retryMs, firstRetryMs * failures) : dueInMs(what, file, options);
      await sleep(clock, Math.max(leastMs, waitMs), ending.signal);
      try {
        await (what === 'client' ? rotateClient(options, ending.signal) : rotateServing(options, ending.signal));
        failures = 0;
        log.info({ certificate: what }, 'the certificate was renewed and is in use');
      } catch (error) {
        if (ending.signal.aborted) return;
        failures++;
        log.warn({ certificate: what, error: messageOf(error) }, 'the certificate was not renewed; tried again');
      }
    }
  };
  const running: Promise<void>[] = [];
  const start = (what: 'client' | 'serving', file: string): void =>
    void running.push(
      keep(what, file).catch((error) => {
        if (!ending.signal.aborted) log.error({ error: messageOf(error) }, 'certificates are not renewed any more');
      }),
    );
  if (configuration.clientCertificate !== undefined) start('client', configuration.clientCertificate);
  start('serving', configuration.servingCert);
  return {
    async close() {
      ending.abort();
      await Promise.all(running);
    },
  };
}

function dueInMs(what: 'client' | 'serving', file: string, options: RotationOptions): number {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(readFileSync(file));
  } catch {
    return 0;
  }
  if (what === 'serving' && servingCredential(options.configuration) === undefined) return 0;
  const fromMs = certificate.validFromDate.getTime();
  const lifeMs = certificate.validToDate.getTime() - fromMs;
  return fromMs + lifeMs * (renewedAt + spread * (options.random.int(1_000) / 1_000)) - options.clock.nowMs();
}

/** The serving certificate and key on disk, when they belong together and the cluster's authority has signed them. */
export function servingCredential(configuration: AgentConfiguration): ServingCredential | undefined {
  const clientCa = readFileSync(configuration.clientCa, 'utf8');
  try {
    const cert = readFileSync(configuration.servingCert, 'utf8');
    const key = readFileSync(configuration.servingKey, 'utf8');
    const certificate = new X509Certificate(cert);
    if (!certificate.checkPrivateKey(createPrivateKey(key))) return undefined;
    return certificate.verify(new X509Certificate(clientCa).publicKey) ? { cert, key, clientCa } : undefined;
  } catch {
    return undefined;
  }
}

/** A certificate that nobody trusts, to serve with until the cluster has signed one. */
export async function temporaryCredential(configuration: AgentConfiguration, clock: Clock): Promise<ServingCredential> {
  const { createAuthority } = await import('#pki');
  const own = createAuthority({ commonName: configuration.nodeName, days: 7, nowMs: clock.nowMs() });
  return { cert: own.certificatePem, key: own.keyPem, clientCa: readFileSync(configuration.clientCa, 'utf8') };
}

async function rotateClient(options: RotationOptions, signal: AbortSignal): Promise<void> {
  const { configuration, client, clock } = options;
  const { requestNodeCertificate, writeAtomically } = await loadNodeCertificate();
  const { certificatePem, keyPem } = await requestNodeCertificate({
    ...{ client, clock, signal, purpose: 'client', nodeName: configuration.nodeName },
  });
  writeAtomically(configuration.clientCertificate as string, certificatePem + keyPem, 0o600);
  options.onClient();
}

async function rotateServing(options: RotationOptions, signal: AbortSignal): Promise<void> {
  const { configuration, client, clock } = options;
  const { requestNodeCertificate, writeAtomically } = await loadNodeCertificate();
  const { certificatePem, keyPem } = await requestNodeCertificate({
    ...{ client, clock, signal, purpose: 'serving', nodeName: configuration.nodeName },
    dnsNames: [configuration.nodeName],
    ipAddresses: [configuration.nodeIp, '127.0.0.1'],
  });
  writeAtomically(configuration.servingKey, keyPem, 0o600);
  writeAtomically(configuration.servingCert, certificatePem, 0o644);
  options.onServing(servingCredential(configuration) ?? (await temporaryCredential(configuration, clock)));
}

async function loadNodeCertificate() {
  const { loadNodeCertificate: load } = await import('#admin');
  return load();
}
