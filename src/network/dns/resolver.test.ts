import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode, type Packet } from 'dns-packet';
import fc from 'fast-check';
import type { EndpointSlice, Service } from '#api';
import { seededRandom } from '#base';
import type { Forwarder } from './forward.ts';
import { ClusterRecords } from './records.ts';
import { Resolver } from './resolver.ts';

const records = new ClusterRecords('cluster.local');
const service = (name: string, spec: object): Service =>
  ({ metadata: { name, namespace: 'default' }, spec }) as unknown as Service;
records.setService(service('web', { clusterIP: '10.96.0.7', ports: [{ name: 'http', port: 80 }] }), false);
records.setService(service('db', { clusterIP: 'None', ports: [{ name: 'sql', port: 5432 }] }), false);
records.setService(service('idle', { clusterIP: 'None' }), false);
records.setService(service('far', { type: 'ExternalName', externalName: 'example.org' }), false);
records.setSlice(
  {
    metadata: { name: 'db-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'db' } },
    addressType: 'IPv4',
    ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }],
    endpoints: [
      { addresses: ['10.244.1.3'], hostname: 'db-0', conditions: { ready: true } },
      { addresses: ['10.244.1.4'], conditions: { ready: true } },
      { addresses: ['10.244.1.5'], conditions: { ready: false } },
    ],
  } as unknown as EndpointSlice,
  false,
);
const outside = {
  resolve: async (name: string) => ({
    code: 'NOERROR',
    answers: [{ type: 'A', name, ttl: 9, data: '192.0.2.1' }],
    authorities: [],
  }),
};
const resolver = new Resolver({
  names: records.names,
  forwarder: outside as unknown as Forwarder,
  ownReverseZone: (address) => address.startsWith('10.'),
  random: seededRandom(1),
});

async function ask(name: string, type = 'A'): Promise<Packet & { rcode: string }> {
  const answer = await resolver.answer(encode({ type: 'query', id: 7, questions: [{ type: type as 'A', name }] }), 0);
  return decode(answer as Buffer) as unknown as Packet & { rcode: string };
}
const data = (packet: Packet): unknown[] => (packet.answers ?? []).map((one) => (one as { data: unknown }).data);

const cases: [name: string, type: string, rcode: string, data: unknown[]][] = [
  ['web.default.svc.cluster.local', 'A', 'NOERROR', ['10.96.0.7']],
  ['WEB.default.svc.Cluster.Local', 'A', 'NOERROR', ['10.96.0.7']],
  ['web.default.svc.cluster.local', 'AAAA', 'NOERROR', []],
  ['none.default.svc.cluster.local', 'A', 'NXDOMAIN', []],
  ['default.svc.cluster.local', 'A', 'NOERROR', []],
  ['other.svc.cluster.local', 'A', 'NXDOMAIN', []],
  ['db.default.svc.cluster.local', 'A', 'NOERROR', ['10.244.1.3', '10.244.1.4']],
  ['db-0.db.default.svc.cluster.local', 'A', 'NOERROR', ['10.244.1.3']],
  ['10-244-1-4.db.default.svc.cluster.local', 'A', 'NOERROR', ['10.244.1.4']],
  ['10-244-1-5.db.default.svc.cluster.local', 'A', 'NXDOMAIN', []],
  ['idle.default.svc.cluster.local', 'A', 'NXDOMAIN', []],
  [
    '_http._tcp.web.default.svc.cluster.local',
    'SRV',
    'NOERROR',
    [{ priority: 0, weight: 100, port: 80, target: 'web.default.svc.cluster.local' }],
  ],
  ['_nope._tcp.web.default.svc.cluster.local', 'SRV', 'NXDOMAIN', []],
  ['10-244-9-9.default.pod.cluster.local', 'A', 'NOERROR', ['10.244.9.9']],
  ['7.0.96.10.in-addr.arpa', 'PTR', 'NOERROR', ['web.default.svc.cluster.local']],
  ['3.1.244.10.in-addr.arpa', 'PTR', 'NOERROR', ['db-0.db.default.svc.cluster.local']],
  ['9.9.244.10.in-addr.arpa', 'PTR', 'NXDOMAIN', []],
  ['far.default.svc.cluster.local', 'A', 'NOERROR', ['example.org', '192.0.2.1']],
  ['example.org', 'A', 'NOERROR', ['192.0.2.1']],
];
for (const [name, type, rcode, expected] of cases) {
  test(`${name} ${type} is ${rcode} ${JSON.stringify(expected)}`, async () => {
    const packet = await ask(name, type);
    assert.equal(packet.rcode, rcode);
    // Addresses take turns; all else has its order.
    const all = data(packet);
    assert.deepEqual(type === 'A' && name.startsWith('db.') ? all.toSorted() : all, expected);
    assert.equal(packet.id, 7);
  });
}

test('names go when their Service goes', async () => {
  records.setService(service('short', { clusterIP: '10.96.0.99' }), false);
  assert.deepEqual(data(await ask('99.0.96.10.in-addr.arpa', 'PTR')), ['short.default.svc.cluster.local']);
  records.setService(service('short', { clusterIP: '10.96.0.99' }), true);
  assert.equal((await ask('short.default.svc.cluster.local')).rcode, 'NXDOMAIN');
  assert.equal((await ask('99.0.96.10.in-addr.arpa', 'PTR')).rcode, 'NXDOMAIN');
});

