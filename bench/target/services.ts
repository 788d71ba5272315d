import { type EndpointSlice, type KubeObject, resource, type Service } from '#api';

export const serviceResource = resource('v1', 'services');
export const sliceResource = resource('discovery.k8s.io/v1', 'endpointslices');

const address = (network: number, index: number): string =>
  `10.${network + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

/** Service number `index` with one TCP port, as the API server would return it. */
export function aService(index: number): Service {
  const clusterIP = address(96, index + 256);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadataOf(`service-${index}`),
    spec: {
      type: 'ClusterIP',
      clusterIP,
      clusterIPs: [clusterIP],
      ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 }],
    },
  } as unknown as Service;
}

/** Its two endpoints; `round` moves them to other addresses. */
export function aSlice(index: number, round = 0): EndpointSlice {
  const endpoint = (which: number): object => ({
    addresses: [address(128 + which * 8, index + 256 + round * 20_000)],
    conditions: { ready: true, serving: true, terminating: false },
    nodeName: `node-${index % 100}`,
  });
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...metadataOf(`service-${index}-x`), labels: { 'kubernetes.io/service-name': `service-${index}` } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: [endpoint(0), endpoint(1)],
  } as unknown as EndpointSlice;
}

function metadataOf(name: string): KubeObject['metadata'] {
  return {
    name,
    namespace: 'default',
    uid: name,
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
  } as KubeObject['metadata'];
}
