import type { KeyObject } from 'node:crypto';
import type { Clock } from '#base';
import { coversNames } from './alternative-names.ts';
import {
  type Authority,
  authorityOf,
  type CertificateOptions,
  type Credential,
  createAuthority,
  issueCertificate,
  parseCertificate,
} from './certificate.ts';
import { UntrustedError } from './errors.ts';
import { type Files, openFiles } from './files.ts';
import { generateKey, parsePrivateKey, parsePublicKey, privateKeyPem, publicKeyPem } from './keys.ts';

export interface ClusterPkiOptions {
  /** Directory of the PKI (kubeadm: /etc/kubernetes/pki); made with mode 0700. Absent: nothing is written. */
  readonly dir?: string;
  readonly clock: Clock;
  /** Names and addresses of the API server beside `kubernetes.default.svc` and its kin, localhost and the loopbacks. */
  readonly apiServerNames?: readonly string[];
  readonly apiServerAddresses?: readonly string[];
  /** Default cluster.local. */
  readonly clusterDomain?: string;
  /** Also make the authority and certificates of an etcd of the cluster's own. */
  readonly etcd?: { readonly names: readonly string[]; readonly addresses: readonly string[] };
  readonly certificateDays?: number;
  readonly authorityDays?: number;
}

/** The keys and certificates of one cluster. */
export interface ClusterPki {
  readonly ca: Authority;
  readonly frontProxyCa: Authority;
  readonly etcdCa?: Authority;
  /** Signs service-account tokens. */
  readonly serviceAccountKey: KeyObject;
  /** Checks them; more than one while keys are being changed. */
  readonly serviceAccountPublicKeys: readonly KeyObject[];
  /** The leaf certificates by file name without ending: `apiserver`, `front-proxy-client`, `etcd/server` … as they are now. */
  credential(name: LeafName): Credential;
  /** A client or serving certificate of the cluster's authority, valid one year unless said. Nothing is written. */
  issue(options: Omit<CertificateOptions, 'nowMs' | 'days'> & { readonly days?: number }): Credential;
  /** Issues again each leaf in the last third of its life, or all of them; returns the names of those. */
  renew(options?: { readonly all?: boolean }): LeafName[];
  expiry(): CertificateExpiry[];
}

export interface CertificateExpiry {
  readonly name: string;
  readonly authority: string;
  readonly isAuthority: boolean;
  readonly expiresMs: number;
  readonly residualMs: number;
}

export type LeafName =
  | 'apiserver'
  | 'apiserver-kubelet-client'
  | 'front-proxy-client'
  | 'apiserver-etcd-client'
  | 'etcd/server'
  | 'etcd/peer'
  | 'etcd/healthcheck-client';

type AuthorityName = 'ca' | 'front-proxy-ca' | 'etcd/ca';

