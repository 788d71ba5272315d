import type { TransportRequest, TransportResponse } from '../transport.ts';
import {
  ConnectionFailed,
  type HttpsTransport,
  type HttpsTransportOptions,
  openHttpsTransport,
} from './https-transport.ts';

/** A transport to several servers that serve the same. */
export interface FailoverTransport extends HttpsTransport {
  /** The servers from now on, the preferred one first; none: those of before stay. Requests in flight, watches too, go on. */
  setServers(servers: readonly string[]): void;
}

export type FailoverTransportOptions = Omit<HttpsTransportOptions, 'server'> & { readonly servers: readonly string[] };

/** A server that is gone without a word is given up within about ten seconds. */
const impatience = { connectTimeoutMs: 4000, pingEveryMs: 5000, pingTimeoutMs: 4000 } as const;

/**
 * Speaks to one of several servers, and to the next when that one fails. A request that did not leave, or a read that got no answer, is
 * made again there; a write that got none is not: whether it was done is the caller's to find out, at the next server.
 */
export function openFailoverTransport(options: FailoverTransportOptions): FailoverTransport {
  const { servers: first, ...common } = options;
  const open = new Map<string, HttpsTransport>();
  let servers = [...new Set(first)];
  let at = 0;
  let closed = false;

  const transportTo = (server: string): HttpsTransport => {
    let found = open.get(server);
    if (found === undefined) {
      found = openHttpsTransport({ ...common, ...(servers.length > 1 ? impatience : {}), server });
      open.set(server, found);
    }
    return found;
  };
  const leave = (server: string): void => {
    if (servers[at % servers.length] === server) at = (at + 1) % servers.length;
  };
  return {
    async request(request: TransportRequest): Promise<TransportResponse> {
      for (let attempt = 1; ; attempt++) {
        const server = servers[at % servers.length] as string;
        try {
          const response = await transportTo(server).request(request);
          // It lives, but cannot do its work: its store does not answer.
          if (response.status === 503 || response.status === 504) leave(server);
          return response;
        } catch (error) {
          if (!(error instanceof ConnectionFailed) || closed) throw error;
          leave(server);
          const again = error.notSent || request.method === 'GET';
          if (!again || attempt >= servers.length) throw error;
        }
      }
    },
    setServers(next) {
      const wanted = [...new Set(next)];
      if (wanted.length === 0 || wanted.join() === servers.join()) return;
      const current = servers[at % servers.length] as string;
      servers = wanted;
      at = Math.max(0, wanted.indexOf(current));
      for (const [server, transport] of open) {
        if (wanted.includes(server)) continue;
        open.delete(server);
        transport.retire();
      }
    },
    reconnect() {
      for (const transport of open.values()) transport.reconnect();
    },
    retire() {
      for (const transport of open.values()) transport.retire();
    },
    async close() {
      closed = true;
      await Promise.all([...open.values()].map((one) => one.close()));
    },
  };
}
