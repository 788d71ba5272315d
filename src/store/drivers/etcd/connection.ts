import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { type Clock, CodedError, type Log, sleep, type Timer } from '#base';
import { StoreClosed, StoreUnavailable, WriteUnknown } from '../../errors.ts';
import { type EtcdFailure, failureOf, Lost } from './failures.ts';
import type { Method } from './messages.ts';
import type { Decoded, Encodable, Fields, Message } from './protobuf.ts';

export interface EtcdTls {
  /** PEM of the authority of the servers' certificates. */
  readonly ca: string;
  /** PEM, both or none. */
  readonly cert?: string;
  readonly key?: string;
}

export interface EtcdConnectionOptions {
  /** `https://host:port` or `http://host:port`, the preferred one first. */
  readonly urls: readonly string[];
  readonly tls?: EtcdTls | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export interface CallOptions {
  /** In all, over every attempt and member. */
  readonly limitMs?: number;
  /** One attempt. */
  readonly attemptMs?: number;
  /**
   * The call changes something: it matters whether it was done. `once`: it is not made again when an earlier attempt may have been
   * done. Absent: it may be made as often as it takes.
   */
  readonly changes?: 'once' | 'again';
}

export interface Answer<T> {
  readonly value: T;
  /** An earlier attempt of the same call may have been done as well. */
  readonly repeated: boolean;
}

/** A stream of answers to one request, which can be held up. */
export interface AnswerStream {
  pause(): void;
  resume(): void;
  cancel(): void;
}

const defaultLimitMs = 8000;
const defaultAttemptMs = 3000;
const firstPauseMs = 50;
const longestPauseMs = 500;

const channelOptions = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.enable_http_proxy': 0,
  'grpc.enable_retries': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  // etcd refuses pings more often than every five seconds.
  'grpc.keepalive_time_ms': 6000,
  'grpc.keepalive_timeout_ms': 3000,
} as const;

/**
 * Calls to a cluster of etcd. All go to one member until it fails; the next attempt goes to the next one. A member that has lost its
 * leader says so at once instead of keeping a call waiting.
 */
export class EtcdConnection {
  readonly #clients: Client[];
  readonly #urls: string[];
  readonly #tls: EtcdTls | undefined;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #closing = new AbortController();
  readonly #metadata = new Metadata();
  #current = 0;

  constructor(options: EtcdConnectionOptions) {
    this.#urls = [...options.urls];
    this.#tls = options.tls;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#clients = options.urls.map((url) => openClient(url, options.tls));
    this.#metadata.set('hasleader', 'true');
  }

  /** How many members are known. */
  get size(): number {
    return this.#clients.length;
  }

