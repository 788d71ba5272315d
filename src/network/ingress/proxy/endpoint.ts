import { BlockList, connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Clock } from '#base';
import { BackendConnection, type BackendConnectionOwner } from './http1-backend.ts';
import type { BackendSession } from './http2-backend.ts';

export type BackendProtocol = 'http' | 'https' | 'h2c' | 'h2';

/** How long a connection to an endpoint may take to be made. Pods are a fraction of a millisecond away. */
const connectTimeoutMs = 1_500;
/** Shorter than what common servers keep idle connections for (five seconds). */
const idleMs = 4_000;
/** A request that cannot be sent twice takes no connection that may be closing just now. */
const freshIdleMs = 1_000;
const mostIdle = 256;
const firstDownMs = 1_000;
const longestDownMs = 10_000;
const mostSessions = 4;

const refused = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  refused.addSubnet(network, bits, 'ipv4');
refused.addAddress('::', 'ipv6');
refused.addAddress('::1', 'ipv6');
refused.addSubnet('fe80::', 10, 'ipv6');
refused.addSubnet('ff00::', 8, 'ipv6');

/** Whether requests may be sent to an address: never to this node's own loopback, nor to what answers on a link only. */
export function isAllowedAddress(address: string): boolean {
  const family = isIP(address);
  // IPv4 in the clothes of IPv6.
  if (/^::ffff:/i.test(address)) return false;
  return family !== 0 && !refused.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

export interface Waiting {
  /** A connection of HTTP/1.1, or a session of HTTP/2. */
  onConnection(connection: BackendConnection | BackendSession): void;
  onNoConnection(why: string): void;
}

/** One address and port of a backend, with its connections and what is known of its health. */
export class Endpoint implements BackendConnectionOwner {
  readonly address: string;
  readonly port: number;
  readonly protocol: BackendProtocol;
  /** Requests on their way. */
  active = 0;
  readonly #clock: Clock;
  readonly #allow: (address: string) => boolean;
  readonly #idle: BackendConnection[] = [];
  readonly #sessions: BackendSession[] = [];
  #waitingForSession: Waiting[] = [];
  #sessionComing = false;
  #downUntilMs = 0;
  #failures = 0;
  #doubts: (() => void)[] = [];
  #retired = false;

  constructor(options: {
    readonly address: string;
    readonly port: number;
    readonly protocol: BackendProtocol;
    readonly clock: Clock;
    readonly allow: (address: string) => boolean;
  }) {
    this.address = options.address;
    this.port = options.port;
    this.protocol = options.protocol;
    this.#clock = options.clock;
    this.#allow = options.allow;
  }

  /** Failed lately: others are asked first. After a while it is tried out, not with a request. */
  isDown(nowMs: number): boolean {
    if (this.#failures === 0) return false;
    if (nowMs >= this.#downUntilMs && this.#doubts.length === 0) this.probe(() => {});
    return this.#failures > 0;
  }

  markDown(): void {
    this.#failures++;
    const forMs = Math.min(longestDownMs, firstDownMs * 2 ** Math.min(8, this.#failures - 1));
    this.#downUntilMs = this.#clock.monotonicMs() + forMs;
    for (const one of this.#idle.splice(0)) one.abort();
  }

  markUp(): void {
    this.#failures = 0;
    this.#downUntilMs = 0;
  }

  /** A connection that is there already, else a new one. `onlyFresh`: the request must not meet a connection that closes. */
  connect(waiting: Waiting, onlyFresh: boolean): void {
    if (this.protocol === 'h2c' || this.protocol === 'h2') return this.#connectSession(waiting);
    const nowMs = this.#clock.monotonicMs();
    for (let one = this.#idle.pop(); one !== undefined; one = this.#idle.pop()) {
      const limitMs = onlyFresh ? freshIdleMs : Math.min(idleMs, (one.idleLimitMs ?? Number.POSITIVE_INFINITY) - 500);
      if (one.usable && nowMs - one.idleSinceMs < limitMs) return waiting.onConnection(one);
      one.abort();
    }
    this.#dial({
      done: (socket) => waiting.onConnection(new BackendConnection(socket, this)),
      failed: (why) => waiting.onNoConnection(why),
    });
  }

  /** Asks whether the endpoint still takes connections; `dead` is called when it does not. */
  probe(dead: () => void): void {
    this.#doubts.push(dead);
    if (this.#doubts.length > 1) return;
    this.#dial({
      plain: true,
      done: (socket) => {
        this.#doubts = [];
        this.markUp();
        socket.destroy();
      },
      failed: () => {
        const doubts = this.#doubts;
        this.#doubts = [];
        this.markDown();
        for (const one of this.#sessions) one.retire();
        for (const one of doubts) one();
      },
    });
  }

  /** Closes what is idle; what is at work ends by itself. */
  retire(): void {
    this.#retired = true;
    for (const one of this.#idle.splice(0)) one.abort();
    for (const one of this.#sessions) one.retire();
  }

  destroy(): void {
    this.retire();
    for (const one of this.#sessions.splice(0)) one.destroy();
  }

  /** Closes connections that were idle for longer than endpoints keep them. */
  sweep(nowMs: number): void {
    while (this.#idle.length > 0 && nowMs - (this.#idle[0] as BackendConnection).idleSinceMs > idleMs)
      this.#idle.shift()?.abort();
  }

  free(connection: BackendConnection): void {
    if (this.#retired || this.#idle.length >= mostIdle) return connection.abort();
    connection.idleSinceMs = this.#clock.monotonicMs();
    this.#idle.push(connection);
  }

  lost(connection: BackendConnection): void {
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  #connectSession(waiting: Waiting): void {
    let best: BackendSession | undefined;
    for (const one of this.#sessions)
      if (one.usable && (best === undefined || one.openStreams < best.openStreams)) best = one;
    if (best !== undefined && (best.openStreams < 64 || this.#sessions.length >= mostSessions))
      return waiting.onConnection(best);
    this.#waitingForSession.push(waiting);
    if (this.#sessionComing) return;
    this.#sessionComing = true;
    const failed = (why: string): void => {
      this.#sessionComing = false;
      for (const one of this.#takeWaiting()) one.onNoConnection(why);
    };
    const connected = (socket: Socket): void => {
      import('./http2-backend.ts').then(
        (module) => {
          this.#sessionComing = false;
          if (socket.destroyed) return failed('the connection was closed');
          const session = new module.BackendSession({
            socket,
            secure: this.protocol === 'h2',
            onClose: () => {
              const at = this.#sessions.indexOf(session);
              if (at !== -1) this.#sessions.splice(at, 1);
            },
          });
          this.#sessions.push(session);
          if (this.#retired) session.retire();
          for (const one of this.#takeWaiting()) one.onConnection(session);
        },
        (error) => failed(String(error)),
      );
    };
    this.#dial({ done: connected, failed });
  }

  #takeWaiting(): Waiting[] {
    const waiting = this.#waitingForSession;
    this.#waitingForSession = [];
    return waiting;
  }

  #dial(options: {
    readonly done: (socket: Socket) => void;
    readonly failed: (why: string) => void;
    /** Only whether there is an answer: no TLS. */
    readonly plain?: boolean;
  }): void {
    const { done, failed, plain = false } = options;
    if (!this.#allow(this.address)) return void queueMicrotask(() => failed('its address is not one of a backend'));
    const secure = !plain && (this.protocol === 'https' || this.protocol === 'h2');
    const to = { host: this.address, port: this.port, noDelay: true, keepAlive: true };
    // As other Ingress controllers: traffic to pods is encrypted, their certificates are their own.
    const socket: Socket = secure
      ? connectTls({ ...to, rejectUnauthorized: false, ALPNProtocols: [this.protocol === 'h2' ? 'h2' : 'http/1.1'] })
      : connectTcp(to);
    let settled = false;
    const timer = this.#clock.setTimer(
      () => socket.destroy(new Error(`no answer within ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    );
    const fail = (error?: Error): void => {
      if (settled) return;
      settled = true;
      timer.cancel();
      failed(error?.message ?? 'the connection was closed');
    };
    socket.on('error', fail);
    socket.once('close', () => fail());
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      if (settled) return;
      settled = true;
      timer.cancel();
      done(socket);
    });
  }
}
