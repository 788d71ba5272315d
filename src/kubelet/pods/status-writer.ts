import { type Clock, type Log, messageOf, sleep } from '#base';
import { type Pod, type PodCondition, type PodStatus, resource } from '#api';
import type { Client } from '#client';
import { deepEqual, isConflict, isInvalid, isNotFound } from '#machinery';

const pods = resource('v1', 'pods');
const retryMs = 1000;
const longestRetryMs = 30_000;

/** Sends pods' statuses to the API server: the newest of each pod, one request a pod at a time, unchanged ones not at all. */
export interface StatusWriter {
  set(pod: Pod, status: PodStatus): void;
  /** What was last handed in for a pod: newer than the API's copy until its event has come back. */
  latest(uid: string): PodStatus | undefined;
  /** Resolves when the newest status of a pod is written or refused. */
  flushed(uid: string): Promise<void>;
  forget(uid: string): void;
  close(): void;
}

interface Entry {
  pod: Pod;
  status: PodStatus;
  /** What the API server is known to hold. */
  written: PodStatus;
  writing?: Promise<void>;
}

export function openStatusWriter(options: {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Log;
}): StatusWriter {
  const { client, clock, log } = options;
  const entries = new Map<string, Entry>();
  const closing = new AbortController();

  async function drain(uid: string, entry: Entry): Promise<void> {
    let delayMs = retryMs;
    while (!closing.signal.aborted && entries.get(uid) === entry) {
      const { pod, status } = entry;
      const body = statusPatch(pod, entry.written, status);
      if (body === undefined) return;
      try {
        const { namespace, name } = pod.metadata;
        await client.patch<Pod>(pods, name, { type: 'strategic', body }, { namespace, subresource: 'status' });
        entry.written = status;
        delayMs = retryMs;
      } catch (error) {
        if (isNotFound(error) || isConflict(error)) return;
        log.warn(
          { pod: pod.metadata.name, namespace: pod.metadata.namespace, error: messageOf(error) },
          'a pod status was not written',
        );
        if (isInvalid(error)) return;
        await sleep(clock, delayMs, closing.signal).catch(() => {});
        delayMs = Math.min(longestRetryMs, delayMs * 2);
      }
    }
  }

  return {
    set(pod, status) {
      const { uid } = pod.metadata;
      let entry = entries.get(uid);
      if (entry === undefined) {
        entry = { pod, status, written: pod.status ?? {} };
        entries.set(uid, entry);
      } else {
        entry.pod = pod;
        entry.status = status;
        if (entry.writing === undefined && pod.status !== undefined) entry.written = pod.status;
      }
      const current = entry;
      entry.writing ??= drain(uid, entry).finally(() => {
        delete current.writing;
      });
    },
    latest: (uid) => entries.get(uid)?.status,
    flushed: (uid) => entries.get(uid)?.writing ?? Promise.resolve(),
    forget: (uid) => void entries.delete(uid),
    close: () => closing.abort(),
  };
}

/** The strategic merge patch that turns one status into the other; undefined when they do not differ. */
export function statusPatch(pod: Pod, from: PodStatus, to: PodStatus): object | undefined {
  const changes: Record<string, unknown> = {};
  const owned = ['initContainerStatuses', 'ephemeralContainerStatuses', 'reason', 'message', 'podIP'] as const;
  for (const [key, value] of Object.entries(to)) {
    if (key === 'conditions' || key === 'podIPs' || key === 'hostIPs') continue;
    if (!deepEqual(value, from[key as keyof PodStatus])) changes[key] = value;
  }
  for (const key of owned) if (to[key] === undefined && from[key] !== undefined) changes[key] = null;
  const conditions = changedConditions(from.conditions ?? [], to.conditions ?? []);
  if (conditions.length > 0) changes.conditions = conditions;
  for (const key of ['podIPs', 'hostIPs'] as const) {
    if (to[key] === undefined ? from[key] !== undefined && key === 'podIPs' : !deepEqual(to[key], from[key])) {
      changes[key] =
        from[key] === undefined || from[key].length === 0 ? to[key] : [...(to[key] ?? []), { $patch: 'replace' }];
    }
  }
  if (Object.keys(changes).length === 0) return undefined;
  return { metadata: { uid: pod.metadata.uid }, status: changes };
}

function changedConditions(from: readonly PodCondition[], to: readonly PodCondition[]): object[] {
  return to.flatMap((condition) => {
    const old = from.find((one) => one.type === condition.type);
    const same =
      old !== undefined &&
      (['status', 'reason', 'message', 'observedGeneration', 'lastTransitionTime'] as const).every(
        (key) => old[key] === condition[key],
      );
    if (same) return [];
    return [
      {
        ...condition,
        ...(old?.reason && !condition.reason ? { reason: null } : {}),
        ...(old?.message && !condition.message ? { message: null } : {}),
      },
    ];
  });
}
