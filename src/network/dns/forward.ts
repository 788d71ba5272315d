import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { type Answer, decode, encode, type Packet, RECURSION_DESIRED } from 'dns-packet';
import type { Clock, Random } from '#base';
import { ednsRecord } from './edns.ts';

export interface ForwarderOptions {
  /** Addresses of resolvers, tried in order. */
  readonly upstreams: readonly string[];
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

const failed: Forwarded = { code: 'SERVFAIL', answers: [], authorities: [] };
const longestKeptMs = 30_000;
const mostKept = 10_000;

/** Asks resolvers outside the cluster; keeps answers for their time to live, at most 30 s. One socket, port and number a question. */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #kept = new Map<string, { readonly untilMs: number; readonly answer: Forwarded }>();
  readonly #asked = new Map<string, Promise<Forwarded>>();

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  async resolve(name: string, type: string): Promise<Forwarded> {
    const key = `${type} ${name}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.untilMs > this.#options.clock.monotonicMs()) return kept.answer;
    let asked = this.#asked.get(key);
    if (asked === undefined) {
      if (this.#asked.size >= (this.#options.mostInFlight ?? 512)) return failed;
      asked = this.#ask(name, type).finally(() => this.#asked.delete(key));
      this.#asked.set(key, asked);
    }
    const answer = await asked;
    if (answer !== failed) this.#keep(key, answer);
    return answer;
  }

  #keep(key: string, answer: Forwarded): void {
    if (this.#kept.size >= mostKept) this.#kept.delete(this.#kept.keys().next().value as string);
    const ttls = answer.answers.map((one) => ('ttl' in one ? (one.ttl ?? 0) : 0));
    const keptMs = Math.min(longestKeptMs, (ttls.length === 0 ? 5 : Math.min(...ttls)) * 1000);
    this.#kept.delete(key);
    this.#kept.set(key, { untilMs: this.#options.clock.monotonicMs() + keptMs, answer });
  }

  async #ask(name: string, type: string): Promise<Forwarded> {
    for (const upstream of this.#options.upstreams) {
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
      let packet = await this.#overUdp(upstream, query, accepts);
      if (packet !== undefined && ((packet.flags ?? 0) & 0x200) !== 0)
        packet = (await this.#overTcp(upstream, query, accepts)) ?? packet;
      if (packet === undefined) continue;
      const code = (packet as { rcode?: string }).rcode ?? 'SERVFAIL';
      if (code === 'SERVFAIL' || code === 'REFUSED') continue;
      return { code, answers: packet.answers ?? [], authorities: packet.authorities ?? [] };
    }
    return failed;
  }

  #overUdp(upstream: string, query: Uint8Array, accepts: (packet: Packet) => boolean): Promise<Packet | undefined> {
    return new Promise((resolve) => {
      const socket = createSocket(upstream.includes(':') ? 'udp6' : 'udp4');
      const end = (packet: Packet | undefined): void => {
        timer.cancel();
        socket.close();
        resolve(packet);
      };
      const timer = this.#options.clock.setTimer(() => end(undefined), this.#options.timeoutMs ?? 2_000);
      socket.on('error', () => end(undefined));
      socket.on('message', (message) => {
        const packet = tryDecode(message);
        if (packet !== undefined && accepts(packet)) end(packet);
      });
      socket.connect(53, upstream, () => socket.send(query));
    });
  }

  #overTcp(upstream: string, query: Uint8Array, accepts: (packet: Packet) => boolean): Promise<Packet | undefined> {
    return new Promise((resolve) => {
      const socket = connect({ host: upstream, port: 53 });
      let received = Buffer.alloc(0);
      const end = (packet: Packet | undefined): void => {
        timer.cancel();
        socket.destroy();
        resolve(packet);
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
        const packet = tryDecode(received.subarray(2, 2 + received.readUInt16BE()));
        end(packet !== undefined && accepts(packet) ? packet : undefined);
      });
    });
  }
}

function tryDecode(message: Buffer): Packet | undefined {
  try {
    return decode(message);
  } catch {
    return undefined;
  }
}
