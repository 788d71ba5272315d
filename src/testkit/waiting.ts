import type { ManualClock } from '#base';
import type { KubeObject, ResourceInfo } from '#api';
import type { Informers } from '#client';

export interface WaitOptions {
  readonly namespace?: string;
  /** Real time before giving up; default 10 s. */
  readonly timeoutMs?: number;
  /** With a manual clock: how far time may be moved; default 10 minutes. */
  readonly withinMs?: number;
}

type Predicate<T> = (objects: readonly T[]) => boolean;

/** Resolves when the objects satisfy the predicate: looks at each change, never sleeps. */
export async function waitForObjects<T extends KubeObject>(
  informers: Informers,
  resource: ResourceInfo,
  predicate: Predicate<T>,
  { namespace, timeoutMs = 10_000 }: WaitOptions,
): Promise<readonly T[]> {
  const informer = informers.of<T>(resource);
  try {
    await informer.synced;
    return await new Promise<readonly T[]>((resolve, reject) => {
      let end: (() => void) | undefined;
      const timer = setTimeout(() => {
        end?.();
        reject(new Error(failureText(resource, predicate, informer.list(namespace))));
      }, timeoutMs);
      const look = (): void => {
        const objects = informer.list(namespace);
        if (!predicate(objects)) return;
        clearTimeout(timer);
        end?.();
        resolve(objects);
      };
      end = informer.onChange(look);
      look();
    });
  } finally {
    informer.close();
  }
}

/** The same where the test owns the clock: time is moved from timer to timer until the predicate holds. */
export async function advanceUntil<T extends KubeObject>(
  informers: Informers,
  clock: ManualClock,
  resource: ResourceInfo,
  predicate: Predicate<T>,
  { namespace, withinMs = 600_000 }: WaitOptions,
): Promise<readonly T[]> {
  const informer = informers.of<T>(resource);
  try {
    const untilMs = clock.monotonicMs() + withinMs;
    for (let quiet = 0; ; ) {
      if (informer.hasSynced && predicate(informer.list(namespace))) return informer.list(namespace);
      const nextMs = clock.nextDelayMs();
      if (quiet++ < 3) await clock.advance(0);
      else if (nextMs === undefined || clock.monotonicMs() + nextMs > untilMs)
        throw new Error(failureText(resource, predicate, informer.list(namespace)));
      else {
        await clock.advance(nextMs);
        quiet = 0;
      }
    }
  } finally {
    informer.close();
  }
}

function failureText<T extends KubeObject>(
  resource: ResourceInfo,
  predicate: Predicate<T>,
  objects: readonly T[],
): string {
  const seen = objects.slice(0, 10).map((one) => {
    const { status } = one as { status?: unknown };
    return `${one.metadata.namespace ?? ''}/${one.metadata.name} ${JSON.stringify(status ?? {}).slice(0, 400)}`;
  });
  return `waited in vain for ${resource.plural}: ${predicate}\nthere are ${objects.length}:\n${seen.join('\n')}`;
}
