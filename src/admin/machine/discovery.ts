import { createHash } from 'node:crypto';
import { request } from 'node:https';
import { type Clock, messageOf, sleep } from '#base';
import { parseKubeconfig } from '#client';
import { certificatesFromPem, parseCertificate } from '#pki';
import { type BootstrapToken, isSignedWith, tokenText } from './bootstrap-token.ts';
import { JoinError } from './errors.ts';
import { hostOf } from './settings.ts';

export interface DiscoveryOptions {
  /** `host:port` of an API server. */
  readonly endpoint: string;
  readonly token: BootstrapToken;
  /** `sha256:<hex>` of the authority's public key, one of which must fit; empty only when the user takes that risk. */
  readonly caCertHashes: readonly string[];
  readonly clock: Clock;
  /** How long the cluster's information may be without this token's signature; default 4 s. */
  readonly patienceMs?: number;
}

export interface DiscoveredCluster {
  /** PEM. */
  readonly ca: string;
  /** URL under which nodes reach the API. */
  readonly server: string;
}

const requestTimeoutMs = 5_000;
const lookEveryMs = 300;
const largestAnswer = 1 << 20;
/** Certificates begin five minutes in the past; clocks further apart than that do not work together. */
const mostSkewMs = 5 * 60_000;
const clusterInfoPath = '/api/v1/namespaces/kube-public/configmaps/cluster-info';
const anew = 'on a control plane: k8ts token create --print-join-command';

/** `sha256:` and the SHA-256 of an authority's public key (SubjectPublicKeyInfo), hexadecimal. */
export function caCertHash(caPem: string): string {
  return `sha256:${createHash('sha256').update(parseCertificate(caPem).publicKeyDer).digest('hex')}`;
}

/**
 * Finds out whom to trust: takes the cluster's public information from a server that is not trusted yet, checks that the token signed
 * it and that the authority in it is the pinned one, then asks again over a connection that this authority vouches for. Throws
 * JoinError, which says what does not hold.
 */
export async function discoverCluster(options: DiscoveryOptions): Promise<DiscoveredCluster> {
  const { endpoint, clock } = options;
  const kubeconfig = await signedKubeconfig(options);
  const cluster = parseKubeconfig(kubeconfig).clusters[0]?.cluster;
  const ca = Buffer.from(cluster?.['certificate-authority-data'] ?? '', 'base64').toString('utf8');
  if (cluster === undefined || certificatesOf(ca).length === 0)
    throw new JoinError('Cluster', `the information of the cluster at ${endpoint} names no authority: ${anew}`);
  checkPins(ca, options.caCertHashes);
  const { nowMs } = checkDates(ca, clock.nowMs());
  await verifyServer(endpoint, ca, nowMs);
  return { ca, server: cluster.server };
}

async function signedKubeconfig(options: DiscoveryOptions): Promise<string> {
  const { endpoint, token, clock, patienceMs = 4_000 } = options;
  const deadlineMs = clock.monotonicMs() + patienceMs;
  for (;;) {
    const { status, date, body } = await ask(endpoint, undefined);
    checkClock(endpoint, date, clock.nowMs());
    if (status === 401 || status === 403 || status === 404) {
      throw new JoinError(
        'Cluster',
        `${endpoint} answers ${status} to a question for its public information: it is no cluster of k8ts init or kubeadm init, or tokens are switched off there`,
      );
    }
    if (status !== 200)
      throw new JoinError('Port', `${endpoint} answers ${status}: its API server is not ready; try again`);
    const data = dataOf(body, endpoint);
    const signature = data[`jws-kubeconfig-${token.id}`];
    const { kubeconfig } = data;
    if (signature !== undefined && kubeconfig !== undefined) {
      if (isSignedWith(token, signature, kubeconfig)) return kubeconfig;
      throw new JoinError(
        'Token',
        `the token ${token.id}.… is known to ${endpoint}, with other sixteen characters at its end: look for a mistake, or make another ${anew}`,
      );
    }
    if (clock.monotonicMs() >= deadlineMs)
      throw new JoinError(
        'Token',
        `${endpoint} does not know the token ${token.id}.…: it has expired, was deleted, or has a mistake; make another ${anew}`,
      );
    await sleep(clock, lookEveryMs);
  }
}

function dataOf(body: string, endpoint: string): Readonly<Record<string, string>> {
  try {
    const { data } = JSON.parse(body) as { data?: Record<string, unknown> };
    return Object.fromEntries(
      Object.entries(data ?? {}).filter((one): one is [string, string] => typeof one[1] === 'string'),
    );
  } catch {
    throw new JoinError('Port', `what answers on ${endpoint} is no API server: check address and port`);
  }
}

function certificatesOf(pem: string) {
  try {
    return certificatesFromPem(pem);
  } catch {
    return [];
  }
}

