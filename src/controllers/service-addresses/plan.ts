import { isIPv6 } from 'node:net';
import type { IPAddress, Service } from '#api';

const managedBy = 'ipaddress.kubernetes.io/managed-by';
const allocator = 'ipallocator.k8s.io';

/** The cluster addresses that a Service holds. */
export function addressesOf({ spec }: Service): string[] {
  if (spec?.type === 'ExternalName') return [];
  const held = spec?.clusterIPs ?? (spec?.clusterIP ? [spec.clusterIP] : []);
  return held.filter((one) => one !== '' && one !== 'None');
}

/** Whether an IPAddress is one that is made for a Service; others are their makers'. */
export function isOwn({ metadata }: IPAddress): boolean {
  return metadata.labels?.[managedBy] === allocator;
}

/** The Service that an IPAddress names, as `namespace/name`. */
export function ownerOf({ spec }: IPAddress): string {
  return `${spec?.parentRef?.namespace ?? ''}/${spec?.parentRef?.name ?? ''}`;
}

/** The IPAddress for an address of a Service, with upstream's labels. */
export function plannedAddress(name: string, { metadata }: Service) {
  return {
    metadata: {
      name,
      labels: { 'ipaddress.kubernetes.io/ip-family': isIPv6(name) ? 'IPv6' : 'IPv4', [managedBy]: allocator },
    },
    spec: {
      parentRef: { group: '', resource: 'services', namespace: metadata.namespace ?? '', name: metadata.name },
    },
  };
}
