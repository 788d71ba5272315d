import { readFileSync } from 'node:fs';
import { type ClusterPki, type Credential, kubeconfigOf } from '#pki';
import type { MachineLayout } from './layout.ts';
import { writeAtomically } from './files.ts';

/** The resolvers of this machine that pods can reach: those on loopback are not, so systemd's real list is read first. */
export function hostResolvers(): string[] {
  for (const file of ['/run/systemd/resolve/resolv.conf', '/etc/resolv.conf']) {
    try {
      const text = readFileSync(file, 'utf8');
      const found = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map((match) => match[1] as string);
      const reachable = found.filter((one) => !one.startsWith('127.') && !one.includes(':'));
      if (reachable.length > 0) return reachable;
    } catch {}
  }
  return [];
}

export interface Identity {
  readonly file: string;
  readonly user: string;
  readonly organizations: readonly string[];
}

/** The kubeconfigs that a control plane's machine has, by kubeadm's names. */
export function identitiesOf(layout: MachineLayout): Readonly<Record<string, Identity>> {
  return {
    'admin.conf': { file: layout.adminConf, user: 'kubernetes-admin', organizations: ['kubeadm:cluster-admins'] },
    'super-admin.conf': {
      file: layout.superAdminConf,
      user: 'kubernetes-super-admin',
      organizations: ['system:masters'],
    },
    'controller-manager.conf': {
      file: layout.controllerManagerConf,
      user: 'system:kube-controller-manager',
      organizations: [],
    },
    'scheduler.conf': { file: layout.schedulerConf, user: 'system:kube-scheduler', organizations: [] },
  };
}

/** Writes a kubeconfig with a new certificate of the cluster's authority in it. */
export function writeIdentity(pki: ClusterPki, identity: Identity, cluster: { name: string; server: string }): void {
  const { user, organizations, file } = identity;
  const credential = pki.issue({ commonName: user, organizations, usages: ['client'] });
  const text = kubeconfigOf({
    ...{ server: cluster.server, clusterName: cluster.name, user },
    ca: pki.ca.certificatePem,
    clientCert: credential.certificatePem,
    clientKey: credential.keyPem,
  });
  writeAtomically(file, text, 0o600);
}

/** Writes the kubelet's credential and the kubeconfig that names its file, so that it can be renewed there. */
export function writeKubeletIdentity(options: {
  readonly layout: MachineLayout;
  readonly nodeName: string;
  readonly server: string;
  readonly ca: string;
  readonly credential: Credential;
}): void {
  const { layout, nodeName, server, ca, credential } = options;
  writeAtomically(layout.clientCertificate, credential.certificatePem + credential.keyPem, 0o600);
  const text = kubeconfigOf({
    ...{ server, ca, clusterName: 'kubernetes', user: `system:node:${nodeName}` },
    clientCertFile: layout.clientCertificate,
    clientKeyFile: layout.clientCertificate,
  });
  writeAtomically(layout.kubeletConf, text, 0o600);
}
