import { hostname } from 'node:os';
import { type Clock, type Closable, type Log, messageOf, type Random, sleep } from '#base';
import { type Client, startLeaderElection } from '#client';

export interface ElectionSettings {
  /** Upstream's defaults: 15 s, 10 s, 2 s. */
  readonly leaseDurationMs?: number;
  readonly renewDeadlineMs?: number;
  readonly retryPeriodMs?: number;
}

export interface ElectedOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Of the Lease in kube-system. */
  readonly name: string;
  readonly settings?: ElectionSettings | undefined;
  /** Begins to act; what it returns is closed when this process no longer leads. */
  readonly start: () => Promise<Closable>;
}

const againMs = 2000;

/** Runs something in one of several processes at a time: the one that holds the Lease. Closing gives the Lease to the next at once. */
export function startElected(options: ElectedOptions): Closable {
  const { client, clock, random, log, name, settings = {}, start } = options;
  /** Terms of this process follow each other: the next begins when what the last one started is closed. */
  let term: Promise<void> = Promise.resolve();

  const serve = async (signal: AbortSignal): Promise<void> => {
    const over = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    while (!signal.aborted) {
      try {
        const running = await start();
        await over;
        await running.close();
      } catch (error) {
        log.error({ name, error: messageOf(error) }, 'what the leader runs could not be started or closed');
        await sleep(clock, againMs, signal).catch(() => {});
      }
    }
  };
  const election = startLeaderElection({
    client,
    clock,
    log,
    lease: { namespace: 'kube-system', name },
    identity: `${hostname()}_${random.uuid()}`,
    ...settings,
    onStarted: (signal) => {
      term = term.then(() => serve(signal));
    },
  });
  return {
    async close() {
      await election.close();
      await term;
    },
  };
}
