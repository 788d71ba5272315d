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
import type { Random } from '#base';
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
  BADVERS: 0,
};

/** Encoded answers kept of names that have not changed since. */
const mostReady = 4_096;
const longestQuestion = 512;
/** A Service may stand for a Service that stands for a Service …: so many names are followed. */
const longestChain = 8;
const badVersion = 16;

export interface ResolverOptions {
  readonly names: ClusterNames;
  readonly forwarder: Pick<Forwarder, 'resolve'>;
  /** The reverse name of this address is never asked outside. */
  readonly ownReverseZone: (address: string) => boolean;
  readonly random: Random;
}

/**
 * Answers one DNS message: names of the cluster from the table, addresses of the cluster backwards, all else from the resolvers
 * outside. Returns undefined for what is not a question (dropped without an answer).
 */
export class Resolver {
  readonly #names: ClusterNames;
  readonly #forwarder: Pick<Forwarder, 'resolve'>;
  readonly #ownReverseZone: (address: string) => boolean;
  readonly #random: Random;
  /** Bytes of a question (all but its number) → bytes of the answer, while the names are those of `#readyVersion`. */
  readonly #ready = new Map<string, Buffer>();
  #readyVersion = -1;

  constructor(options: ResolverOptions) {
    this.#names = options.names;
    this.#forwarder = options.forwarder;
    this.#ownReverseZone = options.ownReverseZone;
    this.#random = options.random;
  }

  /** How many encoded answers are kept. */
  get ready(): number {
    return this.#ready.size;
  }

  /** `limit`: the most bytes that the transport carries; 0 = no limit. A promise only when the outside has to be asked. */
  answer(message: Buffer, limit: number): Buffer | undefined | Promise<Buffer | undefined> {
    if (this.#readyVersion !== this.#names.version) {
      this.#ready.clear();
      this.#readyVersion = this.#names.version;
    }
    const key = `${limit} ${message.toString('latin1', 2)}`;
    const ready = this.#ready.get(key);
    if (ready !== undefined) {
      const copy = Buffer.from(ready);
      message.copy(copy, 0, 0, 2);
      return copy;
    }
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
    const edns = query.additionals?.find((one) => one.type === 'OPT') as
      | { udpPayloadSize?: number; ednsVersion?: number }
      | undefined;
    const most = limit === 0 ? 0 : Math.min(limit, Math.max(512, edns?.udpPayloadSize ?? 512));
    if ((edns?.ednsVersion ?? 0) !== 0) return reply(query, { code: 'BADVERS', answers: [] }, most);
    const name = question.name.toLowerCase();
    const type = question.type as string;
    if (this.#names.owns(name)) {
      const answered = this.#fromCluster(query, name, type, most);
      if (answered instanceof Promise) return answered;
      // Several addresses take turns in being the first, so their answer is made anew each time.
      if (!answered.turns && message.length <= longestQuestion && this.#ready.size < mostReady)
        this.#ready.set(key, answered.message);
      return answered.message;
    }
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
        if (this.#ownReverseZone(address))
          return reply(query, { code: 'NXDOMAIN', answers: [], authorities: [this.#startOfAuthority()] }, most);
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

  #fromCluster(
    query: Packet,
    name: string,
    type: string,
    most: number,
  ): { message: Buffer; turns: boolean } | Promise<Buffer> {
    if (type === 'SOA' && name === this.#names.domain)
      return { message: reply(query, { code: 'NOERROR', answers: [this.#startOfAuthority()] }, most), turns: false };
    const first = this.#names.lookup(name, type);
    let { follow } = first;
    const records = [...first.answers];
    const seen = new Set([name]);
    // Aliases inside the cluster are followed here, each once; the last may lead outside.
    while (follow !== undefined && (type === 'A' || type === 'AAAA')) {
      const target = follow.toLowerCase().replace(/\.$/, '');
      if (!this.#names.owns(target)) break;
      follow = undefined;
      if (seen.has(target) || seen.size > longestChain) break;
      seen.add(target);
      const next = this.#names.lookup(target, type);
      records.push(...next.answers);
      follow = next.follow;
    }
    const addresses = records.filter((one) => one.type === 'A');
    const turns = addresses.length > 1;
    const turned = turns ? [...records.filter((one) => one.type !== 'A'), ...this.#turn(addresses)] : records;
    const result = {
      code: first.exists ? 'NOERROR' : 'NXDOMAIN',
      answers: turned.map(withTtl),
      additional: first.additional.map(withTtl),
      authorities: records.length > 0 ? [] : [this.#startOfAuthority()],
    };
    if (follow === undefined || (type !== 'A' && type !== 'AAAA'))
      return { message: reply(query, result, most), turns };
    return this.#forwarder
      .resolve(follow.toLowerCase().replace(/\.$/, ''), type)
      .then((outside) => reply(query, { ...result, answers: [...result.answers, ...outside.answers] }, most));
  }

  #turn<T>(list: readonly T[]): T[] {
    const from = this.#random.int(list.length);
    return [...list.slice(from), ...list.slice(0, from)];
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
  } as Packet;
  const edns = query.additionals?.some((one) => one.type === 'OPT') === true;
  const options = content.code === 'BADVERS' ? { ...ednsRecord, extendedRcode: badVersion >> 4 } : ednsRecord;
  const withOptions = (additionals: readonly unknown[]): Packet['additionals'] =>
    (edns ? [...additionals, options] : additionals) as Packet['additionals'];
  const whole = encode({ ...packet, additionals: withOptions(content.additional ?? []) });
  if (most === 0 || whole.length <= most) return whole;
  const lean = { ...packet, authorities: [], additionals: withOptions([]) };
  const cut = { ...lean, flags: flags | TRUNCATED_RESPONSE };
  const complete = encode(lean);
  if (complete.length <= most) return complete;
  // Some ask no second time over TCP: as many answers as fit are better than none.
  let fits = 0;
  for (let tooMany = content.answers.length; tooMany - fits > 1; ) {
    const middle = (fits + tooMany) >> 1;
    if (encode({ ...cut, answers: content.answers.slice(0, middle) } as Packet).length <= most) fits = middle;
    else tooMany = middle;
  }
  return encode({ ...cut, answers: content.answers.slice(0, fits) } as Packet);
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
