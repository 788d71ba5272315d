import { type BackoffOptions, type Clock, type Closable, InvariantError, type Log, messageOf } from '#base';
import type { KubeObject } from '#api';
import { isConflict } from '#machinery';
import type { Change, Informer } from './contract.ts';
import { keyOf } from './object-cache.ts';
import { openWorkQueue } from './work-queue.ts';

/** What a reconcile asks for: nothing more, or to be called again later. A thrown error is tried again with back-off. */
export type Outcome = undefined | void | { readonly requeueAfterMs: number };

/** Where keys come from: changes of an informer. */
export interface Source {
  start(enqueue: (key: string) => void): () => void;
  readonly synced: Promise<void>;
}

/**
 * A source from an informer. `keys` maps a changed object to the keys to reconcile (default: its own); it is asked for the
 * copy before an update too, so that an object that moved from one owner to another wakes both.
 */
export function changesOf<T extends KubeObject>(
  informer: Informer<T>,
  keys: (object: T, change: Change<T>) => string | undefined | Iterable<string> = keyOf,
): Source {
  return {
    synced: informer.synced,
    start(enqueue) {
      const each = (object: T, change: Change<T>): void => {
        const found = keys(object, change);
        if (typeof found === 'string') enqueue(found);
        else for (const key of found ?? []) enqueue(key);
      };
      return informer.onChange((change) => {
        if (change.old !== undefined) each(change.old, change);
        each(change.object, change);
      });
    },
  };
}

export interface ControllerOptions {
  readonly name: string;
  /** The name of its queue in the metrics `workqueue_…`, where upstream has another for it; default `name`. */
  readonly queueName?: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly sources: readonly Source[];
  /** Brings the world nearer to what the object `key` says. Never called twice at a time for one key. */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<Outcome>;
  /** Keys reconciled side by side; default 5. */
  readonly concurrency?: number;
  readonly backoff?: BackoffOptions;
  /**
   * After a reconcile that took d, the same key waits pace · d (1 s at most) before the next: a burst of changes to a big object
   * is then worked off in a few looks instead of one a change. Default 0.
   */
  readonly pace?: number;
  /** Informers that must have synced before the first reconcile, beside those of the sources. */
  readonly needs?: readonly Promise<void>[];
}

export interface RunningController extends Closable {
  readonly name: string;
  enqueue(key: string): void;
  enqueueAfter(key: string, delayMs: number): void;
  /** Nothing waits and nothing runs, delayed keys not counted. */
  readonly idle: boolean;
}

const longestRestMs = 1_000;

/** Starts reconciling the keys that the sources name, once everything it reads has synced. */
export function startController(options: ControllerOptions): RunningController {
  const { name, clock, sources, reconcile, concurrency = 5, backoff, pace = 0, needs = [] } = options;
  const log = options.log.child({ controller: name });
  const queue = openWorkQueue({
    name: options.queueName ?? name,
    clock,
    ...(backoff === undefined ? {} : { backoff }),
  });
  const closing = new AbortController();
  const endings = sources.map((source) => source.start((key) => queue.add(key)));

  function report(key: string, error: unknown): void {
    const fields = { key, failures: queue.failures(key) + 1, error: messageOf(error) };
    if (isBug(error)) log.error({ ...fields, stack: error.stack }, 'reconcile is broken; trying again');
    else if (isConflict(error)) log.debug(fields, 'reconcile met a conflict; trying again');
    else log.warn(fields, 'reconcile failed; trying again');
  }

  async function work(): Promise<void> {
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      const beganMs = clock.monotonicMs();
      try {
        const outcome = await reconcile(key, closing.signal);
        queue.forget(key);
        if (outcome) queue.addAfter(key, outcome.requeueAfterMs);
      } catch (error) {
        if (!closing.signal.aborted) {
          report(key, error);
          queue.addRateLimited(key);
        }
      } finally {
        queue.done(key, Math.min(longestRestMs, (clock.monotonicMs() - beganMs) * pace));
      }
    }
  }

  async function run(): Promise<void> {
    await Promise.race([
      Promise.all([...sources.map((one) => one.synced), ...needs]),
      new Promise((resolve) => closing.signal.addEventListener('abort', resolve, { once: true })),
    ]);
    await Promise.all(Array.from({ length: concurrency }, work));
  }

  const running = run();
  return {
    name,
    enqueue: (key) => queue.add(key),
    enqueueAfter: (key, delayMs) => queue.addAfter(key, delayMs),
    get idle() {
      return queue.idle;
    },
    async close() {
      closing.abort(new Error(`controller ${name} was closed`));
      for (const end of endings) end();
      queue.close();
      await running;
    },
  };
}

/** Mistakes of a program, not of the world: told with their place, and louder. */
function isBug(error: unknown): error is Error {
  return [TypeError, ReferenceError, RangeError, SyntaxError, InvariantError].some((kind) => error instanceof kind);
}
