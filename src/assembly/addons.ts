import {
  type IngressClass,
  ingressControllerName,
  nodeLocalAnnotation,
  resource,
  type Service,
  type StorageClass,
} from '#api';
import type { Client } from '#client';
import { isAlreadyExists, isNotFound } from '#machinery';
import type { ServerConfiguration } from './server-configuration.ts';

/**
 * Objects that every cluster has at first beside those of the API server: the Service that names the cluster's DNS, default
 * classes of storage and Ingress. Whoever deletes a class later is not given it back.
 */
export async function installAddons(client: Client, configuration: ServerConfiguration): Promise<void> {
  const services = resource('v1', 'services');
  const present = await client.get<Service>(services, 'kube-dns', { namespace: 'kube-system' }).catch((error) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (present !== undefined) return;
  await client.create<StorageClass>(resource('storage.k8s.io/v1', 'storageclasses'), localClass).catch(unlessThere);
  await client
    .create<IngressClass>(resource('networking.k8s.io/v1', 'ingressclasses'), ingressClass)
    .catch(unlessThere);
  await client
    .create<Service>(services, {
      metadata: {
        name: 'kube-dns',
        namespace: 'kube-system',
        labels: { 'k8s-app': 'kube-dns', 'kubernetes.io/cluster-service': 'true', 'kubernetes.io/name': 'KubeDNS' },
        annotations: { [nodeLocalAnnotation]: 'true' },
      },
      spec: {
        clusterIP: configuration.clusterDns,
        ports: [
          { name: 'dns', port: 53, protocol: 'UDP', targetPort: 53 },
          { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 53 },
        ],
      },
    })
    .catch(unlessThere);
}

/** Directories of the node that a pod is given to: data stay on that node, and go with their claim. */
const localClass = {
  metadata: { name: 'local', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: 'k8ts.io/local',
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'WaitForFirstConsumer',
  allowVolumeExpansion: true,
};

/** Served by the nodes themselves. */
const ingressClass = {
  metadata: { name: 'k8ts', annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
  spec: { controller: ingressControllerName },
};

function unlessThere(error: unknown): void {
  if (!isAlreadyExists(error)) throw error;
}
