import { type Clock, type Log, messageOf, rfc3339Micro, sleep } from '#base';
import { type Lease, type Node, resource } from '#api';
import type { Client } from '#client';
import { isNotFound } from '#machinery';

const leases = resource('coordination.k8s.io/v1', 'leases');
const namespace = 'kube-node-lease';
const durationSeconds = 40;
const intervalMs = 10_000;
const firstRetryMs = 200;
const longestRetryMs = 7000;

/** Renews the node's Lease every 10 s until the signal aborts, on a timer of its own: never behind the work of pods. */
export async function renewLease(options: {
  readonly nodeName: string;
  readonly node: () => Node | undefined;
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { nodeName, node, client, clock, log, signal } = options;
  let lease: Lease | undefined;
  let retryMs = firstRetryMs;

  function renewed(base: Lease | undefined): Lease {
    const owner = node();
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      ...base,
      metadata: {
        ...base?.metadata,
        name: nodeName,
        namespace,
        ...(owner === undefined
          ? {}
          : { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid: owner.metadata.uid }] }),
      },
      spec: {
        ...base?.spec,
        holderIdentity: nodeName,
        leaseDurationSeconds: durationSeconds,
        renewTime: rfc3339Micro(clock.nowMs()),
      },
    } as Lease;
  }

  while (!signal.aborted) {
    try {
      if (lease === undefined) {
        lease = await client.get<Lease>(leases, nodeName, { namespace, signal }).catch((error: unknown) => {
          if (isNotFound(error)) return undefined;
          throw error;
        });
      }
      lease =
        lease === undefined
          ? await client.create<Lease>(leases, renewed(undefined))
          : await client.update<Lease>(leases, renewed(lease));
      retryMs = firstRetryMs;
      await sleep(clock, intervalMs, signal);
    } catch (error) {
      if (signal.aborted) return;
      lease = undefined;
      log.debug({ error: messageOf(error) }, 'the node lease was not renewed');
      await sleep(clock, retryMs, signal).catch(() => {});
      retryMs = Math.min(longestRetryMs, retryMs * 2);
    }
  }
}
