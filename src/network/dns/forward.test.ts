import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { createServer, type Server } from 'node:net';
import { test, type TestContext } from 'node:test';
import { type Answer, decode, encode, type Packet } from 'dns-packet';
import { ManualClock, seededRandom, systemClock } from '#base';
import { Forwarder } from './forward.ts';
import { noSettings, parseSettings, parseUpstream, type Upstream, upstreamsFor } from './settings.ts';

type Zone = (name: string, transport: 'udp' | 'tcp') => object | undefined;

/** A resolver on loopback, UDP and TCP; `undefined` from the zone is silence. */
async function resolver(t: TestContext, zone: Zone): Promise<Upstream & { asked: string[] }> {
  const asked: string[] = [];
  const answer = (message: Buffer, transport: 'udp' | 'tcp'): Uint8Array | undefined => {
    const { id, questions } = decode(message);
    const name = questions?.[0]?.name ?? '';
    asked.push(`${transport} ${name}`);
    const content = zone(name, transport);
    return content && encode({ type: 'response', id, questions, ...content } as Packet);
  };
  const tcp = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data: Buffer) => {
      const sent = answer(data.subarray(2), 'tcp');
      if (sent) socket.end(Buffer.concat([Buffer.from([sent.length >> 8, sent.length & 255]), sent]));
    });
  });
  t.after(() => tcp.close());
  const udp = await bindBoth(tcp);
  t.after(() => udp.close());
  udp.on('message', (message, from) => {
    const sent = answer(message, 'udp');
    if (sent) udp.send(sent, from.port, from.address);
  });
  const { port } = udp.address();
  return { address: '127.0.0.1', port, asked };
}

/** One port for both, of those that nobody has. */
async function bindBoth(tcp: Server): Promise<Socket> {
  for (;;) {
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    const { port } = tcp.address() as { port: number };
    const udp = createSocket('udp4');
    const bound = await new Promise<boolean>((resolve) => {
      udp.once('error', () => resolve(false));
      udp.bind(port, '127.0.0.1', () => resolve(true));
    });
    if (bound) return udp;
    udp.close();
    await new Promise((resolve) => tcp.close(resolve));
  }
}

const a = (name: string, data: string, ttl = 60) => ({ answers: [{ type: 'A', name, ttl, data }] });
const addresses = (answers: readonly Answer[]): unknown[] => answers.map((one) => (one as { data: unknown }).data);
const options = { clock: systemClock, random: seededRandom(1), timeoutMs: 500 };

test('a stub domain has resolvers of its own, the longest that fits; all else goes to the usual ones', async (t) => {
  const corp = await resolver(t, (name) => a(name, '10.0.0.1'));
  const lab = await resolver(t, (name) => a(name, '10.0.0.2'));
  const usual = await resolver(t, (name) => a(name, '192.0.2.1'));
  const at = ({ address, port }: Upstream): string => `${address}:${port}`;
  const data = { stubDomains: JSON.stringify({ 'Corp.Example.': [at(corp)], 'lab.corp.example': [at(lab)] }) };
  const { settings, problems } = parseSettings({ data } as never);
  assert.deepEqual(problems, []);
  const forwarder = new Forwarder({ ...options, upstreamsOf: (name) => upstreamsFor(name, settings, [usual]) });
  const ask = async (name: string) => addresses((await forwarder.resolve(name, 'A')).answers);
  assert.deepEqual(await ask('db.corp.example'), ['10.0.0.1']);
  assert.deepEqual(await ask('x.lab.corp.example'), ['10.0.0.2']);
  assert.deepEqual(await ask('corp.example.org'), ['192.0.2.1']);
});

test('settings that cannot be read are named and left out; the rest holds', () => {
  const data = {
    stubDomains: '{"a.example": ["10.0.0.1", "nope"], "bad domain": ["10.0.0.1"], "c.example": "10.0.0.1"}',
    upstreamNameservers: '[',
  };
  const { settings, problems } = parseSettings({ data } as never);
  assert.deepEqual([...settings.stubDomains], [['a.example', [{ address: '10.0.0.1', port: 53 }]]]);
  assert.equal(settings.upstreams, undefined);
  assert.equal(problems.length, 4);
  assert.deepEqual(parseUpstream('[fd00::1]:5353'), { address: 'fd00::1', port: 5353 });
  for (const bad of ['10.0.0.1:0', '10.0.0.1:99999', 'host', '']) assert.equal(parseUpstream(bad), undefined);
  const usual = [{ address: '10.0.0.9', port: 53 }];
  assert.equal(upstreamsFor('a.example', noSettings, usual), usual);
});

