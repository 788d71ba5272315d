import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { type Answer, decode, encode, type Packet, RECURSION_DESIRED } from 'dns-packet';
import type { Clock, Random } from '#base';
import { ednsRecord } from './edns.ts';
import type { Upstream } from './settings.ts';

export interface ForwarderOptions {
  /** Resolvers of a name, tried in order. */
  readonly upstreamsOf: (name: string) => readonly Upstream[];
  readonly clock: Clock;
  readonly random: Random;
  readonly timeoutMs?: number;
  readonly mostInFlight?: number;
}

export interface Forwarded {
  readonly code: string;
  readonly answers: readonly Answer[];
  readonly authorities: readonly Answer[];
}

interface Kept {
  readonly keptMs: number;
  readonly untilMs: number;
  readonly answer: Forwarded;
}

const failed: Forwarded = { code: 'SERVFAIL', answers: [], authorities: [] };
const longestKeptMs = 30_000;
/** No answer is kept too, for a moment: a resolver that is away is not asked for every question. */
const failureKeptMs = 2_000;
/** When all resolvers are away, an old answer is better than none. */
const staleMs = 3_600_000;
const staleSeconds = 30;
const mostKept = 4_000;
const largestKept = 4_096;
const restMs = 5_000;
const mostResting = 1_000;

/**
 * Asks resolvers outside the cluster; keeps answers for their time to live, at most 30 s, and that there is none for as long as the
 * zone says. One socket, port and number a question; the same question asked twice at a time is asked outside once, so that a resolver
 * that asks back gets no answer instead of a storm.
 */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #asked = new Map<string, Promise<Forwarded>>();
  /** Resolvers that did not answer lately: asked last until then. */
  readonly #restingUntilMs = new Map<string, number>();

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /** What was kept is no longer true: other resolvers are to be asked. */
  forget(): void {
    this.#kept.clear();
    this.#restingUntilMs.clear();
  }

  /** How many answers are kept. */
  get size(): number {
    return this.#kept.size;
  }

  async resolve(name: string, type: string): Promise<Forwarded> {
    const key = `${type} ${name}`;
    const nowMs = this.#options.clock.monotonicMs();
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.untilMs > nowMs) return aged(kept, nowMs);
    let asked = this.#asked.get(key);
    if (asked === undefined) {
      if (this.#asked.size >= (this.#options.mostInFlight ?? 512)) return failed;
      asked = this.#askAndKeep(key, name, type).finally(() => this.#asked.delete(key));
      this.#asked.set(key, asked);
    }
    return asked;
  }

  async #askAndKeep(key: string, name: string, type: string): Promise<Forwarded> {
    const { clock } = this.#options;
    const { answer, bytes } = await this.#ask(name, type);
    const nowMs = clock.monotonicMs();
    if (answer !== failed) {
      if (bytes <= largestKept) this.#keep(key, { keptMs: nowMs, untilMs: nowMs + keepForMs(answer), answer });
      return answer;
    }
    const old = this.#kept.get(key);
    if (old !== undefined && old.answer !== failed && nowMs - old.untilMs < staleMs) return stale(old.answer);
    if (old === undefined || old.answer === failed)
      this.#keep(key, { keptMs: nowMs, untilMs: nowMs + failureKeptMs, answer: failed });
    return failed;
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.delete(key);
    if (this.#kept.size >= mostKept) this.#kept.delete(this.#kept.keys().next().value as string);
    this.#kept.set(key, kept);
  }

  async #ask(name: string, type: string): Promise<{ answer: Forwarded; bytes: number }> {
    for (const upstream of this.#inOrder(this.#options.upstreamsOf(name))) {
      const id = this.#options.random.int(65_536);
      const query = encode({
        type: 'query',
        id,
        flags: RECURSION_DESIRED,
        questions: [{ type: type as 'A', name, class: 'IN' }],
        additionals: [ednsRecord],
      } as unknown as Packet);
      const accepts = (packet: Packet): boolean => {
        const question = packet.questions?.[0];
        return (
          packet.id === id &&
          packet.type === 'response' &&
          question?.name.toLowerCase() === name.toLowerCase() &&
          question.type === type
        );
      };
      let received = await this.#overUdp(upstream, query, accepts);
      if (received !== undefined && ((received.packet.flags ?? 0) & 0x200) !== 0)
        received = (await this.#overTcp(upstream, query, accepts)) ?? received;
      if (received === undefined) {
        this.#rest(upstream);
        continue;
      }
      this.#restingUntilMs.delete(nameOf(upstream));
      const { packet, bytes } = received;
      const code = (packet as { rcode?: string }).rcode ?? 'SERVFAIL';
      if (code === 'SERVFAIL' || code === 'REFUSED') continue;
      return { answer: { code, answers: packet.answers ?? [], authorities: packet.authorities ?? [] }, bytes };
    }
    return { answer: failed, bytes: 0 };
  }

  #inOrder(upstreams: readonly Upstream[]): Upstream[] {
    const nowMs = this.#options.clock.monotonicMs();
    const rests = (one: Upstream): boolean => (this.#restingUntilMs.get(nameOf(one)) ?? 0) > nowMs;
    return [...upstreams.filter((one) => !rests(one)), ...upstreams.filter(rests)];
  }

  #rest(upstream: Upstream): void {
    if (this.#restingUntilMs.size >= mostResting) this.#restingUntilMs.clear();
    this.#restingUntilMs.set(nameOf(upstream), this.#options.clock.monotonicMs() + restMs);
  }

  #overUdp(upstream: Upstream, query: Uint8Array, accepts: (packet: Packet) => boolean): Promise<Received | undefined> {
    return new Promise((resolve) => {
      const socket = createSocket(upstream.address.includes(':') ? 'udp6' : 'udp4');
      const end = (received: Received | undefined): void => {
        timer.cancel();
        socket.removeAllListeners();
        socket.on('error', () => {});
        socket.close();
        resolve(received);
      };
      const timer = this.#options.clock.setTimer(() => end(undefined), this.#options.timeoutMs ?? 2_000);
      socket.on('error', () => end(undefined));
      socket.on('message', (message) => {
        const packet = tryDecode(message);
        if (packet !== undefined && accepts(packet)) end({ packet, bytes: message.length });
      });
      socket.connect(upstream.port, upstream.address, () => socket.send(query));
    });
  }

  #overTcp(upstream: Upstream, query: Uint8Array, accepts: (packet: Packet) => boolean): Promise<Received | undefined> {
    return new Promise((resolve) => {
      const socket = connect({ host: upstream.address, port: upstream.port });
      let received = Buffer.alloc(0);
      const end = (found: Received | undefined): void => {
        timer.cancel();
        socket.destroy();
        resolve(found);
      };
      const timer = this.#options.clock.setTimer(() => end(undefined), this.#options.timeoutMs ?? 2_000);
      socket.on('error', () => end(undefined));
      socket.on('close', () => end(undefined));
      socket.on('connect', () => {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(query.length);
        socket.write(Buffer.concat([length, query]));
      });
      socket.on('data', (piece: Buffer) => {
        received = Buffer.concat([received, piece]);
        if (received.length < 2 || received.length < 2 + received.readUInt16BE()) return;
        const message = received.subarray(2, 2 + received.readUInt16BE());
        const packet = tryDecode(message);
        end(packet !== undefined && accepts(packet) ? { packet, bytes: message.length } : undefined);
      });
    });
  }
}

