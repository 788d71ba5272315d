import { type Ingress, type Node, resource } from '#api';
import { type Clock, type Closable, type Log, messageOf, type Timer } from '#base';
import type { Client, Informer } from '#client';
import { isNotFound } from '#machinery';

export interface StatusWriterOptions {
  readonly nodeName: string;
  readonly client: Client;
  readonly nodes: Informer<Node>;
  /** The Ingresses that are served. */
  readonly served: () => readonly Ingress[];
  readonly clock: Clock;
  readonly log: Log;
}

export interface StatusWriter extends Closable {
  /** Something may have changed. */
  look(): void;
  /** This node is the one that writes status and events; the others wait whether it does. */
  readonly isFirst: boolean;
}

const ingresses = resource('networking.k8s.io/v1', 'ingresses');
const simulatedLabel = 'k8ts.io/simulated';
const mostAddresses = 64;
const gatherMs = 20;
/** Each further node waits so much longer before it writes what nobody has written. */
const waitPerRankMs = 2_000;
const longestWaitMs = 10_000;
const atOnce = 16;
const mostNodes = 10_000;

/** The addresses under which Ingresses are served: those of all ready nodes, in the order of the nodes' names. Pure. */
export function servingAddresses(nodes: readonly Node[]): string[] {
  const found: string[] = [];
  for (const node of sorted(nodes)) {
    const address = node.status?.addresses?.find((one) => one.type === 'InternalIP')?.address;
    if (address !== undefined && !found.includes(address)) found.push(address);
  }
  return found.slice(0, mostAddresses);
}

/** The place of a node among those that serve; the first one writes. */
export function rankOf(nodes: readonly Node[], name: string): number {
  const at = sorted(nodes).findIndex((one) => one.metadata.name === name);
  return at === -1 ? mostNodes : at;
}

function sorted(nodes: readonly Node[]): Node[] {
  return nodes
    .filter(
      (one) =>
        one.metadata.labels?.[simulatedLabel] === undefined &&
        one.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True'),
    )
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** Writes the addresses into the status of every served Ingress. One node writes; when it does not, the next one does. */
export function startStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { nodeName, client, nodes, served, clock, log } = options;
  let timer: Timer | undefined;
  let timerDueMs = 0;
  let running: Promise<void> | undefined;
  let closed = false;

  const write = async (ingress: Ingress, addresses: readonly string[]): Promise<void> => {
    const { name, namespace } = ingress.metadata;
    const body = { status: { loadBalancer: { ingress: addresses.map((ip) => ({ ip })) } } };
    try {
      await client.patch(ingresses, name, { type: 'merge', body }, { namespace, subresource: 'status' });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  };
  const writeAll = async (): Promise<void> => {
    const addresses = servingAddresses(nodes.list());
    if (addresses.length === 0) return;
    const stale = served().filter((one) => !isWritten(one, addresses));
    for (let from = 0; from < stale.length && !closed; from += atOnce)
      await Promise.all(stale.slice(from, from + atOnce).map((one) => write(one, addresses)));
  };
  const arm = (delayMs: number): void => {
    if (closed) return;
    const dueMs = clock.monotonicMs() + delayMs;
    if (timer !== undefined && timerDueMs <= dueMs) return;
    timer?.cancel();
    timerDueMs = dueMs;
    timer = clock.setTimer(() => {
      timer = undefined;
      running = writeAll()
        .catch((error) => {
          log.warn({ error: messageOf(error) }, 'the status of an Ingress was not written; trying again');
          arm(waitPerRankMs);
        })
        .finally(() => {
          running = undefined;
        });
    }, delayMs);
  };
  const rank = (): number => rankOf(nodes.list(), nodeName);
  return {
    look: () => arm(gatherMs + Math.min(longestWaitMs, rank() * waitPerRankMs)),
    get isFirst() {
      return rank() === 0;
    },
    async close() {
      closed = true;
      timer?.cancel();
      await running;
    },
  };
}

function isWritten(ingress: Ingress, addresses: readonly string[]): boolean {
  const written = ingress.status?.loadBalancer?.ingress ?? [];
  return (
    written.length === addresses.length &&
    written.every((one, index) => one.ip === addresses[index] && one.hostname === undefined)
  );
}
