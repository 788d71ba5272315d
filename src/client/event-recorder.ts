import { type Clock, type Closable, type Log, messageOf, type Random, rfc3339, sleep } from '#base';
import { type Event, type KubeObject, type ObjectReference, resource } from '#api';
import { ApiError, isNotFound } from '#machinery';
import type { Client } from './contract.ts';
import { EventCorrelator } from './event-correlator.ts';

export interface EventRecorder extends Closable {
  /** Tells the users of `object` what happened to it. Returns at once; written in order, in the background. */
  event(object: KubeObject | ObjectReference, type: 'Normal' | 'Warning', reason: string, message: string): void;
  /** Resolves when all that was told so far is written or given up. */
  flush(): Promise<void>;
}

export interface EventRecorderOptions {
  readonly client: Client;
  /** `deployment-controller`, `kubelet` … */
  readonly component: string;
  readonly host?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const events = resource('v1', 'events');
const longestQueue = 1000;
const tries = 12;
const retryMs = 10_000;

/** Opens a writer of core/v1 Events that counts repetitions on one object instead of writing new ones. */
export function openEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, component, host, clock, random, log } = options;
  const correlator = new EventCorrelator(clock);
  const written = new Map<string, { readonly namespace: string; readonly name: string }>();
  const closing = new AbortController();
  let last: Promise<void> = Promise.resolve();
  let queued = 0;

  async function write(event: Event, key: string): Promise<void> {
    const known = written.get(key);
    if (known !== undefined && (event.count ?? 1) > 1) {
      const body = { count: event.count, lastTimestamp: event.lastTimestamp, message: event.message };
      try {
        await client.patch(events, known.name, { type: 'strategic', body }, { namespace: known.namespace });
        return;
      } catch (error) {
        if (!isNotFound(error)) throw error;
        written.delete(key);
      }
    }
    await client.create<Event>(events, event);
    written.set(key, { namespace: event.metadata.namespace, name: event.metadata.name });
    if (written.size > 4096) written.delete(written.keys().next().value as string);
  }

  async function deliver(event: Event, key: string): Promise<void> {
    for (let attempt = 1; attempt <= tries && !closing.signal.aborted; attempt++) {
      try {
        return await write(event, key);
      } catch (error) {
        if (error instanceof ApiError && (error.status.code ?? 500) < 500 && error.status.code !== 429) {
          correlator.forget(key);
          log.debug({ reason: event.reason, error: messageOf(error) }, 'an event was refused');
          return;
        }
        await sleep(clock, retryMs, closing.signal).catch(() => {});
      }
    }
  }

  return {
    event(object, type, reason, message) {
      if (closing.signal.aborted || queued >= longestQueue) return;
      const involvedObject = referenceTo(object);
      const { uid, kind, namespace, name, fieldPath } = involvedObject;
      const objectKey = JSON.stringify([kind, namespace, name, uid, fieldPath]);
      const found = correlator.correlate({ objectKey, type, reason, message });
      if (found.action === 'drop') return;
      const stamp = rfc3339(clock.nowMs());
      const event = {
        metadata: { namespace: namespace || 'default', name: `${name}.${eventSuffix(clock, random)}` },
        involvedObject,
        reason,
        message: found.message.slice(0, 1024),
        source: { component, ...(host === undefined ? {} : { host }) },
        firstTimestamp: stamp,
        lastTimestamp: stamp,
        count: found.count,
        type,
        reportingComponent: component,
        reportingInstance: host ?? '',
      } as unknown as Event;
      queued++;
      last = last.then(async () => {
        await deliver(event, found.key);
        queued--;
      });
    },
    flush: () => last,
    async close() {
      closing.abort();
      await last;
    },
  };
}

/** Names of events sort by time: hexadecimal nanoseconds, as upstream's. */
function eventSuffix(clock: Clock, random: Random): string {
  return (BigInt(Math.floor(clock.nowMs())) * 1_000_000n + BigInt(random.int(1_000_000))).toString(16);
}

/** A reference to an object, from the object or as it was given. */
export function referenceTo(object: KubeObject | ObjectReference): ObjectReference {
  if (!('metadata' in object)) return object;
  const { kind, apiVersion, metadata } = object;
  const { namespace, name, uid, resourceVersion } = metadata;
  return { kind, ...(namespace ? { namespace } : {}), name, uid, apiVersion, resourceVersion };
}
