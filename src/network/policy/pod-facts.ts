import type { Pod } from '#api';
import type { PolicyProtocol } from './plan-policies.ts';

/** All that a policy asks of a pod. */
export interface PodFacts {
  readonly uid: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly string[];
  readonly ports: readonly { readonly name: string; readonly protocol: PolicyProtocol; readonly port: number }[];
}

const ipv4 = /^\d{1,3}(\.\d{1,3}){3}$/;

/**
 * What policies see of a pod, with addresses that the API may not know yet; undefined for those that no policy is about: pods in the
 * node's own network, pods that have ended, pods without an address.
 */
export function podFacts(pod: Pod, early: readonly string[] = []): PodFacts | undefined {
  const { spec, status, metadata } = pod;
  if (spec?.hostNetwork === true || status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined;
  const known = [...(status?.podIPs ?? []).map(({ ip }) => ip), status?.podIP ?? '', ...early];
  const addresses = [...new Set(known)].filter((one) => ipv4.test(one));
  if (addresses.length === 0) return undefined;
  const ports = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])]
    .flatMap(({ ports: declared }) => declared ?? [])
    .flatMap(({ name, protocol, containerPort }) =>
      name ? [{ name, protocol: (protocol ?? 'TCP').toLowerCase() as PolicyProtocol, port: containerPort }] : [],
    );
  return { uid: metadata.uid, namespace: metadata.namespace ?? '', labels: metadata.labels ?? {}, addresses, ports };
}
