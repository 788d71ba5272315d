import { type ConfigMap, type KubeObject, type NewObject, type ResourceInfo, resource, type Secret } from '#api';
import type { Client } from '#client';
import { isAlreadyExists, isNotFound } from '#machinery';
import { parseClusterConfiguration, printClusterConfiguration } from './kubeadm-config.ts';
import { planTokenSecret, type TokenWishes } from './bootstrap-token.ts';
import type { ClusterSettings } from './settings.ts';

export const configMaps = resource('v1', 'configmaps');
export const secrets = resource('v1', 'secrets');

/** ConfigMap cluster-info in kube-public: the authority and the address of the API, for machines that trust nobody yet. */
export function planClusterInfo(options: { server: string; ca: string }): NewObject<ConfigMap> {
  const { server, ca } = options;
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: '', cluster: { 'certificate-authority-data': Buffer.from(ca).toString('base64'), server } }],
    contexts: [],
    'current-context': '',
    preferences: {},
    users: [],
  };
  return {
    metadata: { name: 'cluster-info', namespace: 'kube-public' },
    data: { kubeconfig: `${JSON.stringify(kubeconfig, null, 2)}\n` },
  };
}

/** ConfigMap kubeadm-config in kube-system: the cluster's settings, for machines that join, and the version that serves. */
export function planClusterConfig(
  settings: ClusterSettings,
  versions: { readonly kubernetes: string; readonly k8ts: string },
): NewObject<ConfigMap> {
  return {
    metadata: { name: 'kubeadm-config', namespace: 'kube-system' },
    data: {
      ClusterConfiguration: printClusterConfiguration(settings, versions.kubernetes),
      K8tsVersion: versions.k8ts,
    },
  };
}

export async function readClusterConfig(client: Client): Promise<{
  readonly settings: Partial<ClusterSettings>;
  readonly kubernetesVersion?: string;
  readonly k8tsVersion?: string;
}> {
  const { data } = await client.get<ConfigMap>(configMaps, 'kubeadm-config', { namespace: 'kube-system' });
  const k8tsVersion = data?.K8tsVersion;
  return {
    ...parseClusterConfiguration(data?.ClusterConfiguration ?? 'kind: ClusterConfiguration'),
    ...(k8tsVersion === undefined ? {} : { k8tsVersion }),
  };
}

/** Creates an object, or gives the one that is there these fields, without taking others away from it. */
export async function ensure<T extends KubeObject>(
  client: Client,
  kind: ResourceInfo,
  object: NewObject<T>,
): Promise<void> {
  try {
    await client.create<T>(kind, object);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const { name = '', namespace } = object.metadata;
    const { metadata: _, ...body } = object;
    await client.patch(kind, name, { type: 'merge', body }, namespace === undefined ? {} : { namespace });
  }
}

/** Makes a token valid; one of the same id is replaced. */
export async function createToken(client: Client, wishes: TokenWishes, nowMs: number): Promise<void> {
  const secret = planTokenSecret(wishes, nowMs);
  const name = secret.metadata.name as string;
  await client.delete(secrets, name, { namespace: 'kube-system' }).catch((error) => {
    if (!isNotFound(error)) throw error;
  });
  await client.create<Secret>(secrets, secret);
}
