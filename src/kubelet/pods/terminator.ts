import { messageOf } from '#base';
import type { Pod } from '#api';
import { isRuntimeNotFound } from '../cri/errors.ts';
import { findContainer } from './containers.ts';
import type { PodContext } from './context.ts';
import { runHook } from './lifecycle-hooks.ts';
import type { ObservedContainer } from './runtime-state.ts';

/** Even a forced end leaves a program this long to go by itself. */
const shortestGraceSeconds = 2;

export interface KillRequest {
  readonly pod: Pod;
  readonly container: ObservedContainer;
  readonly graceSeconds: number;
  readonly message: string;
  readonly podIp: string;
  /** Skips preStop: the container is already beyond help, or nobody knows its pod any more. */
  readonly withoutHook?: boolean;
}

interface Kill {
  endsAtMs: number;
  readonly hook: AbortController;
  done: Promise<void>;
}

/**
 * Ends containers in the background: preStop, SIGTERM, and SIGKILL when the grace period is over. Asked again with less time, it
 * hurries; with more, it keeps its word.
 */
export class Terminator {
  readonly #context: PodContext;
  readonly #onEnd: () => void;
  readonly #kills = new Map<string, Kill>();

  constructor(context: PodContext, onEnd: () => void) {
    this.#context = context;
    this.#onEnd = onEnd;
  }

  isEnding(containerId: string): boolean {
    return this.#kills.has(containerId);
  }

  kill(request: KillRequest): void {
    const { clock } = this.#context;
    const graceSeconds = Math.max(shortestGraceSeconds, request.graceSeconds);
    const endsAtMs = clock.monotonicMs() + graceSeconds * 1000;
    const running = this.#kills.get(request.container.id);
    if (running !== undefined) {
      if (endsAtMs >= running.endsAtMs - 500) return;
      running.endsAtMs = endsAtMs;
      running.hook.abort();
      void this.#stop(request.container.id, graceSeconds);
      return;
    }
    const kill: Kill = { endsAtMs, hook: new AbortController(), done: Promise.resolve() };
    this.#kills.set(request.container.id, kill);
    kill.done = this.#run(request, kill).finally(() => {
      this.#kills.delete(request.container.id);
      this.#onEnd();
    });
  }

  /** Resolves when every kill that is under way has ended. */
  async settled(): Promise<void> {
    await Promise.all([...this.#kills.values()].map(({ done }) => done));
  }

  async #run(request: KillRequest, kill: Kill): Promise<void> {
    const { clock, events } = this.#context;
    const { pod, container: running, message } = request;
    const container = findContainer(pod, running.name);
    if (container !== undefined) events.container(pod, container, 'Normal', 'Killing', message);
    const handler = container?.spec.lifecycle?.preStop;
    if (container !== undefined && handler !== undefined && !request.withoutHook && request.graceSeconds > 0) {
      const timeoutMs = kill.endsAtMs - clock.monotonicMs();
      const hook = runHook(this.#context, handler, {
        ...{ pod, container, timeoutMs },
        containerId: running.id,
        podIp: request.podIp,
        signal: kill.hook.signal,
      });
      const failure = await Promise.race([hook, aborted(kill.hook.signal)]);
      if (failure !== undefined) events.container(pod, container, 'Warning', 'FailedPreStopHook', 'PreStopHook failed');
    }
    const leftSeconds = Math.max(shortestGraceSeconds, Math.ceil((kill.endsAtMs - clock.monotonicMs()) / 1000));
    await this.#stop(running.id, leftSeconds);
  }

  async #stop(id: string, graceSeconds: number): Promise<void> {
    try {
      await this.#context.cri.stopContainer(id, graceSeconds);
    } catch (error) {
      if (!isRuntimeNotFound(error))
        this.#context.log.warn({ container: id, error: messageOf(error) }, 'a container was not stopped');
    }
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}
