import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, seededRandom } from '#base';
import { testServer } from '../test-server.ts';
import { auditLink, auditRefusal } from './audit.link.ts';
import { type AuditPolicy, metadataPolicy } from './policy.ts';

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
  assert.deepEqual(made.objectRef, { resource: 'secrets', namespace: 'default', name: 's', apiVersion: 'v1' });
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

const everything: AuditPolicy = { rules: [{ level: 'RequestResponse' }], omitStages: ['RequestReceived'] };
const maps = '/api/v1/namespaces/default/configmaps';

function recording(policy: AuditPolicy) {
  const events: Event[] = [];
  const sink = { write: (event: object) => void events.push(JSON.parse(JSON.stringify(event))) };
  const options = { policy, sink, clock: new ManualClock(), random: seededRandom(1) };
  return { events, options, clock: options.clock };
}

test('RequestResponse has the objects of every verb: bodies and patches as they came, lists, tables, failures', async () => {
  const { events, options, clock } = recording(everything);
  await using one = await testServer({ clock, audit: auditLink(options) });
  const last = async (...request: Parameters<typeof one.ask>): Promise<Event> => {
    await one.ask(...request);
    return events.at(-1);
  };
  const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { a: 'b' } };
  const made = await last('POST', maps, map);
  assert.deepEqual(made.requestObject, map);
  assert.equal(made.responseObject.metadata.namespace, 'default');
  assert.equal(made.objectRef.name, 'a');
  const again = await last('POST', maps, map);
  assert.deepEqual(
    [again.responseStatus.reason, again.responseStatus.details, again.responseObject.kind],
    ['AlreadyExists', { name: 'a', kind: 'configmaps' }, 'Status'],
  );
  const merge = { 'content-type': 'application/merge-patch+json' };
  assert.deepEqual((await last('PATCH', `${maps}/a`, { data: { a: 'c' } }, merge)).requestObject, { data: { a: 'c' } });
  const json = { 'content-type': 'application/json-patch+json' };
  const patch = [{ op: 'remove', path: '/data/a' }];
  assert.deepEqual((await last('PATCH', `${maps}/a`, patch, json)).requestObject, patch);
  const apply = { 'content-type': 'application/apply-patch+yaml' };
  const applied = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {z: zed}\n';
  assert.equal((await last('PATCH', `${maps}/a?fieldManager=x`, applied, apply)).requestObject.data.z, 'zed');
  const listed = await last('GET', maps);
  assert.deepEqual([listed.responseObject.kind, listed.responseObject.items.length], ['ConfigMapList', 1]);
  const table = await last('GET', maps, undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
  assert.deepEqual([table.responseObject.kind, table.responseObject.rows[0].cells[0]], ['Table', 'a']);
  const update = await last('PUT', `${maps}/a`, {
    ...map,
    metadata: { name: 'a', uid: made.responseObject.metadata.uid },
  });
  assert.equal(update.objectRef.uid, made.responseObject.metadata.uid);
  const options1 = { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0 };
  const removed = await last('DELETE', `${maps}/a`, options1);
  assert.deepEqual(removed.requestObject, options1);
  assert.deepEqual([removed.responseStatus.status, removed.responseStatus.code], ['Success', 200]);
  assert.equal(removed.responseObject.details.name, 'a');
  const token = await last('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token: 'sesame' } });
  assert.deepEqual([token.level, token.requestObject], ['Metadata', undefined]);
  assert.equal(JSON.stringify(events).includes('sesame'), false);
  assert.ok(events.every(({ annotations }) => annotations['authorization.k8s.io/decision'] === 'allow'));
});

test('managedFields are left out of lists and tables too', async () => {
  const { events, options, clock } = recording({ ...everything, omitManagedFields: true });
  await using one = await testServer({ clock, audit: auditLink(options) });
  await one.ask('POST', maps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } });
  await one.ask('GET', maps);
  await one.ask('GET', maps, undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
  assert.equal(JSON.stringify(events).includes('managedFields'), false);
  assert.equal(events.at(-1).responseObject.rows[0].object.metadata.name, 'a');
});

test('who speaks for whom: forwarded addresses, impersonation, long user agents, the client’s own Audit-ID', async () => {
  const { events, options, clock } = recording(everything);
  await using one = await testServer({ clock, audit: auditLink(options) });
  const answer = await one.ask('GET', `${maps}/none`, undefined, {
    'x-forwarded-for': '1.2.3.4, 5.6.7.8, <script>',
    'x-real-ip': '9.9.9.9',
    'user-agent': 'x'.repeat(5000),
    'audit-id': 'my-own-id',
    'impersonate-user': 'jane',
  });
  const event = events.at(-1);
  assert.deepEqual(event.sourceIPs, ['1.2.3.4', '5.6.7.8', '9.9.9.9']);
  assert.equal(event.userAgent, `${'x'.repeat(1024)}...TRUNCATED`);
  assert.deepEqual([event.auditID, answer.headers['audit-id']], ['my-own-id', 'my-own-id']);
  assert.deepEqual([event.user.username, event.impersonatedUser.username], ['admin', 'jane']);
});

test('a bug is the stage Panic; a slow request says how long it took; a deprecated API is marked', async () => {
  const { events, options, clock } = recording({ rules: [{ level: 'Metadata' }], omitStages: ['RequestReceived'] });
  await using one = await testServer({
    clock,
    audit: auditLink(options),
    admission: () => [
      {
        name: 'Broken',
        async validate({ name }) {
          await clock.advance(1250);
          if (name === 'bug') throw new TypeError('x is not a function');
        },
      },
    ],
  });
  const make = (name: string) => one.ask('POST', maps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
  assert.equal((await make('bug')).status, 500);
  assert.deepEqual(
    [events.at(-1).stage, events.at(-1).responseStatus.code, events.at(-1).responseStatus.message],
    ['Panic', 500, "APIServer panic'd: x is not a function"],
  );
  await make('fine');
  assert.equal(events.at(-1).stage, 'ResponseComplete');
  assert.equal(events.at(-1).annotations['apiserver.latency.k8s.io/total'], '1.25s');
  const shown = await one.ask('GET', '/api/v1/componentstatuses');
  assert.equal(events.at(-1).annotations['k8s.io/deprecated'], 'true');
  assert.equal(shown.headers.warning, '299 - "v1 ComponentStatus is deprecated in v1.19+"');
});

test('who could not be authenticated is recorded as nobody, at the level of the rule that fits', () => {
  const { events, options } = recording({
    rules: [
      { level: 'None', users: ['system:anonymous'] },
      { level: 'RequestResponse', resources: [{ group: '*' }] },
    ],
  });
  const request = {
    target: '/api/v1/pods',
    headers: { authorization: 'Bearer wrong' },
    source: { remoteAddress: '10.0.0.1' },
    receivedMs: 0,
    annotations: new Map(),
    info: {
      isResource: true,
      verb: 'list',
      group: '',
      version: 'v1',
      resource: 'pods',
      subresource: '',
      namespace: '',
      name: '',
    },
  };
  auditRefusal(options)(request as never, new Error('no such token'));
  const [event] = events;
  assert.deepEqual(
    [event.stage, event.level, event.user, event.sourceIPs],
    ['ResponseStarted', 'RequestResponse', {}, ['10.0.0.1']],
  );
  assert.equal(event.responseStatus.message, 'Authentication failed, attempted: bearer');
  assert.equal(JSON.stringify(event).includes('wrong'), false);
});
