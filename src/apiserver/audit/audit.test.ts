import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, seededRandom } from '#base';
import { testServer } from '../test-server.ts';
import { auditLink } from './audit.link.ts';
import { metadataPolicy } from './policy.ts';

// biome-ignore lint: events are plain data
type Event = any;

test('an event says who, what, how found out and how it ended; contents stay out', async () => {
  const events: Event[] = [];
  const clock = new ManualClock();
  const audit = auditLink({
    policy: metadataPolicy,
    sink: { write: (event) => void events.push(event) },
    clock,
    random: seededRandom(1),
  });
  await using one = await testServer({ clock, audit });
  events.length = 0;
  await one.ask('POST', '/api/v1/namespaces/default/secrets', {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's' },
    stringData: { password: 'hunter2' },
  });
  await one.ask('GET', '/api/v1/namespaces/default/secrets/none');
  await one.ask('GET', '/livez');
  assert.equal(events.length, 2);
  const [made, missing] = events;
  assert.equal(made.user.username, 'admin');
  assert.equal(made.annotations['authentication.k8s.io/authenticator'], 'in-process');
  assert.deepEqual(made.objectRef, { resource: 'secrets', namespace: 'default', apiVersion: 'v1' });
  assert.equal(made.responseStatus.code, 201);
  assert.equal(missing.responseStatus.reason, 'NotFound');
  assert.equal(JSON.stringify(events).includes('hunter2'), false);
});

test('a watch is recorded when it begins and when it ends', async () => {
  const events: Event[] = [];
  const clock = new ManualClock();
  const audit = auditLink({
    policy: metadataPolicy,
    sink: { write: (event) => void events.push(event) },
    clock,
    random: seededRandom(1),
  });
  await using one = await testServer({ clock, audit });
  events.length = 0;
  await one.watch('/api/v1/namespaces?watch=true&resourceVersion=0', 1);
  for (let turn = 0; turn < 20 && events.length < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    events.map((event) => [event.verb, event.stage]),
    [
      ['watch', 'ResponseStarted'],
      ['watch', 'ResponseComplete'],
    ],
  );
});
