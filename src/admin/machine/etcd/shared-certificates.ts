import { createCipheriv, createDecipheriv } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { resource, type Secret } from '#api';
import { type Clock, CodedError, type Random } from '#base';
import type { Client } from '#client';
import { isForbidden, isNotFound } from '#machinery';
import { generateToken, joiningGroup } from '../bootstrap-token.ts';
import { createToken, ensure, secrets } from '../cluster-objects.ts';
import { writeAtomically } from '../files.ts';
import type { MachineLayout } from '../layout.ts';
import { configFile } from '../record.ts';

/** What every control plane of a cluster must have the same: by name in the Secret, kubeadm's names where it has them. */
const sharedFiles: Readonly<Record<string, string>> = {
  'ca.crt': 'ca.crt',
  'ca.key': 'ca.key',
  'front-proxy-ca.crt': 'front-proxy-ca.crt',
  'front-proxy-ca.key': 'front-proxy-ca.key',
  'sa.pub': 'sa.pub',
  'sa.key': 'sa.key',
  'etcd-ca.crt': 'etcd/ca.crt',
  'etcd-ca.key': 'etcd/ca.key',
  'external-etcd-ca.crt': 'external-etcd/ca.crt',
  'external-etcd.crt': 'external-etcd/client.crt',
  'external-etcd.key': 'external-etcd/client.key',
  'k8ts-external-etcd.servers': 'external-etcd/servers',
  'k8ts-encryption.key': 'encryption.key',
};
const name = 'kubeadm-certs';
const namespace = 'kube-system';
const ttlMs = 2 * 3_600_000;
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const anew = 'on a control plane: k8ts certs upload';

export function parseCertificateKey(text: string): Buffer {
  if (!/^[0-9a-fA-F]{64}$/.test(text))
    throw new CodedError('WrongUsage', `a certificate key is 64 hexadecimal digits; ${anew} prints one`);
  return Buffer.from(text, 'hex');
}

/** AES-256-GCM as kubeadm writes it: nonce, ciphertext, tag. */
export function sealFile(key: Uint8Array, text: Uint8Array, random: Random): Buffer {
  const nonce = random.bytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

/** Throws CodedError `CertificateKey` when the key is another one. */
export function openFile(key: Uint8Array, sealed: Uint8Array): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes));
    decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, sealed.length - tagBytes)), decipher.final()]);
  } catch (error) {
    throw new CodedError('CertificateKey', `the certificate key does not open the cluster's certificates: ${anew}`, {
      cause: error,
    });
  }
}

/** Puts what control planes share into a Secret, encrypted with a new key, for two hours. Returns the key. */
export async function uploadCertificates(options: {
  readonly layout: MachineLayout;
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
}): Promise<string> {
  const { layout, client, clock, random } = options;
  const key = random.bytes(keyBytes);
  const contents = new Map<string, Buffer>();
  for (const [entry, file] of Object.entries(sharedFiles)) {
    const path = join(layout.pkiDir, file);
    if (existsSync(path)) contents.set(entry, readFileSync(path));
  }
  for (const [entry, content] of externalEtcd(layout)) contents.set(entry, content);
  const data = Object.fromEntries(
    [...contents].map(([entry, content]) => [entry, sealFile(key, content, random).toString('base64')]),
  );
  // A token without use: when it ends, the Secret that it owns ends.
  const token = generateToken(random);
  await createToken(
    client,
    { token, ttlMs, usages: [], description: "holds the control planes' certificates" },
    clock.nowMs(),
  );
  const owner = await client.get<Secret>(secrets, `bootstrap-token-${token.id}`, { namespace });
  await client.delete(secrets, name, { namespace }).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
  });
  await client.create<Secret>(secrets, {
    metadata: {
      name,
      namespace,
      ownerReferences: [
        { apiVersion: 'v1', kind: 'Secret', name: owner.metadata.name, uid: owner.metadata.uid, controller: true },
      ],
    },
    data,
  });
  const role = 'kubeadm:kubeadm-certs';
  await ensure(client, resource('rbac.authorization.k8s.io/v1', 'roles'), {
    metadata: { name: role, namespace },
    rules: [{ apiGroups: [''], resources: ['secrets'], resourceNames: [name], verbs: ['get'] }],
  } as never);
  await ensure(client, resource('rbac.authorization.k8s.io/v1', 'rolebindings'), {
    metadata: { name: role, namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: role },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: joiningGroup }],
  } as never);
  return Buffer.from(key).toString('hex');
}

/** Where an etcd that somebody else runs is, and what opens it; nothing when the store is another one. */
function externalEtcd(layout: MachineLayout): [entry: string, content: Buffer][] {
  const { store, etcdTls, etcdMember } = JSON.parse(readFileSync(configFile(layout, 'server'), 'utf8')) as {
    store: string;
    etcdTls?: { ca: string; cert?: string; key?: string };
    etcdMember?: object;
  };
  if (!store.startsWith('etcd:') || etcdMember !== undefined) return [];
  const found: [string, Buffer][] = [['k8ts-external-etcd.servers', Buffer.from(store.slice(5))]];
  if (etcdTls !== undefined) found.push(['external-etcd-ca.crt', readFileSync(etcdTls.ca)]);
  if (etcdTls?.cert !== undefined) found.push(['external-etcd.crt', readFileSync(etcdTls.cert)]);
  if (etcdTls?.key !== undefined) found.push(['external-etcd.key', readFileSync(etcdTls.key)]);
  return found;
}

/** What a server is told of an etcd that somebody else runs; undefined when the cluster has its own. */
export function externalEtcdSettings(layout: MachineLayout, files: ReadonlyMap<string, Buffer>): object | undefined {
  const servers = files.get('external-etcd/servers')?.toString('utf8');
  if (servers === undefined) return undefined;
  const at = (name: string): string => join(layout.pkiDir, 'external-etcd', name);
  const has = (name: string): boolean => files.has(`external-etcd/${name}`);
  if (!has('ca.crt')) return { store: `etcd:${servers}` };
  return {
    store: `etcd:${servers}`,
    etcdTls: {
      ca: at('ca.crt'),
      ...(has('client.crt') ? { cert: at('client.crt') } : {}),
      ...(has('client.key') ? { key: at('client.key') } : {}),
    },
  };
}

/** Reads what control planes share. Nothing is written. Throws CodedError `CertificateKey`. */
export async function downloadCertificates(client: Client, key: Uint8Array): Promise<ReadonlyMap<string, Buffer>> {
  const secret = await client.get<Secret>(secrets, name, { namespace }).catch((error: unknown) => {
    if (!isNotFound(error) && !isForbidden(error)) throw error;
    throw new CodedError(
      'CertificateKey',
      `the cluster's certificates are not, or no longer, there to be read: ${anew}`,
      {
        cause: error,
      },
    );
  });
  const files = new Map<string, Buffer>();
  for (const [entry, text] of Object.entries(secret.data ?? {})) {
    const file = Object.hasOwn(sharedFiles, entry) ? sharedFiles[entry] : undefined;
    if (file !== undefined) files.set(file, openFile(key, Buffer.from(text, 'base64')));
  }
  return files;
}

export function writeCertificates(layout: MachineLayout, files: ReadonlyMap<string, Buffer>): void {
  for (const [file, text] of files)
    writeAtomically(join(layout.pkiDir, file), text.toString('utf8'), /\.(key)$/.test(file) ? 0o600 : 0o644);
}
