import type { Endpoints, EndpointSlice, ObjectMeta, Service } from '#api';
import type { ServerObjects } from '../contract.ts';
import { parseAddressRange } from '../resources/services/address-range.ts';
import { put, read } from './put.ts';

const namespace = 'default';
const name = 'kubernetes';
const httpsPort = 443;

/** Makes, and keeps right, the Service under which pods reach the servers, with its Endpoints and EndpointSlice. */
export async function keepKubernetesService(options: {
  readonly objects: ServerObjects;
  readonly range: string;
  readonly advertise: { readonly address: string; readonly port: number };
  /** Of all servers; default: this one's alone. */
  readonly addresses?: readonly string[];
}): Promise<void> {
  const { objects, range, advertise, addresses = [advertise.address] } = options;
  const transport = objects.transport();
  const clusterIp = parseAddressRange(range).addressAt(1);
  const family = clusterIp.includes(':') ? 'IPv6' : 'IPv4';
  const meta = (labels: Record<string, string>): ObjectMeta => ({ name, namespace, labels }) as unknown as ObjectMeta;
  const service: Partial<Service> & { metadata: ObjectMeta } = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: meta({ component: 'apiserver', provider: 'kubernetes' }),
    spec: {
      clusterIP: clusterIp,
      clusterIPs: [clusterIp],
      ipFamilies: [family],
      ipFamilyPolicy: 'SingleStack',
      type: 'ClusterIP',
      sessionAffinity: 'None',
      ports: [{ name: 'https', port: httpsPort, protocol: 'TCP', targetPort: advertise.port }],
    },
  };
  const ports = [{ name: 'https', port: advertise.port, protocol: 'TCP' }];
  const endpoints: Partial<Endpoints> & { metadata: ObjectMeta } = {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: meta({ 'endpointslice.kubernetes.io/skip-mirror': 'true' }),
    subsets: [{ addresses: addresses.map((ip) => ({ ip })), ports }],
  };
  const slice: Partial<EndpointSlice> & { metadata: ObjectMeta } = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: meta({ 'kubernetes.io/service-name': name }),
    addressType: advertise.address.includes(':') ? 'IPv6' : 'IPv4',
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    ports,
  };
  const services = `/api/v1/namespaces/${namespace}/services`;
  const found = await read(transport, `${services}/${name}`);
  if (found === undefined) await put(transport, services, service as object as { metadata: ObjectMeta }, false);
  await Promise.all([
    put(transport, `/api/v1/namespaces/${namespace}/endpoints`, endpoints as object as { metadata: ObjectMeta }, true),
    put(
      transport,
      `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
      slice as object as { metadata: ObjectMeta },
      true,
    ),
  ]);
}
