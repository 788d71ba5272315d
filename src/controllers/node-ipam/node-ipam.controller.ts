import { type Node, resource } from '#api';
import { changesOf, type Outcome, startController } from '#client';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { RangePool } from './ranges.ts';

const nodes = resource('v1', 'nodes');

/** Gives each node a part of the cluster's pod range. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log, settings } = context;
  const { clusterCidr, nodeCidrMaskSize = 24 } = settings;
  if (clusterCidr === undefined) return { idle: true, close: async () => {} };
  const pool = new RangePool(clusterCidr, nodeCidrMaskSize);
  const informer = informers.of<Node>(nodes);
  const events = context.events('cidrAllocator');
  const held = new Map<string, string>();
  informer.onChange(({ type, object }) => {
    const { uid } = object.metadata;
    const cidr = object.spec.podCIDR;
    if (type === 'deleted') {
      const old = held.get(uid) ?? cidr;
      held.delete(uid);
      if (old) pool.release(old);
    } else if (cidr && held.get(uid) !== cidr) {
      pool.occupy(cidr);
      held.set(uid, cidr);
    }
  });

  async function reconcile(name: string): Promise<Outcome> {
    const node = informer.get(undefined, name);
    if (node === undefined || node.spec.podCIDR) return;
    const { uid } = node.metadata;
    const cidr = held.get(uid) ?? pool.take();
    if (cidr === undefined) {
      events.event(
        { kind: 'Node', name, uid },
        'Normal',
        'CIDRNotAvailable',
        `Node ${name} status is now: CIDRNotAvailable`,
      );
      return { requeueAfterMs: 30_000 };
    }
    held.set(uid, cidr);
    const body = { metadata: { uid }, spec: { podCIDR: cidr, podCIDRs: [cidr] } };
    informer.observe(await client.patch<Node>(nodes, name, { type: 'strategic', body }));
  }

  return startController({ name: 'node-ipam', clock, log, sources: [changesOf(informer)], reconcile });
}

export const nodeIpamController = defineController({ name: 'node-ipam-controller', start });
