import { Backoff, type Clock, type Closable, type Timer } from '#base';

export interface ReconcileLoopOptions {
  /** Brings what is in step with what should be. One run at a time. */
  readonly reconcile: () => Promise<void>;
  /** Told of a run that failed and of the pause before the next. */
  readonly onFailure: (error: unknown, delayMs: number) => void;
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  readonly clock: Clock;
}

export interface ReconcileLoop extends Closable {
  /** Whether a run is under way. */
  readonly isRunning: boolean;
  /** Runs begin: what was asked for before is done now. */
  start(): void;
  /** A run that begins after this call is wanted. Many calls are one run; after a failure they wait for its pause to end. */
  schedule(): void;
  /** No run begins any more; resolves when the last one has ended. */
  close(): Promise<void>;
}

/** Keeps something in step: runs when asked, never twice at once, and again with growing pauses while it fails. */
export function openReconcileLoop(options: ReconcileLoopOptions): ReconcileLoop {
  const { reconcile, onFailure, firstPauseMs, longestPauseMs, clock } = options;
  const backoff = new Backoff({ firstMs: firstPauseMs, longestMs: longestPauseMs });
  let wanted = false;
  let started = false;
  let closed = false;
  let running: Promise<void> | undefined;
  let pause: Timer | undefined;

  const runs = async (): Promise<void> => {
    while (wanted && !closed) {
      wanted = false;
      await reconcile();
      backoff.forget('');
    }
  };
  const run = (): void => {
    if (running !== undefined || pause !== undefined || closed || !started || !wanted) return;
    running = runs()
      .catch((error: unknown) => {
        if (closed) return;
        const delayMs = backoff.next('');
        wanted = true;
        pause = clock.setTimer(() => {
          pause = undefined;
          run();
        }, delayMs);
        onFailure(error, delayMs);
      })
      .finally(() => {
        running = undefined;
        run();
      });
  };

  return {
    get isRunning() {
      return running !== undefined;
    },
    start() {
      started = true;
      run();
    },
    schedule() {
      wanted = true;
      queueMicrotask(run);
    },
    async close() {
      closed = true;
      pause?.cancel();
      await running;
    },
  };
}
