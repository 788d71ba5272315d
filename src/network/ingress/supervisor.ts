import { type ChildProcess, spawn } from 'node:child_process';
import { type Ingress, type IngressClass, resource } from '#api';
import { Backoff, type Clock, type Closable, type Log, type Random, sleep } from '#base';
import { type Client, openInformers } from '#client';
import { isServed, ownClasses } from './ingress-class.ts';

export interface IngressSupervisorOptions {
  readonly client: Client;
  /** The process that serves: program and arguments. */
  readonly command: readonly [program: string, ...args: string[]];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What the process exits with when there is nothing to serve any more. */
export const nothingToServeCode = 0;
const stopGraceMs = 4_000;

/**
 * Runs the process that serves Ingresses while there is one of our classes, and nothing but two watches while there is none: requests
 * never wait behind the kubelet, nor the kubelet behind requests. A process that dies is started again.
 */
export function startIngressSupervisor(options: IngressSupervisorOptions): Closable {
  const { clock, log } = options;
  const closing = new AbortController();
  const backoff = new Backoff({ firstMs: 100, longestMs: 10_000 });
  let child: ChildProcess | undefined;

  const run = (): Promise<number | null> =>
    new Promise((resolve) => {
      const [program, ...args] = options.command;
      // Its end of the pipe tells it when this process has gone.
      child = spawn(program, args, { stdio: ['pipe', 'inherit', 'inherit'] });
      child.stdin?.on('error', () => {});
      child.on('error', (error) => {
        log.warn({ error: error.message }, 'the Ingress process could not be started');
        resolve(null);
      });
      child.on('exit', (code) => resolve(code));
    });
  const loop = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await firstIngress(options, closing.signal);
      if (closing.signal.aborted) return;
      const startedMs = clock.monotonicMs();
      const code = await run();
      child = undefined;
      if (closing.signal.aborted) return;
      if (code === nothingToServeCode) continue;
      if (clock.monotonicMs() - startedMs > 30_000) backoff.forget('');
      const delayMs = backoff.next('');
      log.warn({ code, delayMs }, 'the Ingress process ended; it is started again');
      await sleep(clock, delayMs, closing.signal).catch(() => {});
    }
  };
  const running = loop().catch((error) => {
    if (!closing.signal.aborted) log.error({ error: String(error) }, 'Ingresses are not served on this node any more');
  });
  return {
    async close() {
      closing.abort(new Error('the agent stops'));
      const process = child;
      if (process !== undefined) {
        process.kill('SIGTERM');
        const timer = clock.setTimer(() => void process.kill('SIGKILL'), stopGraceMs);
        await running;
        timer.cancel();
      } else await running;
    },
  };
}

/** Resolves when there is an Ingress to serve, or at the end. */
async function firstIngress(
  options: Pick<IngressSupervisorOptions, 'client' | 'clock' | 'random' | 'log'>,
  signal: AbortSignal,
): Promise<void> {
  const informers = openInformers(options);
  try {
    const classes = informers.of<IngressClass>(resource('networking.k8s.io/v1', 'ingressclasses'));
    const ingresses = informers.of<Ingress>(resource('networking.k8s.io/v1', 'ingresses'));
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!classes.hasSynced && classes.list().length === 0) return;
        const own = ownClasses(classes.list());
        if (ingresses.list().some((one) => isServed(one, own))) resolve();
      };
      classes.onChange(look);
      ingresses.onChange(look);
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (signal.aborted) resolve();
    });
  } finally {
    informers.close();
  }
}
