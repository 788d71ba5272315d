import { nodeLocalAnnotation, resource, type Service } from '#api';
import type { Client } from '#client';
import { isAlreadyExists, isNotFound } from '#machinery';
import type { ServerConfiguration } from './server-configuration.ts';

/** Objects that every cluster has beside those of the API server: the Service that names the cluster's DNS. */
export async function installAddons(client: Client, configuration: ServerConfiguration): Promise<void> {
  const services = resource('v1', 'services');
  const present = await client.get<Service>(services, 'kube-dns', { namespace: 'kube-system' }).catch((error) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (present !== undefined) return;
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
    .catch((error) => {
      if (!isAlreadyExists(error)) throw error;
    });
}
