import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, silentLog } from '#base';
import type { Transport, TransportRequest } from '#wire';
import { openWebhookSink } from './webhook-sink.ts';

function webhook(answers: readonly (number | Error)[] = []) {
  const requests: TransportRequest[] = [];
  const transport: Transport = {
    async request(request) {
      requests.push(request);
      const answer = answers[requests.length - 1] ?? 200;
      if (answer instanceof Error) throw answer;
      return { status: answer, headers: {}, bytes: async () => new Uint8Array(), chunks: async function* () {} };
    },
    close: async () => {},
  };
  const batches = (): { items: { n: number; requestObject?: object; annotations?: object }[] }[] =>
    requests.map(({ body }) => JSON.parse(Buffer.from(body as Uint8Array).toString()));
  return { transport, requests, batches, clock: new ManualClock() };
}

const settled = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
};

test('events are posted as an EventList when so many came or after a while', async () => {
  const { transport, requests, batches, clock } = webhook();
  const sink = openWebhookSink({ transport, path: '/audit', clock, log: silentLog, batchSize: 3, batchWaitMs: 1000 });
  for (const n of [1, 2, 3]) sink.write({ n });
  await settled();
  assert.equal(requests.length, 1);
  const [first] = requests;
  assert.deepEqual(
    [first?.method, first?.target, first?.headers?.['content-type']],
    ['POST', '/audit', 'application/json'],
  );
  assert.deepEqual(batches()[0], {
    kind: 'EventList',
    apiVersion: 'audit.k8s.io/v1',
    metadata: {},
    items: [{ n: 1 }, { n: 2 }, { n: 3 }],
  });
  sink.write({ n: 4 });
  await clock.advance(999);
  await settled();
  assert.equal(requests.length, 1);
  await clock.advance(1);
  await settled();
  assert.deepEqual(batches()[1]?.items, [{ n: 4 }]);
  sink.write({ n: 5 });
  await sink.close();
  assert.deepEqual(batches()[2]?.items, [{ n: 5 }]);
});

test('a webhook that fails is asked again, later and later; what is refused is lost and told once', async () => {
  const told: object[] = [];
  const log = { ...silentLog, error: (fields: object) => void told.push(fields) };
  const { transport, requests, clock } = webhook([503, new Error('connection refused'), 200, 400, 400]);
  const sink = openWebhookSink({ transport, clock, log, batchSize: 1, firstRetryMs: 100 });
  sink.write({ n: 1 });
  await settled();
  assert.equal(requests.length, 1);
  await clock.advance(100);
  await settled();
  assert.equal(requests.length, 2);
  await clock.advance(149);
  await settled();
  assert.equal(requests.length, 2);
  await clock.advance(1);
  await settled();
  assert.equal(requests.length, 3);
  assert.deepEqual(told, []);
  sink.write({ n: 2 });
  await settled();
  sink.write({ n: 3 });
  await settled();
  assert.deepEqual(told, [{ events: 1, why: 'the webhook answered 400' }]);
  await sink.close();
});

test('what waits is bounded, and large events lose their objects', async () => {
  const told: object[] = [];
  const log = { ...silentLog, error: (fields: object) => void told.push(fields) };
  const { transport, batches, clock } = webhook();
  const sink = openWebhookSink({ transport, clock, log, bufferSize: 2, largestEventBytes: 200 });
  sink.write({ n: 1, requestObject: { text: 'x'.repeat(500) } });
  sink.write({ n: 2, text: 'x'.repeat(500) });
  sink.write({ n: 3 });
  sink.write({ n: 4 });
  await sink.close();
  assert.deepEqual(batches()[0]?.items, [{ n: 1, annotations: { 'audit.k8s.io/truncated': 'true' } }, { n: 3 }]);
  assert.deepEqual(told, [{ events: 1, why: 'an event is too large even without its objects' }]);
});
