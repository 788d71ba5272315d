import { type Node, resource } from '#api';
import { type Clock, type Closable, type Log, messageOf, runCommand } from '#base';
import type { Informers } from '#client';
import { noWays, planWays, tunnelOverheadBytes, tunnelRules, wayCommands } from '../tunnel/plan-tunnel.ts';
import { openReconcileLoop } from '../reconcile-loop.ts';
import { observeWays, readHostRoutes, readMtu } from './observe-ways.ts';
import { type NetworkMode, planRoutes } from './plan-routes.ts';
import { watchRoutes } from './watch-routes.ts';

export interface PodRoutesOptions {
  readonly nodeName: string;
  readonly nodeIp: string;
  /** The link towards other nodes. */
  readonly uplink: string;
  /** Default `auto`. */
  readonly mode?: NetworkMode;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly log: Log;
  /** How large a pod's packets may be, told before the first call of `onChange` of nodes and whenever it changes. */
  readonly onPodMtu?: (mtu: number) => void;
}

const lookEveryMs = 30_000;

/**
 * Keeps this node's ways to the pods of every other node: routes marked `proto 118`, and a VXLAN link where no common link leads there.
 * What the kernel has is read at the start, so what an earlier run left is taken over or removed, and again when routes change and every half
 * minute, so what others removed, or a link took along, comes back. Closing leaves all of it: pods go on without this process.
 */
export async function startPodRoutes(options: PodRoutesOptions): Promise<Closable> {
  const { nodeName, nodeIp, uplink, mode = 'auto', informers, clock, log, onPodMtu } = options;
  const nodes = informers.of<Node>(resource('v1', 'nodes'));
  const uplinkMtu = await readMtu(uplink);
  let applied = noWays;
  let known = false;
  let rules = '';
  let podMtu = 0;
  let leftNodes = '';
  let closed = false;

  const tellMtu = (tunnelled: boolean): void => {
    const next = uplinkMtu - (tunnelled || mode === 'vxlan' ? tunnelOverheadBytes : 0);
    if (next === podMtu) return;
    podMtu = next;
    onPodMtu?.(next);
  };
  const sync = async (): Promise<void> => {
    const all = nodes.list();
    const others = all.some(({ metadata }) => metadata.name !== nodeName);
    if (!others && known && applied.routes.size === 0) return;
    const hostRoutes = await readHostRoutes();
    if (!known) applied = await observeWays(hostRoutes);
    known = true;
    const plan = planRoutes({ ownName: nodeName, nodes: all, mode, hostRoutes });
    const podCidr = all.find(({ metadata }) => metadata.name === nodeName)?.spec.podCIDR;
    const next = planWays(plan, { address: nodeIp, podCidr, uplinkMtu });
    const { device, bridge, ip } = wayCommands(applied, next);
    const nextRules = next.device === undefined ? '' : tunnelRules([...next.forwards.values()]);
    if (nextRules !== rules || device.length > 0) {
      const had = rules !== '' || applied.device !== undefined;
      if (nextRules !== '' || had) await runCommand('nft', ['-f', '-'], { input: nextRules || tunnelRules([]) });
      rules = nextRules;
    }
    // Anything that fails half way is read again from the kernel.
    known = false;
    for (const [program, lines] of [
      ['ip', device],
      ['bridge', bridge],
      ['ip', ip],
    ] as const) {
      if (lines.length > 0) await runCommand(program, ['-batch', '-'], { input: `${lines.join('\n')}\n` });
    }
    known = true;
    applied = next;
    tellMtu(plan.tunnelled.length > 0);
    const left = plan.left.map(({ node }) => node).join(', ');
    if (left !== '' && left !== leftNodes)
      log.warn(
        { nodes: left },
        'these nodes are behind a router, and the network mode is routes: the routers must know the way to their pods (or use --network-mode auto)',
      );
    leftNodes = left;
  };
  const loop = openReconcileLoop({
    ...{ reconcile: sync, clock, firstPauseMs: 250, longestPauseMs: 30_000 },
    onFailure: (error, delayMs) =>
      log.warn({ error: messageOf(error), delayMs }, 'ways to the pods of other nodes not set; tried again'),
  });
  const look = (): void => {
    if (closed) return;
    if (applied.routes.size > 0) {
      known = false;
      loop.schedule();
    }
    looker = clock.setTimer(look, lookEveryMs);
  };

  tellMtu(false);
  const stop = nodes.onChange(({ type, object, old }) => {
    // Heartbeats change nodes all the time; their ranges and addresses hardly ever.
    if (type !== 'updated' || old === undefined || wayOf(object) !== wayOf(old)) loop.schedule();
  });
  await nodes.synced;
  loop.start();
  loop.schedule();
  let looker = clock.setTimer(look, lookEveryMs);
  const stopWatching = watchRoutes({
    clock,
    onChange() {
      if (applied.routes.size === 0) return;
      known = false;
      loop.schedule();
    },
  });
  return {
    async close() {
      closed = true;
      stop();
      stopWatching();
      looker.cancel();
      await loop.close();
    },
  };
}

function wayOf({ spec, status }: Node): string {
  return `${spec.podCIDR} ${(status?.addresses ?? []).map(({ type, address }) => `${type} ${address}`).join()}`;
}
