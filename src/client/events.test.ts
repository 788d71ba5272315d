import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, seededRandom, silentLog } from '#base';
import type { Event, KubeObject, NewObject } from '#api';
import { errForbidden, errInternal, errNotFound } from '#machinery';
import type { Client } from './contract.ts';
import { EventCorrelator } from './event-correlator.ts';
import { openEventRecorder } from './event-recorder.ts';

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace: 'x', name: 'p', uid: 'u', resourceVersion: '7' },
} as KubeObject;

function recorder(fail: (verb: string, call: number) => Error | undefined = () => undefined) {
  const clock = new ManualClock();
  const calls: string[] = [];
  const made: NewObject<Event>[] = [];
  const answer = (verb: string, text: string): void => {
    const error = fail(verb, calls.length);
    calls.push(error === undefined ? text : `${text} failed`);
    if (error !== undefined) throw error;
  };
  const client = {
    async create(_: unknown, event: NewObject<Event>) {
      answer('create', `create ${event.count} ${event.message}`);
      made.push(event);
      return event;
    },
    async patch(_: unknown, name: string, { body }: { body: { count: number } }) {
      answer('patch', `patch ${name === made.at(-1)?.metadata.name} ${body.count}`);
    },
  } as unknown as Client;
  return {
    clock,
    calls,
    made,
    events: openEventRecorder({ client, component: 'test', clock, random: seededRandom(1), log: silentLog }),
  };
}

test('the same event again counts up on the same object', async () => {
  const { calls, made, events, clock } = recorder();
  for (let i = 0; i < 3; i++) {
    events.event(pod, 'Normal', 'Started', 'hello');
    await clock.advance(1000);
  }
  await events.flush();
  assert.deepEqual(calls, ['create 1 hello', 'patch true 2', 'patch true 3']);
  const [event] = made;
  assert.match(event?.metadata.name ?? '', /^p\.[0-9a-f]{10,}$/);
  assert.equal(event?.metadata.namespace, 'x');
  assert.deepEqual(event?.involvedObject, {
    kind: 'Pod',
    namespace: 'x',
    name: 'p',
    uid: 'u',
    apiVersion: 'v1',
    resourceVersion: '7',
  });
  assert.deepEqual(
    [event?.firstTimestamp, event?.type, event?.source],
    ['2026-01-01T00:00:00Z', 'Normal', { component: 'test' }],
  );
});

test('an event that was removed is made anew; a refused one is dropped; a failing server is tried again', async () => {
  const gone = recorder((verb) => (verb === 'patch' ? errNotFound({ group: '', plural: 'events' }, 'p') : undefined));
  gone.events.event(pod, 'Normal', 'A', 'm');
  gone.events.event(pod, 'Normal', 'A', 'm');
  await gone.events.flush();
  assert.deepEqual(gone.calls, ['create 1 m', 'patch true 2 failed', 'create 2 m']);
  const refused = recorder(() => errForbidden({ group: '', plural: 'events' }, 'p', 'no'));
  refused.events.event(pod, 'Normal', 'A', 'm');
  await refused.events.flush();
  assert.equal(refused.calls.length, 1);
  const broken = recorder((_, call) => (call < 2 ? errInternal('down') : undefined));
  broken.events.event(pod, 'Normal', 'A', 'm');
  await broken.clock.advance(20_000);
  await broken.events.flush();
  assert.deepEqual(broken.calls, ['create 1 m failed', 'create 1 m failed', 'create 1 m']);
});

test('more than ten that differ only in words become one; one object may cause 25 at once', () => {
  const clock = new ManualClock();
  const correlator = new EventCorrelator(clock);
  const say = (message: string, objectKey = 'o') =>
    correlator.correlate({ objectKey, type: 'Normal', reason: 'R', message });
  const found = Array.from({ length: 12 }, (_, i) => say(`message ${i}`));
  assert.ok(found.slice(0, 10).every((one) => one.action === 'write' && !one.message.startsWith('(combined')));
  assert.deepEqual(
    found.slice(10).map((one) => one.action === 'write' && [one.message, one.count]),
    [
      ['(combined from similar events): message 10', 1],
      ['(combined from similar events): message 11', 2],
    ],
  );
  for (let i = 12; i < 25; i++) say(`message ${i}`);
  assert.equal(say('one more').action, 'drop');
  assert.equal(say('another object', 'p').action, 'write');
});