function checkPins(ca: string, pins: readonly string[]): void {
  if (pins.length === 0) return;
  const found = caCertHash(ca);
  if (pins.some((pin) => pin.toLowerCase() === found)) return;
  throw new JoinError(
    'CA',
    `the cluster's CA has the hash ${found}, not ${pins.join(' or ')}: the wrong cluster answers, or the hash has a mistake; get the line anew ${anew}`,
  );
}

function checkClock(endpoint: string, date: string | undefined, nowMs: number): void {
  const theirsMs = date === undefined ? Number.NaN : Date.parse(date);
  if (Number.isNaN(theirsMs) || Math.abs(theirsMs - nowMs) <= mostSkewMs) return;
  throw clockError(
    `${endpoint} says it is ${new Date(theirsMs).toISOString()}, this machine's clock ${new Date(nowMs).toISOString()}`,
  );
}

function clockError(what: string): JoinError {
  return new JoinError(
    'Clock',
    `${what}: set the clock of the one that is wrong (a time service does: chrony, systemd-timesyncd)`,
  );
}

function checkDates(ca: string, nowMs: number): { nowMs: number } {
  const certificate = parseCertificate(ca);
  if (nowMs < certificate.notBeforeMs)
    throw clockError(
      `the cluster's CA begins ${new Date(certificate.notBeforeMs).toISOString()}, this machine's clock says ${new Date(nowMs).toISOString()}`,
    );
  if (nowMs > certificate.notAfterMs)
    throw new JoinError(
      'CA',
      `the cluster's CA ended ${new Date(certificate.notAfterMs).toISOString()} (or this machine's clock, ${new Date(nowMs).toISOString()}, is wrong)`,
    );
  return { nowMs };
}

async function verifyServer(endpoint: string, ca: string, nowMs: number): Promise<void> {
  try {
    await ask(endpoint, ca);
  } catch (error) {
    const { code = '' } = ((error as Error).cause ?? {}) as { code?: string };
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
      throw new JoinError(
        'Name',
        `the certificate of ${endpoint} is not for ${hostOf(endpoint)}: join by the address that the control plane advertises, or add this one there (init --apiserver-cert-extra-sans)`,
        { cause: error },
      );
    }
    if (code === 'CERT_NOT_YET_VALID' || code === 'CERT_HAS_EXPIRED')
      throw clockError(
        `the certificate of ${endpoint} does not count at ${new Date(nowMs).toISOString()}, the time of this machine's clock, or it has run out (k8ts certs check there)`,
      );
    if (/^(UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|CERT_SIGNATURE)/.test(code))
      throw new JoinError(
        'CA',
        `${endpoint} shows a certificate that the cluster's CA has not signed: something else answers there`,
        { cause: error },
      );
    throw error;
  }
}

interface Answer {
  readonly status: number;
  readonly date: string | undefined;
  readonly body: string;
}

/** One question over HTTP/1.1, without a client's credential. Without `ca` the server may be anyone. */
function ask(endpoint: string, ca: string | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(new JoinError('Port', `${endpoint} cannot be reached: ${reasonOf(error)}`, { cause: error }));
    const outgoing = request(`https://${endpoint}${clusterInfoPath}`, {
      ...(ca === undefined ? { rejectUnauthorized: false } : { ca }),
      agent: false,
      signal: AbortSignal.timeout(requestTimeoutMs),
      headers: { accept: 'application/json', 'user-agent': 'k8ts', connection: 'close' },
    });
    outgoing.on('error', fail);
    outgoing.on('response', (incoming) => {
      const parts: Buffer[] = [];
      let size = 0;
      incoming.on('data', (part: Buffer) => {
        size += part.length;
        if (size > largestAnswer) incoming.destroy(new Error('the answer is too long for a cluster’s information'));
        else parts.push(part);
      });
      incoming.on('error', fail);
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          date: incoming.headers.date,
          body: Buffer.concat(parts).toString('utf8'),
        }),
      );
    });
    outgoing.end();
  });
}

function reasonOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ECONNREFUSED':
      return 'nothing listens on that port; is the control plane running, and the port right (6443 unless said otherwise)?';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no way to that address; is it right, and on this network?';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'that name has no address';
    case 'ABORT_ERR':
    case 'ETIMEDOUT':
      return `no answer within ${requestTimeoutMs / 1000} s; does a firewall drop the port?`;
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return 'what listens there does not speak TLS; is the port right?';
    default:
      return messageOf(error);
  }
}

/** The line that makes another machine join. */
export function joinCommand(options: { endpoint: string; token: BootstrapToken; ca: string }): string {
  const { endpoint, token, ca } = options;
  return `k8ts join ${endpoint} --token ${tokenText(token)} --discovery-token-ca-cert-hash ${caCertHash(ca)}`;
}
