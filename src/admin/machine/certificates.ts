import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, CodedError } from '#base';
import { parseKubeconfig } from '#client';
import {
  authorityOf,
  type CertificateExpiry,
  certificateExpiry,
  type ClusterPki,
  issueCertificate,
  kubeconfigOf,
  openClusterPki,
  parsePrivateKey,
} from '#pki';
import { identitiesOf, writeIdentity, writeKubeletIdentity } from './host.ts';
import { type MachineLayout, machineLayout } from './layout.ts';
import { configFile, type MachineRecord, requireRecord } from './record.ts';
import { reloadServer, restartAgent } from './run-components.ts';

const authorities: Readonly<Record<string, string>> = {
  'front-proxy-client': 'front-proxy-ca',
  'apiserver-etcd-client': 'etcd-ca',
  'etcd/server': 'etcd-ca',
  'etcd/peer': 'etcd-ca',
  'etcd/healthcheck-client': 'etcd-ca',
};
const leaves = ['apiserver', 'apiserver-kubelet-client', ...Object.keys(authorities)];
const roots = ['ca', 'front-proxy-ca', 'etcd/ca'];

/** When each certificate of this machine ends. Nothing is written. */
export function checkCertificates(root: string, clock: Clock): CertificateExpiry[] {
  const layout = machineLayout(root);
  requireRecord(layout);
  const nowMs = clock.nowMs();
  const found: CertificateExpiry[] = [];
  const note = (name: string, authority: string, pem: string | undefined): void => {
    if (pem !== undefined) found.push(certificateExpiry(name, authority, pem, nowMs));
  };
  for (const [name, { file }] of Object.entries(identitiesOf(layout))) note(name, 'ca', certificateIn(file));
  for (const name of leaves) note(name, authorities[name] ?? 'ca', textOf(join(layout.pkiDir, `${name}.crt`)));
  note('kubelet client', 'ca', textOf(layout.clientCertificate));
  note('kubelet serving', 'ca', textOf(layout.servingCert));
  for (const name of roots) note(name, '', textOf(join(layout.pkiDir, `${name}.crt`)));
  return found;
}

function textOf(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

function certificateIn(kubeconfig: string): string | undefined {
  const text = textOf(kubeconfig);
  const data = text === undefined ? undefined : parseKubeconfig(text).users[0]?.user['client-certificate-data'];
  return data === undefined ? undefined : Buffer.from(data, 'base64').toString('utf8');
}

/** Names that `certs renew` takes. */
export const renewable = [
  'all',
  'admin.conf',
  'super-admin.conf',
  'controller-manager.conf',
  'scheduler.conf',
  'kubelet.conf',
  ...leaves,
];

/** Issues certificates again, by the names of `certs check`, and has the running parts take them. Returns the names. */
export async function renewCertificates(options: {
  readonly root: string;
  readonly names: readonly string[];
  readonly clock: Clock;
}): Promise<string[]> {
  const { clock, names } = options;
  const layout = machineLayout(options.root);
  const record = requireControlPlane(layout);
  const unknown = names.find((one) => !renewable.includes(one));
  if (unknown !== undefined)
    throw new CodedError(
      'WrongUsage',
      `${unknown} is no certificate of this machine: choose from ${renewable.join(', ')}`,
    );
  const isWanted = (name: string): boolean => names.includes('all') || names.includes(name);
  const renewed: string[] = [];
  for (const name of leaves) {
    const file = join(layout.pkiDir, `${name}.crt`);
    if (!isWanted(name) || !existsSync(file)) continue;
    rmSync(file);
    renewed.push(name);
  }
  const pki = openMachinePki(layout, record, clock);
  for (const [name, identity] of Object.entries(identitiesOf(layout))) {
    if (!isWanted(name) || !existsSync(identity.file)) continue;
    writeIdentity(pki, identity, clusterOf(identity.file));
    renewed.push(name);
  }
  if (isWanted('kubelet.conf')) {
    renewKubelet(layout, record, pki);
    await restartAgent(layout);
    renewed.push('kubelet.conf');
  }
  await reloadServer(layout);
  return renewed;
}

function requireControlPlane(layout: MachineLayout): MachineRecord {
  const record = requireRecord(layout);
  if (record.role === 'control-plane') return record;
  throw new CodedError(
    'NoControlPlane',
    "this machine is no control plane and has no certificate authority: its kubelet's certificates are renewed by themselves",
  );
}

/** The PKI of a control plane's machine, with the names that its API server has. */
function openMachinePki(layout: MachineLayout, record: MachineRecord, clock: Clock): ClusterPki {
  const server = JSON.parse(readFileSync(configFile(layout, 'server'), 'utf8')) as {
    clusterDomain: string;
    certificateNames?: string[];
    certificateAddresses?: string[];
  };
  return openClusterPki({
    dir: layout.pkiDir,
    clock,
    clusterDomain: server.clusterDomain,
    apiServerNames: server.certificateNames ?? [],
    apiServerAddresses: server.certificateAddresses ?? [],
    ...(existsSync(join(layout.pkiDir, 'etcd/ca.key'))
      ? { etcd: { names: [record.nodeName], addresses: [record.nodeIp] } }
      : {}),
  });
}

function clusterOf(kubeconfig: string): { name: string; server: string } {
  const [found] = parseKubeconfig(readFileSync(kubeconfig, 'utf8')).clusters;
  return { name: found?.name ?? 'kubernetes', server: found?.cluster.server ?? '' };
}

function renewKubelet(layout: MachineLayout, record: MachineRecord, pki: ClusterPki): void {
  const { nodeName } = record;
  const commonName = `system:node:${nodeName}`;
  const credential = pki.issue({ commonName, organizations: ['system:nodes'], usages: ['client'] });
  const { server } = clusterOf(layout.kubeletConf);
  writeKubeletIdentity({ layout, nodeName, server, ca: pki.ca.certificatePem, credential });
}

/** A kubeconfig for another user of the cluster, signed here. It holds a key, or the token given. */
export function userKubeconfig(options: {
  readonly root: string;
  readonly clientName: string;
  readonly organizations: readonly string[];
  readonly token?: string;
  readonly validityMs: number;
  readonly clock: Clock;
}): string {
  const { clientName, organizations, token, clock } = options;
  const layout = machineLayout(options.root);
  requireControlPlane(layout);
  const read = (name: string): string => readFileSync(join(layout.pkiDir, name), 'utf8');
  const ca = authorityOf(read('ca.crt'), read('ca.key'), parsePrivateKey(read('ca.key')).privateKey);
  const { name, server } = clusterOf(layout.adminConf);
  const common = { server, ca: ca.certificatePem, clusterName: name, user: clientName };
  if (token !== undefined) return kubeconfigOf({ ...common, token });
  const credential = issueCertificate(ca, {
    ...{ commonName: clientName, organizations, usages: ['client'] as const },
    ...{ days: options.validityMs / 86_400_000, nowMs: clock.nowMs() },
  });
  return kubeconfigOf({ ...common, clientCert: credential.certificatePem, clientKey: credential.keyPem });
}
