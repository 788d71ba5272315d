import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type Closable, systemClock } from '#base';
import { type ApiServer, type ApiServerOptions, openAuthenticator } from '#apiserver';
import { openClusterPki } from '#pki';
import { type HttpsTransport, openHttpsTransport } from '#wire';
import { startCluster, type TestCluster } from './cluster.ts';

/** A test cluster's API server behind a real TLS socket on loopback, with credentials to speak to it. */
export interface TestHttpsServer extends Closable, AsyncDisposable {
  readonly cluster: TestCluster;
  readonly port: number;
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** A connection of a user; default: an administrator. */
  transport(user?: { readonly name: string; readonly groups?: readonly string[] }): HttpsTransport;
  /** Certificate and key of a user, PEM; default: an administrator. */
  credentials(user?: { readonly name: string; readonly groups?: readonly string[] }): {
    readonly cert: string;
    readonly key: string;
  };
  /** An administrator's kubeconfig, as text for clients of their own process. */
  kubeconfig(): string;
  /** A TLS socket without a client certificate, or with the administrator's. */
  socket(protocol: 'h2' | 'http/1.1', as?: 'administrator'): Promise<TLSSocket>;
  /** A TCP connection that says nothing. */
  silent(): Promise<Socket>;
}

export async function startHttpsServer(
  options: {
    readonly timeouts?: Parameters<ApiServer['listen']>[0]['timeouts'];
    readonly controllers?: readonly string[];
    readonly nodes?: number;
    readonly scheduler?: boolean;
    /** More for the API server. */
    readonly server?: Partial<ApiServerOptions>;
  } = {},
): Promise<TestHttpsServer> {
  const pki = openClusterPki({ clock: systemClock });
  const serving = pki.issue({ commonName: 'kube-apiserver', usages: ['server'], ipAddresses: ['127.0.0.1'] });
  const ca = pki.ca.certificatePem;
  const cluster = await startCluster({
    nodes: options.nodes ?? 0,
    controllers: options.controllers ?? [],
    scheduler: options.scheduler ?? false,
    server: {
      authenticator: (objects) =>
        openAuthenticator({
          clock: systemClock,
          objects,
          clientRoots: () => [pki.ca.certificate],
          audiences: ['test'],
        }),
      ...options.server,
    },
  });
  const { port } = await cluster.server.listen({
    host: '127.0.0.1',
    port: 0,
    tls: { cert: serving.certificatePem, key: serving.keyPem, clientCa: ca },
    ...(options.timeouts === undefined ? {} : { timeouts: options.timeouts }),
  });
  const url = `https://127.0.0.1:${port}`;
  const transports: HttpsTransport[] = [];
  const clientPair = (name: string, groups: readonly string[]): { cert: string; key: string } => {
    const pair = pki.issue({ commonName: name, organizations: [...groups], usages: ['client'] });
    return { cert: pair.certificatePem, key: pair.keyPem };
  };
  const administrator = clientPair('kubernetes-admin', ['system:masters']);
  const credentials: TestHttpsServer['credentials'] = (user) =>
    user === undefined ? administrator : clientPair(user.name, user.groups ?? []);
  const kubeconfig = (): string => {
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    const { cert, key } = administrator;
    return JSON.stringify({
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'test' },
      clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority-data': base64(ca) } }],
      users: [{ name: 'test', user: { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    });
  };
  const close = async (): Promise<void> => {
    await Promise.all(transports.map((one) => one.close()));
    await cluster.close();
  };
  return {
    cluster,
    port,
    url,
    ca,
    transport(user) {
      const pair = credentials(user);
      const transport = openHttpsTransport({ server: url, ca, clientCert: pair.cert, clientKey: pair.key });
      transports.push(transport);
      return transport;
    },
    credentials,
    kubeconfig,
    async socket(protocol, as) {
      const socket = connectTls({
        host: '127.0.0.1',
        port,
        ca,
        ALPNProtocols: [protocol],
        ...(as === undefined ? {} : administrator),
      });
      socket.on('error', () => {});
      await once(socket, 'secureConnect');
      return socket;
    },
    async silent() {
      const socket = connectTcp(port, '127.0.0.1');
      socket.on('error', () => {});
      await once(socket, 'connect');
      return socket;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
