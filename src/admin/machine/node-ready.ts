import { type Node, resource } from '#api';
import type { Clock } from '#base';
import { openClient, openKubeconfigTransport } from '#client';
import type { MachineLayout } from './layout.ts';
import { waitFor } from './wait.ts';

export interface NodeReadyOptions {
  readonly layout: MachineLayout;
  readonly nodeName: string;
  /** False: the pods' network is brought by someone else, later, so it is enough that the node is there. */
  readonly withNetwork: boolean;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** What to do when it does not become ready. */
  readonly advice: string;
}

/** Waits for a node that joined, asking with its own identity. Throws NotReadyInTime with the end of the agent's log. */
export async function waitForNode(options: NodeReadyOptions): Promise<void> {
  const { layout, nodeName, withNetwork, clock, timeoutMs, advice } = options;
  const transport = await openKubeconfigTransport({ file: layout.kubeletConf });
  const client = openClient({ transport, userAgent: 'k8ts' });
  try {
    await waitFor({
      what: `node ${nodeName} is ready`,
      ...{ clock, timeoutMs, logFile: `${layout.logDir}/agent.log`, advice },
      ask: async () => {
        const found = await client.get<Node>(resource('v1', 'nodes'), nodeName);
        return !withNetwork || isReady(found);
      },
    });
  } finally {
    await transport.close();
  }
}

export function isReady(node: Node): boolean {
  return node.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
}
