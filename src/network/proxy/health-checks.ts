import type { Server } from 'node:http';
import { type Closable, type Log, messageOf, nodeHttp } from '#base';

/** What the healthCheckNodePort of a Service tells a load balancer of this node. */
export interface HealthCheck {
  readonly namespace: string;
  readonly name: string;
  readonly localEndpoints: number;
}

const mostConnections = 64;
const idleMs = 10_000;

/**
 * Answers on the healthCheckNodePort of Services with externalTrafficPolicy Local: 200 while this node has endpoints, else 503. It is
 * read by load balancers, which have no identity: one small answer without secrets, whatever is asked.
 */
export class HealthCheckServers implements Closable {
  readonly #log: Log;
  readonly #servers = new Map<number, Server>();
  #checks: ReadonlyMap<number, HealthCheck> = new Map();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Port → what it tells. Ports that are new begin to listen, those left out stop. */
  set(checks: ReadonlyMap<number, HealthCheck>): void {
    this.#checks = checks;
    for (const [port, server] of this.#servers) if (!checks.has(port)) this.#stop(port, server);
    for (const port of checks.keys()) if (!this.#servers.has(port)) this.#listen(port);
  }

  async close(): Promise<void> {
    for (const [port, server] of this.#servers) this.#stop(port, server);
  }

  #listen(port: number): void {
    const server = nodeHttp.createServer((request, response) => {
      request.resume();
      const check = this.#checks.get(port);
      const count = check?.localEndpoints ?? 0;
      const body = {
        service: { namespace: check?.namespace ?? '', name: check?.name ?? '' },
        localEndpoints: count,
        serviceProxyHealthy: true,
      };
      response.writeHead(count > 0 ? 200 : 503, {
        'content-type': 'application/json',
        'x-content-type-options': 'nosniff',
        'x-load-balancing-endpoint-weight': String(count),
        connection: 'close',
      });
      response.end(JSON.stringify(body));
    });
    server.maxConnections = mostConnections;
    server.maxRequestsPerSocket = 1;
    server.headersTimeout = idleMs;
    server.requestTimeout = idleMs;
    server.setTimeout(idleMs, (socket) => socket.destroy());
    server.on('error', (error) => {
      this.#log.warn({ port, error: messageOf(error) }, 'the health check port of a Service cannot be opened');
      this.#servers.delete(port);
    });
    server.listen(port, '0.0.0.0');
    this.#servers.set(port, server);
  }

  #stop(port: number, server: Server): void {
    this.#servers.delete(port);
    server.close();
    server.closeAllConnections();
  }
}