test('a cut answer is fetched over TCP', async (t) => {
  const upstream = await resolver(t, (name, transport) =>
    transport === 'udp' ? { flags: 0x200 } : a(name, '192.0.2.7'),
  );
  const forwarder = new Forwarder({ ...options, upstreamsOf: () => [upstream] });
  assert.deepEqual(addresses((await forwarder.resolve('big.example', 'A')).answers), ['192.0.2.7']);
  assert.deepEqual(upstream.asked, ['udp big.example', 'tcp big.example']);
});

test('answers age; that there is no name is kept as long as the zone says; asked twice at a time is asked once', async (t) => {
  const soa = { mname: 'x', rname: 'x', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 8 };
  const upstream = await resolver(t, (name) =>
    name === 'is.example'
      ? a(name, '192.0.2.1', 20)
      : { flags: 3, authorities: [{ type: 'SOA', name: 'example', ttl: 60, data: soa }] },
  );
  const clock = new ManualClock();
  const forwarder = new Forwarder({ ...options, clock, upstreamsOf: () => [upstream] });
  await Promise.all([forwarder.resolve('is.example', 'A'), forwarder.resolve('is.example', 'A')]);
  await clock.advance(7_000);
  const [kept] = (await forwarder.resolve('is.example', 'A')).answers;
  assert.equal((kept as { ttl: number }).ttl, 13);
  assert.equal((await forwarder.resolve('not.example', 'A')).code, 'NXDOMAIN');
  await clock.advance(7_000);
  await forwarder.resolve('not.example', 'A');
  assert.deepEqual(upstream.asked, ['udp is.example', 'udp not.example']);
  await clock.advance(2_000);
  await forwarder.resolve('not.example', 'A');
  assert.equal(upstream.asked.length, 3);
});

test('a resolver that is away is asked last for a while; when all are, an old answer is given, or none soon', async (t) => {
  let silent = false;
  const first = await resolver(t, () => undefined);
  const second = await resolver(t, (name) => (silent ? undefined : a(name, '192.0.2.2', 1)));
  const forwarder = new Forwarder({ ...options, timeoutMs: 100, upstreamsOf: () => [first, second] });
  assert.deepEqual(addresses((await forwarder.resolve('one.example', 'A')).answers), ['192.0.2.2']);
  assert.deepEqual(addresses((await forwarder.resolve('two.example', 'A')).answers), ['192.0.2.2']);
  assert.deepEqual(first.asked, ['udp one.example']);
  silent = true;
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const old = await forwarder.resolve('one.example', 'A');
  assert.deepEqual([addresses(old.answers), (old.answers[0] as { ttl: number }).ttl], [['192.0.2.2'], 30]);
  assert.equal((await forwarder.resolve('three.example', 'A')).code, 'SERVFAIL');
  const before = first.asked.length + second.asked.length;
  assert.equal((await forwarder.resolve('three.example', 'A')).code, 'SERVFAIL');
  assert.equal(first.asked.length + second.asked.length, before, 'not asked again at once');
});

test('a resolver that asks back gets no storm: the same question is under way once', async (t) => {
  let forwarder: Forwarder | undefined;
  let asked = 0;
  const loop = await resolver(t, (name) => {
    asked++;
    void forwarder?.resolve(name, 'A');
    return undefined;
  });
  forwarder = new Forwarder({ ...options, timeoutMs: 200, upstreamsOf: () => [loop] });
  assert.equal((await forwarder.resolve('round.example', 'A')).code, 'SERVFAIL');
  assert.equal(asked, 1);
});

test('property of size: never more than some thousand answers are kept', async (t) => {
  const upstream = await resolver(t, (name) => a(name, '192.0.2.2'));
  const forwarder = new Forwarder({ ...options, timeoutMs: 20_000, upstreamsOf: () => [upstream] });
  for (let i = 0; i < 4_200; i += 100)
    await Promise.all(Array.from({ length: 100 }, (_, j) => forwarder.resolve(`n${i + j}.example`, 'A')));
  assert.ok(forwarder.size <= 4_000, `${forwarder.size}`);
});