  /** More members, which are asked after those that are known. */
  learn(urls: readonly string[]): void {
    for (const url of urls) {
      if (this.#urls.includes(url) || this.#closing.signal.aborted) continue;
      this.#clients.push(openClient(url, this.#tls));
      this.#urls.push(url);
    }
  }

  /** The member that is asked next: its place in the list of URLs. */
  get member(): number {
    return this.#current;
  }

  /**
   * Makes a call until a member answers. Throws EtcdError for an answer that is an error, StoreUnavailable when none came and nothing
   * was done, WriteUnknown when none came and something may have been done.
   */
  async call<Q extends Fields, A extends Fields>(
    method: Method<Q, A>,
    request: Encodable<Message<Q>>,
    options: CallOptions = {},
  ): Promise<Answer<Decoded<Message<A>>>> {
    const { limitMs = defaultLimitMs, attemptMs = defaultAttemptMs, changes } = options;
    const untilMs = this.#clock.monotonicMs() + limitMs;
    let repeated = false;
    for (let failures = 0; ; ) {
      const member = this.#current;
      const leftMs = untilMs - this.#clock.monotonicMs();
      // What cannot be tried again has all the time there is.
      const tryMs = changes === 'once' ? leftMs : Math.min(attemptMs, leftMs);
      let failure: EtcdFailure;
      try {
        const value = await this.callMember(member, method, request, Math.max(1, tryMs));
        return { value, repeated };
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        failure = error;
      }
      if (this.#closing.signal.aborted) throw new StoreClosed('it was closed');
      if (failure.mayBeDone && changes !== undefined) repeated = true;
      this.leave(member, failure.message);
      const over = this.#clock.monotonicMs() >= untilMs;
      if (repeated && (over || changes === 'once')) throw new WriteUnknown(failure.message, { cause: failure });
      if (over) throw new StoreUnavailable(failure.message, { cause: failure });
      failures++;
      if (failures % this.#clients.length === 0) {
        const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(10, failures / this.#clients.length));
        await sleep(this.#clock, pauseMs, this.#closing.signal).catch(() => {});
      }
    }
  }

  /** One attempt at one member. Throws EtcdError or Lost. */
  callMember<Q extends Fields, A extends Fields>(
    member: number,
    method: Method<Q, A>,
    request: Encodable<Message<Q>>,
    timeoutMs: number,
  ): Promise<Decoded<Message<A>>> {
    if (this.#closing.signal.aborted) return Promise.reject(new StoreClosed('it was closed'));
    const client = this.#clients[member] as Client;
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest<Encodable<Message<Q>>, Decoded<Message<A>>>(
        method.path,
        (value) => method.request.encode(value),
        (bytes) => method.response.decode(bytes),
        request,
        this.#metadata,
        { deadline: this.#clock.nowMs() + timeoutMs },
        (error, value) => {
          if (error === null) resolve(value as Decoded<Message<A>>);
          else reject(this.#closing.signal.aborted ? new StoreClosed('it was closed') : failureOf(error));
        },
      );
    });
  }

  /**
   * One request to the current member, answered by a stream. `onEnd` is called once: with what ended it, or undefined when it was
   * cancelled here.
   */
  stream<Q extends Fields, A extends Fields>(
    method: Method<Q, A>,
    request: Encodable<Message<Q>>,
    handlers: { onAnswer: (value: Decoded<Message<A>>) => void; onEnd: (why: EtcdFailure | undefined) => void },
  ): AnswerStream {
    if (this.#closing.signal.aborted) {
      queueMicrotask(() => handlers.onEnd(undefined));
      return { pause() {}, resume() {}, cancel() {} };
    }
    const member = this.#current;
    const call = (this.#clients[member] as Client).makeBidiStreamRequest<Encodable<Message<Q>>, Decoded<Message<A>>>(
      method.path,
      (value) => method.request.encode(value),
      (bytes) => method.response.decode(bytes),
      this.#metadata,
    );
    let cancelled = false;
    let ended = false;
    const end = (error: ServiceError | undefined): void => {
      if (ended) return;
      ended = true;
      const why = cancelled ? undefined : failureOf(error ?? { code: status.UNAVAILABLE, details: 'it was ended' });
      if (why instanceof Lost) this.leave(member, why.message);
      handlers.onEnd(why);
    };
    call.on('data', (value: Decoded<Message<A>>) => {
      if (!ended && !cancelled) handlers.onAnswer(value);
    });
    call.on('error', end);
    call.on('end', () => end(undefined));
    call.write(request);
    return {
      pause: () => void call.pause(),
      resume: () => void call.resume(),
      cancel: () => {
        cancelled = true;
        call.cancel();
        end(undefined);
      },
    };
  }

  timer(delayMs: number, callback: () => void): Timer {
    return this.#clock.setTimer(callback, delayMs);
  }

  /** Goes on to the next member, unless someone else did already. */
  leave(member: number, why: string): void {
    if (this.#current !== member || this.#closing.signal.aborted) return;
    this.#current = (member + 1) % this.#clients.length;
    this.#log.debug({ member: this.#urls[member], next: this.#urls[this.#current], why }, 'a member of etcd failed');
  }

  close(): void {
    this.#closing.abort(new StoreClosed('it was closed'));
    for (const client of this.#clients) client.close();
  }
}

function openClient(url: string, tls: EtcdTls | undefined): Client {
  const parsed = parseUrl(url);
  const target = `dns:${parsed.hostname}:${parsed.port === '' ? '2379' : parsed.port}`;
  if (parsed.protocol === 'http:') return new Client(target, credentials.createInsecure(), channelOptions);
  const pem = (one: string | undefined): Buffer | null => (one === undefined ? null : Buffer.from(one));
  const host = parsed.hostname.replace(/^\[|\]$/g, '');
  const checks = { checkServerIdentity: (_name: string, shown: PeerCertificate) => checkServerIdentity(host, shown) };
  const secure = credentials.createSsl(pem(tls?.ca), pem(tls?.key), pem(tls?.cert), checks);
  // TLS has no way to ask for an address: its name in the certificate is checked above.
  const named = isIP(host) === 0 ? {} : { 'grpc.ssl_target_name_override': 'localhost' };
  return new Client(target, secure, { ...channelOptions, ...named });
}

function parseUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !['http:', 'https:'].includes(parsed.protocol) || parsed.pathname.length > 1) {
    throw new CodedError('StoreAddress', `"${url}" is no address of an etcd: use https://HOST:2379`);
  }
  return parsed;
}
