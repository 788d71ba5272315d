import { isIP } from 'node:net';
import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type Packet,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import { ednsRecord } from './edns.ts';
import type { Forwarder } from './forward.ts';
import type { ClusterNames, DnsRecord } from './names.ts';

const ttlSeconds = 5;
const codes: Readonly<Record<string, number>> = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
};

/**
 * Answers one DNS message: names of the cluster from the table, addresses of the cluster backwards, all else from the resolvers
 * outside. Returns undefined for what is not a question (dropped without an answer).
 */
export class Resolver {
  readonly #names: ClusterNames;
  readonly #forwarder: Forwarder;
  readonly #ownReverseZone: (address: string) => boolean;

  constructor(options: { names: ClusterNames; forwarder: Forwarder; ownReverseZone: (address: string) => boolean }) {
    this.#names = options.names;
    this.#forwarder = options.forwarder;
    this.#ownReverseZone = options.ownReverseZone;
  }

  /** `limit`: the most bytes that the transport carries; 0 = no limit. A promise only when the outside has to be asked. */
  answer(message: Buffer, limit: number): Buffer | undefined | Promise<Buffer | undefined> {
    let query: Packet;
    try {
      query = decode(message);
    } catch {
      return message.length < 12 || (message[2] as number) & 0x80 ? undefined : formatError(message);
    }
    if (query.type !== 'query') return undefined;
    const question = query.questions?.[0];
    if (query.questions?.length !== 1 || question === undefined) return formatError(message);
    if ((((message[2] as number) >> 3) & 15) !== 0) return reply(query, { code: 'NOTIMP', answers: [] }, limit);
    const edns = query.additionals?.find((one) => one.type === 'OPT') as { udpPayloadSize?: number } | undefined;
    const most = limit === 0 ? 0 : Math.min(limit, Math.max(512, edns?.udpPayloadSize ?? 512));
    const name = question.name.toLowerCase();
    const type = question.type as string;
    if (this.#names.owns(name)) return this.#fromCluster(query, name, type, most);
    if (type === 'PTR') {
      const address = addressOf(name);
      if (address !== undefined && isIP(address) === 4) {
        const found = this.#names.pointer(address);
        if (found !== undefined)
          return reply(
            query,
            { code: 'NOERROR', answers: found.map((data) => ({ type: 'PTR', name, data, ttl: ttlSeconds }) as Answer) },
            most,
          );
        if (this.#ownReverseZone(address)) return reply(query, { code: 'NXDOMAIN', answers: [] }, most);
      }
    }
    return this.#forwarder
      .resolve(name, type)
      .then((outside) =>
        reply(
          query,
          { code: outside.code, answers: outside.answers, authorities: outside.authorities, authoritative: false },
          most,
        ),
      );
  }

  #fromCluster(query: Packet, name: string, type: string, most: number): Buffer | Promise<Buffer> {
    const { exists, answers, additional, follow } = this.#names.lookup(name, type);
    const authorities = answers.length > 0 ? [] : [this.#startOfAuthority()];
    const result = {
      code: exists ? 'NOERROR' : 'NXDOMAIN',
      answers: answers.map(withTtl),
      additional: additional.map(withTtl),
      authorities,
    };
    if (follow === undefined || (type !== 'A' && type !== 'AAAA')) return reply(query, result, most);
    const target = follow.toLowerCase();
    if (this.#names.owns(target)) {
      const inside = this.#names.lookup(target, type);
      return reply(query, { ...result, answers: [...result.answers, ...inside.answers.map(withTtl)] }, most);
    }
    return this.#forwarder
      .resolve(target, type)
      .then((outside) => reply(query, { ...result, answers: [...result.answers, ...outside.answers] }, most));
  }

  #startOfAuthority(): Answer {
    const { domain } = this.#names;
    const data = {
      mname: `ns.dns.${domain}`,
      rname: `hostmaster.${domain}`,
      serial: 1,
      refresh: 7200,
      retry: 1800,
      expire: 86_400,
      minimum: ttlSeconds,
    };
    return { type: 'SOA', name: domain, ttl: ttlSeconds, data } as Answer;
  }
}

function withTtl(record: DnsRecord): Answer {
  return { ...record, ttl: ttlSeconds } as Answer;
}

interface Reply {
  readonly code: string;
  readonly answers: readonly Answer[];
  readonly additional?: readonly Answer[];
  readonly authorities?: readonly Answer[];
  readonly authoritative?: boolean;
}

function reply(query: Packet, content: Reply, most: number): Buffer {
  const flags =
    (content.authoritative === false ? 0 : AUTHORITATIVE_ANSWER) |
    RECURSION_AVAILABLE |
    ((query.flags ?? 0) & RECURSION_DESIRED) |
    (codes[content.code] ?? 2);
  const packet = {
    type: 'response',
    id: query.id,
    flags,
    questions: query.questions,
    answers: content.answers,
    authorities: content.authorities ?? [],
    additionals: [...(content.additional ?? [])],
  } as Packet;
  if (query.additionals?.some((one) => one.type === 'OPT')) {
    (packet.additionals as unknown[]).push(ednsRecord);
  }
  const whole = encode(packet);
  if (most === 0 || whole.length <= most) return whole;
  const lean = encode({ ...packet, additionals: [] } as Packet);
  if (lean.length <= most) return lean;
  return encode({
    ...packet,
    flags: flags | TRUNCATED_RESPONSE,
    answers: [],
    authorities: [],
    additionals: [],
  } as Packet);
}

function formatError(message: Buffer): Buffer {
  const header = Buffer.alloc(12);
  message.copy(header, 0, 0, 2);
  header[2] = 0x80;
  header[3] = 1;
  return header;
}

/** `4.3.2.10.in-addr.arpa` → `10.2.3.4`. */
function addressOf(name: string): string | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name);
  return match ? `${match[4]}.${match[3]}.${match[2]}.${match[1]}` : undefined;
}
