import { type Clock, type Log, messageOf, sleep } from '#base';
import type { Cri } from '../cri/contract.ts';
import { podUidLabel } from '../cri/names.ts';

export interface Relist {
  /** Uids of pods with a sandbox or container in the runtime at the last look. */
  readonly uids: ReadonlySet<string>;
  /** When the runtime last answered, monotonic ms; undefined before it ever did. */
  readonly lastAnswerMs: number | undefined;
  /** Looks at once. */
  now(): Promise<void>;
}

const intervalMs = 1000;

/**
 * Notices what happens in the runtime without our doing: its events tell at once where they exist, and a list of everything every
 * second misses nothing. `onChange` gets the uid of each pod whose sandboxes or containers changed.
 */
export function startRelist(options: {
  readonly cri: Cri;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly onChange: (uid: string) => void;
}): Relist {
  const { cri, clock, log, signal, onChange } = options;
  let known = new Map<string, string>();
  let owners = new Map<string, string>();
  let lastAnswerMs: number | undefined;
  let running: Promise<void> | undefined;

  async function look(): Promise<void> {
    const [sandboxes, containers] = await Promise.all([cri.listPodSandboxes(), cri.listContainers()]);
    lastAnswerMs = clock.monotonicMs();
    const states = new Map<string, string[]>();
    const nextOwners = new Map<string, string>();
    for (const { id, state, labels } of [...sandboxes, ...containers]) {
      const uid = labels[podUidLabel];
      if (uid === undefined) continue;
      nextOwners.set(id, uid);
      const list = states.get(uid);
      if (list === undefined) states.set(uid, [`${id}${state}`]);
      else list.push(`${id}${state}`);
    }
    owners = nextOwners;
    const next = new Map([...states].map(([uid, list]) => [uid, list.sort().join(' ')]));
    const before = known;
    known = next;
    for (const [uid, state] of next) if (before.get(uid) !== state) onChange(uid);
    for (const uid of before.keys()) if (!next.has(uid)) onChange(uid);
  }

  function now(): Promise<void> {
    running ??= look()
      .catch((error: unknown) => log.debug({ error: messageOf(error) }, 'the runtime was not listed'))
      .finally(() => {
        running = undefined;
      });
    return running;
  }

  cri.watchEvents(({ containerId, podUid, started = false }) => {
    const uid = podUid ?? owners.get(containerId);
    if (uid !== undefined) onChange(uid);
    else if (!started) void now(); // What a pod starts it looks at itself: a list of everything can wait for its second.
  }, signal);
  void (async () => {
    while (!signal.aborted) {
      await now();
      await sleep(clock, intervalMs, signal).catch(() => {});
    }
  })();
  return {
    get uids() {
      return new Set(known.keys());
    },
    get lastAnswerMs() {
      return lastAnswerMs;
    },
    now,
  };
}
