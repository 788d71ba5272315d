import { type Clock, type Closable, type Log, messageOf, rfc3339Micro, sleep, type Timer } from '#base';
import { type Lease, resource } from '#api';
import { isNotFound } from '#machinery';
import type { Client } from './contract.ts';

export interface LeaderElectionOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Log;
  readonly lease: { readonly namespace: string; readonly name: string };
  /** Unique among the candidates: host name and a random suffix. */
  readonly identity: string;
  /** How long others wait for a silent leader; default 15 s. */
  readonly leaseDurationMs?: number;
  /** How long a leader tries to renew before it stops acting; default 10 s, less than leaseDurationMs. */
  readonly renewDeadlineMs?: number;
  /** Pause between tries; default 2 s. */
  readonly retryPeriodMs?: number;
  /** Called when this candidate leads. The signal aborts when it no longer may act. */
  readonly onStarted: (signal: AbortSignal) => void;
  readonly onStopped?: () => void;
}

export interface LeaderElection extends Closable {
  readonly leading: boolean;
  /** Who holds the lease, as last seen. */
  readonly holder: string | undefined;
}

const leases = resource('coordination.k8s.io/v1', 'leases');

/**
 * Takes part in the election of one leader by a Lease. Durations are measured on the monotonic clock from when this process saw
 * the lease change, so that no two machines need agree on the time. A leader that cannot renew stops acting (its signal aborts)
 * renewDeadlineMs after its last renewal began: before anyone else may take over. `close` gives the lease back.
 */
export function startLeaderElection(options: LeaderElectionOptions): LeaderElection {
  const { client, clock, log, lease: at, identity, onStarted, onStopped } = options;
  const { leaseDurationMs = 15_000, renewDeadlineMs = 10_000, retryPeriodMs = 2_000 } = options;
  const closing = new AbortController();
  let observed: { readonly lease: Lease; readonly atMs: number } | undefined;
  let term: { readonly stop: AbortController; deadline: Timer } | undefined;

  const see = (lease: Lease): void => {
    if (observed?.lease.metadata.resourceVersion === lease.metadata.resourceVersion) return;
    observed = { lease, atMs: clock.monotonicMs() };
  };

  const endTerm = (why: string): void => {
    if (term === undefined) return;
    const { stop, deadline } = term;
    term = undefined;
    deadline.cancel();
    log.warn({ lease: at.name, why }, 'no longer the leader');
    stop.abort(new Error(why));
    onStopped?.();
  };

  const beginOrExtend = (renewalBeganMs: number): void => {
    const leftMs = renewalBeganMs + renewDeadlineMs - clock.monotonicMs();
    const deadline = clock.setTimer(() => endTerm('the lease could not be renewed in time'), leftMs);
    if (term !== undefined) {
      term.deadline.cancel();
      term.deadline = deadline;
      return;
    }
    const stop = new AbortController();
    term = { stop, deadline };
    log.info({ lease: at.name, identity }, 'became the leader');
    onStarted(stop.signal);
  };

  async function tryOnce(): Promise<void> {
    const beganMs = clock.monotonicMs();
    const stamp = rfc3339Micro(clock.nowMs());
    const spec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
      renewTime: stamp,
    };
    let lease: Lease;
    try {
      lease = await client.get<Lease>(leases, at.name, { namespace: at.namespace, signal: closing.signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      see(
        await client.create<Lease>(leases, {
          metadata: { ...at },
          spec: { ...spec, acquireTime: stamp, leaseTransitions: 0 },
        }),
      );
      return beginOrExtend(beganMs);
    }
    see(lease);
    const held = lease.spec.holderIdentity;
    const mine = held === identity;
    const validMs = (lease.spec.leaseDurationSeconds ?? 0) * 1000;
    if (held && !mine && (observed?.atMs ?? 0) + validMs > clock.monotonicMs())
      return endTerm(`${held} holds the lease`);
    const acquired = mine && term !== undefined;
    const transitions = (lease.spec.leaseTransitions ?? 0) + (mine ? 0 : 1);
    const acquireTime = acquired ? lease.spec.acquireTime : stamp;
    see(
      await client.update<Lease>(leases, {
        ...lease,
        spec: {
          ...lease.spec,
          ...spec,
          leaseTransitions: transitions,
          ...(acquireTime === undefined ? {} : { acquireTime }),
        },
      }),
    );
    if (!closing.signal.aborted) beginOrExtend(beganMs);
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await tryOnce();
      } catch (error) {
        if (!closing.signal.aborted)
          log.debug({ lease: at.name, error: messageOf(error) }, 'leader election: try failed');
      }
      await sleep(clock, retryPeriodMs, closing.signal).catch(() => {});
    }
  }

  async function release(): Promise<void> {
    if (term === undefined || observed === undefined) return;
    const { lease } = observed;
    endTerm('closing');
    const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: rfc3339Micro(clock.nowMs()) };
    await client.update<Lease>(leases, { ...lease, spec }).catch(() => {});
  }

  const running = run();
  return {
    get leading() {
      return term !== undefined;
    },
    get holder() {
      return observed?.lease.spec.holderIdentity;
    },
    async close() {
      closing.abort(new Error('leader election was closed'));
      await running;
      await release();
    },
  };
}
