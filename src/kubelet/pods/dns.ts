import type { Pod } from '#api';

export interface ResolverConfig {
  readonly servers: string[];
  readonly searches: string[];
  readonly options: string[];
}

export interface DnsFacts {
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** The node's own resolv.conf. */
  readonly host: ResolverConfig;
}

const mostServers = 3;
const mostSearches = 32;
const longestSearch = 2048;

/** Reads resolv.conf(5); lines that are not understood are skipped. */
export function parseResolvConf(text: string): ResolverConfig {
  const config: ResolverConfig = { servers: [], searches: [], options: [] };
  for (const line of text.split('\n')) {
    const [word, ...values] = line.trim().split(/\s+/);
    if (word === 'nameserver' && values[0] !== undefined) config.servers.push(values[0]);
    if (word === 'search')
      config.searches.splice(0, Infinity, ...values.map((one) => (one === '.' ? one : one.replace(/\.$/, ''))));
    if (word === 'options') config.options.splice(0, Infinity, ...values);
  }
  return config;
}

/** What a pod's containers find in /etc/resolv.conf. */
export function podResolver(pod: Pod, facts: DnsFacts): ResolverConfig {
  const base = policyResolver(pod, facts);
  const own = pod.spec?.dnsConfig;
  if (own === undefined) return limited(base);
  return limited({
    servers: [...new Set([...base.servers, ...(own.nameservers ?? [])])],
    searches: [...new Set([...base.searches, ...(own.searches ?? [])])],
    options: mergedOptions(base.options, own.options ?? []),
  });
}

function policyResolver(pod: Pod, { clusterDns, clusterDomain, host }: DnsFacts): ResolverConfig {
  const policy = pod.spec?.dnsPolicy ?? 'ClusterFirst';
  if (policy === 'None') return { servers: [], searches: [], options: [] };
  const inCluster = policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && !pod.spec?.hostNetwork);
  if (!inCluster || clusterDns.length === 0) {
    return {
      servers: [...host.servers],
      searches: host.searches.filter((one) => one !== '.'),
      options: [...host.options],
    };
  }
  const cluster =
    clusterDomain === ''
      ? []
      : [`${pod.metadata.namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
  return {
    servers: [...clusterDns],
    searches: [...new Set([...cluster, ...host.searches.filter((one) => one !== '.')])],
    options: ['ndots:5'],
  };
}

function mergedOptions(
  base: readonly string[],
  own: readonly { readonly name?: string; readonly value?: string }[],
): string[] {
  const merged = new Map<string, string | undefined>();
  for (const option of base) {
    const [name = '', value] = option.split(':');
    merged.set(name, value);
  }
  for (const { name, value } of own) if (name) merged.set(name, value);
  return [...merged].map(([name, value]) => (value ? `${name}:${value}` : name));
}

function limited(config: ResolverConfig): ResolverConfig {
  const searches: string[] = [];
  let length = 0;
  for (const search of config.searches.slice(0, mostSearches)) {
    length += search.length + 1;
    if (length > longestSearch) break;
    searches.push(search);
  }
  return { servers: config.servers.slice(0, mostServers), searches, options: config.options };
}