interface Leaf {
  readonly ca: AuthorityName;
  readonly commonName: string;
  readonly usages: readonly ('client' | 'server')[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

const dayMs = 86_400_000;

/**
 * Opens a cluster's PKI in kubeadm's layout: loads what is there, makes what is missing, issues again the leaves that run out,
 * lack a name, or were signed by another authority. An authority whose key is elsewhere is an error only when it must sign.
 */
export function openClusterPki(options: ClusterPkiOptions): ClusterPki {
  const { clock, certificateDays = 365, authorityDays = 3650 } = options;
  const files = openFiles(options.dir);
  const authorities = new Map<AuthorityName, Authority>();
  const commonNames: Readonly<Record<AuthorityName, string>> = {
    ca: 'kubernetes',
    'front-proxy-ca': 'front-proxy-ca',
    'etcd/ca': 'etcd-ca',
  };
  const wanted: AuthorityName[] =
    options.etcd === undefined ? ['ca', 'front-proxy-ca'] : ['ca', 'front-proxy-ca', 'etcd/ca'];
  for (const name of wanted) {
    authorities.set(
      name,
      loadAuthority(files, name) ??
        makeAuthority(files, name, { commonName: commonNames[name], days: authorityDays, nowMs: clock.nowMs() }),
    );
  }
  const authority = (name: AuthorityName): Authority => authorities.get(name) as Authority;
  const leaves = leafTable(options);
  const credentials = new Map<LeafName, Credential>();
  const issueLeaf = (name: LeafName, leaf: Leaf): void => {
    const credential = issueCertificate(authority(leaf.ca), { ...leaf, days: certificateDays, nowMs: clock.nowMs() });
    files.write(`${name}.key`, credential.keyPem, 0o600);
    files.write(`${name}.crt`, credential.certificatePem, 0o644);
    credentials.set(name, credential);
  };
  for (const [name, leaf] of leaves) {
    const found = loadCredential(files, name);
    if (found !== undefined && fits(found, leaf, authority(leaf.ca), clock.nowMs())) credentials.set(name, found);
    else issueLeaf(name, leaf);
  }
  const serviceAccount = openServiceAccountKey(files);
  const etcdCa = authorities.get('etcd/ca');
  return {
    ca: authority('ca'),
    frontProxyCa: authority('front-proxy-ca'),
    ...(etcdCa === undefined ? {} : { etcdCa }),
    ...serviceAccount,
    credential(name) {
      const credential = credentials.get(name);
      if (credential === undefined) throw new UntrustedError(`this cluster has no certificate ${name}`);
      return credential;
    },
    issue: (request) =>
      issueCertificate(authority('ca'), { ...request, days: request.days ?? certificateDays, nowMs: clock.nowMs() }),
    renew({ all = false } = {}) {
      const due = [...leaves].filter(
        ([name, leaf]) => all || !fits(credentials.get(name) as Credential, leaf, authority(leaf.ca), clock.nowMs()),
      );
      for (const [name, leaf] of due) issueLeaf(name, leaf);
      return due.map(([name]) => name);
    },
    expiry: () => [
      ...[...leaves].map(([name, leaf]) =>
        certificateExpiry(name, leaf.ca, (credentials.get(name) as Credential).certificatePem, clock.nowMs()),
      ),
      ...wanted.map((name) => certificateExpiry(name, '', authority(name).certificatePem, clock.nowMs())),
    ],
  };
}

/** When a certificate ends, as `certs check` shows it. */
export function certificateExpiry(
  name: string,
  authority: string,
  certificatePem: string,
  nowMs: number,
): CertificateExpiry {
  const certificate = parseCertificate(certificatePem);
  return {
    name,
    authority,
    isAuthority: certificate.isCa,
    expiresMs: certificate.notAfterMs,
    residualMs: certificate.notAfterMs - nowMs,
  };
}

function leafTable(options: ClusterPkiOptions): ReadonlyMap<LeafName, Leaf> {
  const domain = options.clusterDomain ?? 'cluster.local';
  const server: Leaf = {
    ca: 'ca',
    commonName: 'kube-apiserver',
    usages: ['server'],
    dnsNames: [
      ...new Set([
        'kubernetes',
        'kubernetes.default',
        'kubernetes.default.svc',
        `kubernetes.default.svc.${domain}`,
        'localhost',
        ...(options.apiServerNames ?? []),
      ]),
    ],
    ipAddresses: [...new Set(['127.0.0.1', '::1', ...(options.apiServerAddresses ?? [])])],
  };
  const table = new Map<LeafName, Leaf>([
    ['apiserver', server],
    ['apiserver-kubelet-client', { ca: 'ca', commonName: 'kube-apiserver-kubelet-client', usages: ['client'] }],
    ['front-proxy-client', { ca: 'front-proxy-ca', commonName: 'front-proxy-client', usages: ['client'] }],
  ]);
  if (options.etcd !== undefined) {
    const own = {
      ca: 'etcd/ca',
      dnsNames: ['localhost', ...options.etcd.names],
      ipAddresses: ['127.0.0.1', '::1', ...options.etcd.addresses],
    } as const;
    table.set('apiserver-etcd-client', { ca: 'etcd/ca', commonName: 'kube-apiserver-etcd-client', usages: ['client'] });
    table.set('etcd/healthcheck-client', {
      ca: 'etcd/ca',
      commonName: 'kube-etcd-healthcheck-client',
      usages: ['client'],
    });
    table.set('etcd/server', { ...own, commonName: 'etcd-server', usages: ['server', 'client'] });
    table.set('etcd/peer', { ...own, commonName: 'etcd-peer', usages: ['server', 'client'] });
  }
  return table;
}

function loadCredential(files: Files, name: string): Credential | undefined {
  const certificatePem = files.read(`${name}.crt`);
  const keyPem = files.read(`${name}.key`);
  return certificatePem === undefined || keyPem === undefined ? undefined : { certificatePem, keyPem };
}

function loadAuthority(files: Files, name: AuthorityName): Authority | undefined {
  const found = loadCredential(files, name);
  if (found !== undefined)
    return authorityOf(found.certificatePem, found.keyPem, parsePrivateKey(found.keyPem).privateKey);
  if (files.read(`${name}.crt`) !== undefined)
    throw new UntrustedError(
      `${name}.crt is there without ${name}.key: put the key beside it, or remove both to make new ones`,
    );
  return undefined;
}

function makeAuthority(
  files: Files,
  name: AuthorityName,
  options: { commonName: string; days: number; nowMs: number },
): Authority {
  const authority = createAuthority(options);
  files.write(`${name}.key`, authority.keyPem, 0o600);
  files.write(`${name}.crt`, authority.certificatePem, 0o644);
  return authority;
}

function fits(credential: Credential, leaf: Leaf, authority: Authority, nowMs: number): boolean {
  const certificate = parseCertificate(credential.certificatePem);
  const lifeMs = certificate.notAfterMs - certificate.notBeforeMs;
  const authorityEnds = certificate.notAfterMs >= authority.certificate.notAfterMs - dayMs;
  return (
    Buffer.compare(certificate.issuer.raw, authority.certificate.subject.raw) === 0 &&
    (certificate.notAfterMs - nowMs > lifeMs / 3 || (authorityEnds && certificate.notAfterMs > nowMs)) &&
    coversNames(certificate.names, leaf)
  );
}

function openServiceAccountKey(files: Files): Pick<ClusterPki, 'serviceAccountKey' | 'serviceAccountPublicKeys'> {
  const pem = files.read('sa.key');
  const pair = pem === undefined ? generateKey() : parsePrivateKey(pem);
  if (pem === undefined) files.write('sa.key', privateKeyPem(pair.privateKey), 0o600);
  const published = files.read('sa.pub');
  const own = publicKeyPem(pair.publicKey);
  if (published === undefined || pem === undefined) files.write('sa.pub', own, 0o644);
  const others =
    pem === undefined || published === undefined
      ? []
      : publicKeysOf(published).filter((key) => publicKeyPem(key) !== own);
  return { serviceAccountKey: pair.privateKey, serviceAccountPublicKeys: [pair.publicKey, ...others] };
}

/** Every `PUBLIC KEY` block of a PEM text: older keys stay valid while they stand in sa.pub. */
function publicKeysOf(text: string): KeyObject[] {
  return (text.match(/-----BEGIN [A-Z ]*PUBLIC KEY-----[^-]+-----END [A-Z ]*PUBLIC KEY-----/g) ?? []).map(
    parsePublicKey,
  );
}
