import type { Server as HttpServer } from 'node:http';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import type { Ingress } from '#api';
import { nodeHttp, silentLog, systemClock, systemRandom } from '#base';
import { createAuthority, issueCertificate } from '#pki';
import { createSecureContext } from 'node:tls';
import { planIngress } from '../plan-ingress.ts';
import { RouteTable } from '../route-table.ts';
import { Proxy } from './proxy.ts';
import { Endpoints, Upstream, type UpstreamState } from './upstream.ts';

/** A proxy on loopback whose Services are named in the test. */
export interface Bed {
  readonly proxy: Proxy;
  readonly http: number;
  readonly https: number;
  readonly ca: string;
  /** A Service leads elsewhere from now on. */
  redirect(service: string, state: Partial<UpstreamState>): void;
  close(): Promise<void>;
}

/** Any port is a backend's: each Service name leads to the state given for it. */
export async function openBed(options: {
  readonly ingresses: readonly Ingress[];
  readonly services: Readonly<Record<string, Partial<UpstreamState>>>;
  readonly mostHeldBytes?: number;
  readonly handshakeMs?: number;
}): Promise<Bed> {
  const endpoints = new Endpoints({ clock: systemClock, allow: () => true });
  const nowMs = systemClock.nowMs();
  const authority = createAuthority({ commonName: 'test', days: 1, nowMs });
  const issued = issueCertificate(authority, {
    commonName: 'localhost',
    usages: ['server'],
    dnsNames: ['localhost', 'tls.test', '*.tls.test'],
    days: 1,
    nowMs,
  });
  const pair = { cert: issued.certificatePem, key: issued.keyPem };
  const context = createSecureContext(pair);
  const proxy = new Proxy({
    endpoints,
    certificateOf: () => context,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    ...(options.mostHeldBytes === undefined ? {} : { mostHeldBytes: options.mostHeldBytes }),
    ...(options.handshakeMs === undefined ? {} : { handshakeMs: options.handshakeMs }),
  });
  const plan = planIngress(options.ingresses);
  const table = new RouteTable(plan);
  const upstreams = new Map<string, Upstream>();
  for (const [key, backend] of table.backends) {
    const state = options.services[backend.service];
    if (state === undefined) continue;
    const upstream = new Upstream({
      clock: systemClock,
      endpoints,
      resolve: async () => ({ addresses: [], ttlSeconds: 1 }),
    });
    upstream.update({ targets: [], protocol: backend.protocol ?? 'http', sticky: false, ...state });
    upstreams.set(key, upstream);
  }
  proxy.setRoutes(table, upstreams);
  const http = await proxy.listenHttp('127.0.0.1', 0);
  const https = await proxy.listenHttps('127.0.0.1', 0, pair);
  return {
    proxy,
    http: http.port,
    https: https.port,
    ca: authority.certificatePem,
    redirect(service, state) {
      for (const [key, backend] of table.backends)
        if (backend.service === service)
          upstreams.get(key)?.update({ targets: [], protocol: 'http', sticky: false, ...state });
    },
    async close() {
      void http.close();
      void https.close();
      await proxy.close(0);
      endpoints.close();
    },
  };
}

/** An Ingress that sends everything (or `paths`) of one host to Services by name. */
export function anIngress(options: {
  readonly name?: string;
  readonly host?: string;
  readonly paths?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly tls?: readonly string[];
}): Ingress {
  const { name = 'web', host, paths = { '/': 'web' }, annotations, tls } = options;
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: {
      name,
      namespace: 'default',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec: {
      ...(tls === undefined ? {} : { tls: [{ hosts: [...tls], secretName: 'tls' }] }),
      rules: [
        {
          ...(host === undefined ? {} : { host }),
          http: {
            paths: Object.entries(paths).map(([path, service]) => ({
              path,
              pathType: 'Prefix',
              backend: { service: { name: service, port: { number: 80 } } },
            })),
          },
        },
      ],
    },
  } as unknown as Ingress;
}

export function portOf(server: Server | HttpServer): number {
  return (server.address() as AddressInfo).port;
}

/** A plain HTTP server on loopback. */
export async function serve(
  handle: (request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) => void,
): Promise<HttpServer> {
  const server = nodeHttp.createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** Bytes to a port as they are; everything that comes back until the other side closes or `until` is in it. */
export function raw(port: number, text: string, until?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'));
    let got = '';
    const timer = systemClock.setTimer(() => {
      socket.destroy();
      reject(new Error(`no end within 20 s; so far: ${got.slice(0, 500)}`));
    }, 20_000);
    const done = (): void => {
      timer.cancel();
      socket.destroy();
      resolve(got);
    };
    socket.on('data', (bytes) => {
      got += bytes.toString('latin1');
      if (until !== undefined && got.includes(until)) done();
    });
    socket.on('error', done);
    socket.on('close', done);
  });
}
