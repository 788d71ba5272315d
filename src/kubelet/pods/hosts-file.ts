import type { HostAlias, Pod } from '#api';

export interface HostsFileInput {
  readonly pod: Pod;
  readonly podIps: readonly string[];
  readonly hostname: string;
  /** `<subdomain>.<namespace>.svc.<domain>` for a pod with a subdomain. */
  readonly domain?: string;
  /** The node's own file, for pods on the host's network. */
  readonly hostFile: string;
}

/** The /etc/hosts that the kubelet keeps for a pod. */
export function hostsFile(input: HostsFileInput): string {
  const { pod, podIps, hostname, domain, hostFile } = input;
  const aliases = aliasLines(pod.spec?.hostAliases ?? []);
  if (pod.spec?.hostNetwork) return `# Kubernetes-managed hosts file (host network).\n${hostFile}${aliases}`;
  const names = domain === undefined ? hostname : `${hostname}.${domain}\t${hostname}`;
  return [
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::0\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    ...podIps.map((ip) => `${ip}\t${names}`),
    aliases,
  ].join('\n');
}

function aliasLines(aliases: readonly HostAlias[]): string {
  if (aliases.length === 0) return '';
  const lines = aliases.map(({ ip, hostnames = [] }) => `${ip}\t${hostnames.join('\t')}`);
  return `\n# Entries added by HostAliases.\n${lines.join('\n')}\n`;
}

/** Name and domain that a pod answers to inside: hostname and subdomain of its spec, its own name else. */
export function podHostname(pod: Pod, clusterDomain: string): { readonly hostname: string; readonly domain?: string } {
  const { hostname: named, subdomain, hostnameOverride } = pod.spec ?? { containers: [] };
  if (hostnameOverride) return { hostname: hostnameOverride };
  const hostname = named || pod.metadata.name.slice(0, 63).replace(/[-.]+$/, '');
  return subdomain ? { hostname, domain: `${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}` } : { hostname };
}

/** What hostname(1) prints in the pod's containers. At most 64 bytes, the kernel's limit. */
export function kernelHostname(pod: Pod, clusterDomain: string): string {
  const { hostname, domain } = podHostname(pod, clusterDomain);
  return pod.spec?.setHostnameAsFQDN && domain !== undefined ? `${hostname}.${domain}` : hostname;
}
