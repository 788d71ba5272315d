import { runCommand } from '#base';
import type { HostRoute } from '#machinery';
import { type NodeWays, type TunnelDevice, tunnelName } from '../tunnel/plan-tunnel.ts';

interface LinkJson {
  readonly mtu?: number;
  readonly address?: string;
  readonly flags?: readonly string[];
  readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: Readonly<Record<string, unknown>> };
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[];
}

async function json<T>(program: string, ...args: string[]): Promise<T[]> {
  const { stdout, code } = await runCommand(program, ['-j', ...args], { okCodes: [0, 1, 255] });
  return code !== 0 || stdout.trim() === '' ? [] : (JSON.parse(stdout) as T[]);
}

/** The main routing table. */
export function readHostRoutes(): Promise<HostRoute[]> {
  return json<HostRoute>('ip', '-4', 'route', 'show', 'table', 'main');
}

/** Bytes that fit in a packet on the link; 1500 when it cannot be read. */
export async function readMtu(device: string): Promise<number> {
  const [link] = await json<LinkJson>('ip', 'link', 'show', 'dev', device);
  return link?.mtu ?? 1500;
}

/** The ways to other nodes' pods that the kernel has: our routes (protocol 118), and the tunnel with its entries. */
export async function observeWays(hostRoutes: readonly HostRoute[]): Promise<NodeWays> {
  const routes = new Map<string, { via: string; tunnel: boolean }>();
  for (const { dst, gateway, dev, protocol } of hostRoutes)
    if (dst !== undefined && gateway !== undefined && protocol === '118')
      routes.set(dst, { via: gateway, tunnel: dev === tunnelName });
  const [link] = await json<LinkJson>('ip', '-d', '-4', 'address', 'show', 'dev', tunnelName);
  if (link === undefined) return { routes, neighbours: new Map(), forwards: new Map() };
  const [entries, neighbours] = await Promise.all([
    json<{ mac?: string; dst?: string }>('bridge', 'fdb', 'show', 'dev', tunnelName),
    json<{ dst?: string; lladdr?: string; state?: string[] }>('ip', '-4', 'neighbour', 'show', 'dev', tunnelName),
  ]);
  return {
    device: deviceOf(link),
    routes,
    neighbours: new Map(
      neighbours.flatMap(({ dst, lladdr, state }) =>
        dst !== undefined && lladdr !== undefined && state?.includes('PERMANENT') ? [[dst, lladdr] as const] : [],
      ),
    ),
    forwards: new Map(
      entries.flatMap(({ mac, dst }) => (mac !== undefined && dst !== undefined ? [[mac, dst] as const] : [])),
    ),
  };
}

/** One that is not as we make it (not up, of another kind) differs from every wanted one, and is made anew. */
function deviceOf(link: LinkJson): TunnelDevice {
  const { info_kind: kind, info_data: data = {} } = link.linkinfo ?? {};
  const whole = kind === 'vxlan' && data.id === 118 && data.port === 4789 && link.flags?.includes('UP') === true;
  return {
    local: whole ? String(data.local ?? '') : '',
    hardware: link.address ?? '',
    mtu: link.mtu ?? 0,
    address: link.addr_info?.[0]?.local ?? '',
  };
}