interface Received {
  readonly packet: Packet;
  readonly bytes: number;
}

const nameOf = ({ address, port }: Upstream): string => `${address} ${port}`;

const ttlOf = (record: Answer): number => ('ttl' in record ? (record.ttl ?? 0) : 0);

/** An answer for the least time of its records; that there is none for as long as the zone's SOA says (RFC 2308). */
function keepForMs({ answers, authorities }: Forwarded): number {
  if (answers.length > 0) return Math.min(longestKeptMs, Math.min(...answers.map(ttlOf)) * 1000);
  const authority = authorities.find((one) => one.type === 'SOA');
  const minimum = (authority as { data?: { minimum?: number } } | undefined)?.data?.minimum;
  return authority === undefined || minimum === undefined
    ? 5_000
    : Math.min(longestKeptMs, Math.min(ttlOf(authority), minimum) * 1000);
}

function aged({ keptMs, answer }: Kept, nowMs: number): Forwarded {
  const seconds = Math.floor((nowMs - keptMs) / 1000);
  return seconds === 0 ? answer : withTtls(answer, (ttl) => Math.max(0, ttl - seconds));
}

const stale = (answer: Forwarded): Forwarded => withTtls(answer, () => staleSeconds);

function withTtls({ code, answers, authorities }: Forwarded, change: (ttl: number) => number): Forwarded {
  const each = (one: Answer): Answer => ('ttl' in one ? ({ ...one, ttl: change(one.ttl ?? 0) } as Answer) : one);
  return { code, answers: answers.map(each), authorities: authorities.map(each) };
}

function tryDecode(message: Buffer): Packet | undefined {
  try {
    return decode(message);
  } catch {
    return undefined;
  }
}
