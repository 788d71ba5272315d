import { isIP } from 'node:net';
import type { ConfigMap } from '#api';

/** A resolver: address, and port if it is not 53. */
export interface Upstream {
  readonly address: string;
  readonly port: number;
}

/** Whom questions about names outside the cluster go to. */
export interface DnsSettings {
  /** Domain → its own resolvers. */
  readonly stubDomains: ReadonlyMap<string, readonly Upstream[]>;
  /** Absent: those of the machine. */
  readonly upstreams?: readonly Upstream[];
}

export const noSettings: DnsSettings = { stubDomains: new Map() };

/** Where settings are: ConfigMap kube-dns in kube-system, keys `stubDomains` and `upstreamNameservers`, both JSON. */
export const settingsName = 'kube-dns';
export const settingsNamespace = 'kube-system';

const mostDomains = 256;
const mostUpstreams = 8;
const domainPattern =
  /^(?=.{1,253}$)([a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?)(\.[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?)*$/;

/**
 * Reads the ConfigMap. What cannot be read is left out and named in `problems`; the rest holds.
 *
 *   stubDomains: {"corp.example": ["10.0.0.53"], "lab.example": ["10.0.0.54:5353"]}
 *   upstreamNameservers: ["10.0.0.53"]
 */
export function parseSettings(map: ConfigMap | undefined): { settings: DnsSettings; problems: string[] } {
  const problems: string[] = [];
  const stubDomains = new Map<string, readonly Upstream[]>();
  const domains = parseJson(map?.data?.stubDomains, 'stubDomains', problems);
  if (domains !== undefined && (typeof domains !== 'object' || domains === null || Array.isArray(domains)))
    problems.push('stubDomains is no JSON object');
  else
    for (const [name, value] of Object.entries((domains ?? {}) as object).slice(0, mostDomains)) {
      const domain = name.toLowerCase().replace(/\.$/, '');
      const upstreams = parseUpstreams(value, `stubDomains: ${name}`, problems);
      if (!domainPattern.test(domain)) problems.push(`stubDomains: "${name}" is no domain`);
      else if (upstreams.length > 0) stubDomains.set(domain, upstreams);
    }
  const found = parseJson(map?.data?.upstreamNameservers, 'upstreamNameservers', problems);
  const upstreams = found === undefined ? [] : parseUpstreams(found, 'upstreamNameservers', problems);
  return { settings: { stubDomains, ...(upstreams.length > 0 ? { upstreams } : {}) }, problems };
}

function parseJson(text: string | undefined, key: string, problems: string[]): unknown {
  if (text === undefined || text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    problems.push(`${key} is no JSON`);
    return undefined;
  }
}

function parseUpstreams(value: unknown, where: string, problems: string[]): Upstream[] {
  const list = Array.isArray(value) ? value : [];
  if (!Array.isArray(value)) problems.push(`${where}: a list of addresses is wanted`);
  return list.slice(0, mostUpstreams).flatMap((one) => {
    const found = typeof one === 'string' ? parseUpstream(one) : undefined;
    if (found === undefined) problems.push(`${where}: ${JSON.stringify(one)} is no address`);
    return found ?? [];
  });
}

/** `10.0.0.53`, `10.0.0.53:5353`, `fd00::53`, `[fd00::53]:5353`. */
export function parseUpstream(text: string): Upstream | undefined {
  const trimmed = text.trim();
  if (isIP(trimmed) !== 0) return { address: trimmed, port: 53 };
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(trimmed);
  const address = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  return isIP(address) !== 0 && port > 0 && port < 65_536 ? { address, port } : undefined;
}

/** The resolvers for a name: those of the longest stub domain it lies in, else the usual ones. */
export function upstreamsFor(name: string, settings: DnsSettings, usual: readonly Upstream[]): readonly Upstream[] {
  for (let rest = name; rest !== ''; ) {
    const found = settings.stubDomains.get(rest);
    if (found !== undefined) return found;
    const dot = rest.indexOf('.');
    rest = dot < 0 ? '' : rest.slice(dot + 1);
  }
  return settings.upstreams ?? usual;
}
