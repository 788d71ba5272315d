import { runCommand } from '#base';
import { bridgeName, type ClusterLayout, type NodeLayout } from './layout.ts';
import { type ClusterState, type NodeState, nodeAddress } from './state.ts';

type Step = readonly string[];

/** The commands that make the link of a cluster: one bridge with the address .1, which is the nodes' way to this machine. */
export function planLink(cluster: Pick<ClusterState, 'name' | 'link'>): Step[] {
  const bridge = bridgeName(cluster.name);
  return [
    ['ip', 'link', 'add', bridge, 'type', 'bridge'],
    ['ip', 'address', 'add', `172.29.${cluster.link}.1/24`, 'dev', bridge],
    ['ip', 'link', 'set', bridge, 'up'],
  ];
}

/** The commands that give a node its network namespace and cable. An isolated one gets no default route. */
export function planNodeLink(state: ClusterState, node: NodeState, layout: NodeLayout): Step[] {
  const steps: Step[] = [
    ['ip', 'netns', 'add', layout.netns],
    ['ip', 'link', 'add', layout.veth, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', layout.netns],
    ['ip', 'link', 'set', layout.veth, 'master', bridgeName(state.name), 'up'],
    ['ip', '-n', layout.netns, 'address', 'add', `${nodeAddress(state, node)}/24`, 'dev', 'eth0'],
    ['ip', '-n', layout.netns, 'link', 'set', 'lo', 'up'],
    ['ip', '-n', layout.netns, 'link', 'set', 'eth0', 'up'],
  ];
  if (!state.isolated) {
    steps.push(['ip', '-n', layout.netns, 'route', 'add', 'default', 'via', `172.29.${state.link}.1`]);
  }
  return steps;
}

/** The one nftables table on the host: lets the nodes of a cluster that is not isolated out through this machine. */
export function uplinkRules(state: Pick<ClusterState, 'name' | 'link'>): string {
  const table = `k8ts_${bridgeName(state.name)}`;
  const bridge = bridgeName(state.name);
  return [
    `table ip ${table} {}`,
    `delete table ip ${table}`,
    `table ip ${table} {`,
    `  chain postrouting { type nat hook postrouting priority srcnat; ip saddr 172.29.${state.link}.0/24 oifname != "${bridge}" masquerade; }`,
    `  chain forward { type filter hook forward priority filter; iifname "${bridge}" accept; oifname "${bridge}" ct state established,related accept; }`,
    '}',
    '',
  ].join('\n');
}

export async function makeLink(state: ClusterState): Promise<void> {
  const existing = await runCommand('ip', ['link', 'show', bridgeName(state.name)], { okCodes: [0, 1] });
  if (existing.code !== 0) for (const step of planLink(state)) await runStep(step);
  if (!state.isolated) {
    await runCommand('nft', ['-f', '-'], { input: uplinkRules(state) });
    await runCommand('sysctl', ['-q', '-w', 'net.ipv4.ip_forward=1']);
  }
}

export async function makeNodeLink(state: ClusterState, node: NodeState, layout: NodeLayout): Promise<void> {
  for (const step of planNodeLink(state, node, layout)) await runStep(step);
}

/** Removes a node's cable and namespace; what is not there is no error. */
export async function removeNodeLink(layout: NodeLayout): Promise<void> {
  await runCommand('ip', ['link', 'delete', layout.veth], { okCodes: [0, 1] });
  await runCommand('ip', ['netns', 'delete', layout.netns], { okCodes: [0, 1] });
}

export async function removeLink(cluster: ClusterLayout): Promise<void> {
  const bridge = bridgeName(cluster.name);
  await runCommand('ip', ['link', 'delete', bridge], { okCodes: [0, 1] });
  await runCommand('nft', ['delete', 'table', 'ip', `k8ts_${bridge}`], { okCodes: [0, 1] });
}

/** The first N for which 172.29.N.0/24 meets no route of this machine and no other cluster. */
export function chooseLink(routes: readonly string[], taken: ReadonlySet<number>): number | undefined {
  for (let link = 0; link < 256; link++) {
    if (taken.has(link)) continue;
    if (!routes.some((route) => overlaps(route, link))) return link;
  }
  return undefined;
}

function overlaps(route: string, link: number): boolean {
  const [address = '', bits = '32'] = route.split('/');
  const octets = address.split('.').map(Number);
  if (octets.length !== 4) return false;
  const value = octets.reduce((sum, octet) => sum * 256 + octet, 0);
  const ours = (172 * 256 + 29) * 65536 + link * 256;
  const size = 2 ** (32 - Math.min(24, Number(bits)));
  if (Number(bits) === 0) return false;
  return Math.floor(value / size) === Math.floor(ours / size);
}

/** Destinations of this machine's IPv4 routes as CIDRs. */
export async function hostRoutes(): Promise<string[]> {
  const { stdout } = await runCommand('ip', ['-j', '-4', 'route', 'show', 'table', 'all']);
  const rows = JSON.parse(stdout === '' ? '[]' : stdout) as { dst?: string; type?: string }[];
  return rows.map((row) => row.dst ?? '').filter((dst) => dst !== '' && dst !== 'default');
}

async function runStep(step: Step): Promise<void> {
  await runCommand(step[0] as string, step.slice(1));
}