test('an answer that does not fit is cut and says so', () => {
  const endpoints = Array.from({ length: 200 }, (_, i) => ({ addresses: [`10.244.2.${i}`], conditions: {} }));
  records.setService(service('big', { clusterIP: 'None' }), false);
  const metadata = { name: 'big-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'big' } };
  records.setSlice({ metadata, addressType: 'IPv4', endpoints } as unknown as EndpointSlice, false);
  const query = encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'big.default.svc.cluster.local' }] });
  const cut = resolver.answer(query, 1232) as Buffer;
  assert.ok(cut.length <= 512);
  assert.equal((decode(cut) as { flag_tc?: boolean }).flag_tc, true);
  assert.ok((decode(cut).answers ?? []).length > 5, 'as many as fit are there');
  assert.equal((decode(resolver.answer(query, 0) as Buffer).answers ?? []).length, 200);
});

test('what is not a question gets no answer, or a format error, and never throws', () => {
  assert.equal(resolver.answer(Buffer.from([1, 2, 3]), 512), undefined);
  const response = encode({ type: 'response', id: 1, questions: [{ type: 'A', name: 'x.org' }] });
  assert.equal(resolver.answer(response, 512), undefined);
  const broken = Buffer.concat([
    encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'x.org' }] }).subarray(0, 14),
    Buffer.from([255, 255]),
  ]);
  const answer = resolver.answer(broken, 512);
  assert.ok(answer === undefined || (((answer as Buffer)[3] as number) & 15) === 1);
});

test('the addresses of a headless Service take turns in being the first', async () => {
  const firsts = new Set<unknown>();
  for (let i = 0; i < 64; i++) firsts.add(data(await ask('db.default.svc.cluster.local'))[0]);
  assert.deepEqual([...firsts].sort(), ['10.244.1.3', '10.244.1.4']);
});

test('a Service that stands for another is followed inside the cluster, and round in a circle only once', async () => {
  const alias = (name: string, externalName: string) =>
    records.setService(service(name, { type: 'ExternalName', externalName }), false);
  alias('one', 'two.default.svc.cluster.local');
  alias('two', 'web.default.svc.cluster.local.');
  assert.deepEqual(data(await ask('one.default.svc.cluster.local')), [
    'two.default.svc.cluster.local',
    'web.default.svc.cluster.local',
    '10.96.0.7',
  ]);
  alias('two', 'one.default.svc.cluster.local');
  assert.equal(data(await ask('one.default.svc.cluster.local')).length, 2);
  for (let i = 0; i < 20; i++) alias(`chain${i}`, `chain${i + 1}.default.svc.cluster.local`);
  assert.ok(data(await ask('chain0.default.svc.cluster.local')).length <= 9);
  alias('two', 'example.org');
  assert.deepEqual(data(await ask('one.default.svc.cluster.local')), [
    'two.default.svc.cluster.local',
    'example.org',
    '192.0.2.1',
  ]);
});

test('a later EDNS version is told which one is spoken; the zone has an SOA record and the version a TXT', async () => {
  const opt = { type: 'OPT', name: '.', udpPayloadSize: 4096, ednsVersion: 1, options: [] };
  const query = { type: 'query', id: 1, questions: [{ type: 'A', name: 'web.default.svc.cluster.local' }] };
  const answer = decode(resolver.answer(encode({ ...query, additionals: [opt] } as unknown as Packet), 1232) as Buffer);
  const told = answer.additionals?.[0] as unknown as { extendedRcode: number; ednsVersion: number };
  assert.deepEqual([told.extendedRcode, told.ednsVersion, answer.answers], [1, 0, []]);
  assert.equal((await ask('cluster.local', 'SOA')).answers?.[0]?.type, 'SOA');
  assert.deepEqual(data(await ask('dns-version.cluster.local', 'TXT')).map(String), ['1.1.0']);
  const missing = await ask('none.default.svc.cluster.local');
  assert.equal(missing.authorities?.[0]?.type, 'SOA', 'how long to remember that there is none');
});

test('answers are kept while the names are the same, and no longer; never more than a few thousand', async () => {
  const name = 'kept.default.svc.cluster.local';
  records.setService(service('kept', { clusterIP: '10.96.0.50' }), false);
  assert.deepEqual(data(await ask(name)), ['10.96.0.50']);
  const ready = resolver.ready;
  assert.deepEqual(data(await ask(name)), ['10.96.0.50']);
  assert.equal(resolver.ready, ready);
  records.setService(service('kept', { clusterIP: '10.96.0.51' }), false);
  assert.deepEqual(data(await ask(name)), ['10.96.0.51']);
  for (let i = 0; i < 5_000; i++) await ask(`x${i}.default.svc.cluster.local`);
  assert.ok(resolver.ready <= 4_096);
});

test('property: any bytes, and any change of a question, are answered or dropped; an answer never exceeds its limit', () => {
  const question = Buffer.from(
    encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'big.default.svc.cluster.local' }] }),
  );
  const changed = fc
    .array(fc.tuple(fc.nat(question.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
    .map((changes) => {
      const bytes = Buffer.from(question);
      for (const [at, value] of changes) bytes[at] = value;
      return bytes;
    });
  const any = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(changed, any), (bytes) => {
      const answer = resolver.answer(bytes, 1232);
      if (answer instanceof Promise) answer.catch(() => {});
      else if (answer !== undefined) assert.ok(answer.length <= 1232 && answer.length >= 12);
    }),
    { numRuns: 2_000 },
  );
});
