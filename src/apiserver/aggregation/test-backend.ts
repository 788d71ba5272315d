import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { systemClock } from '#base';
import { openClusterPki } from '#pki';
import { type Json, type TestServer, testServer } from '../test-server.ts';

const pki = openClusterPki({ clock: systemClock });
const serving = pki.issue({ commonName: 'metrics', usages: ['server'], dnsNames: ['flunders.default.svc'] });
const voucher = pki.issue({ commonName: 'front-proxy-client', usages: ['client'] });
export const servingPair = { cert: serving.certificatePem, key: serving.keyPem };
export const caBundle = Buffer.from(pki.ca.certificatePem).toString('base64');
export const group = 'wardle.example.com';
export const services = '/apis/apiregistration.k8s.io/v1/apiservices';

export interface Backend extends AsyncDisposable {
  readonly port: number;
  /** `GET /path`, with the headers, as they came. */
  readonly seen: {
    readonly request: string;
    readonly headers: IncomingMessage['headers'];
    readonly groups: string[];
  }[];
  /** By path: what is answered; a function answers itself. Anything else is 404. */
  readonly answers: Map<string, object | ((request: IncomingMessage, response: ServerResponse) => void)>;
  readonly server: ReturnType<typeof createServer>;
}

/** For this folder's tests: a server behind TLS that asks for the certificate of whoever calls. */
export async function startBackend(): Promise<Backend> {
  const seen: Backend['seen'] = [];
  const answers: Backend['answers'] = new Map();
  const server = createServer(
    { cert: serving.certificatePem, key: serving.keyPem, ca: pki.ca.certificatePem, requestCert: true },
    (request, response) => {
      const path = (request.url ?? '').replace(/\?.*/, '');
      const groups = request.headersDistinct['x-remote-group'] ?? [];
      seen.push({ request: `${request.method} ${request.url}`, headers: request.headers, groups });
      const answer = answers.get(path);
      if (typeof answer === 'function') return answer(request, response);
      response.statusCode = answer === undefined ? 404 : 200;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(answer ?? { kind: 'Status', code: 404 }));
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  answers.set(`/apis/${group}/v1`, {
    kind: 'APIResourceList',
    groupVersion: `${group}/v1`,
    resources: [
      {
        name: 'flunders',
        singularName: 'flunder',
        namespaced: true,
        kind: 'Flunder',
        verbs: ['get', 'list'],
        shortNames: ['fl'],
      },
      { name: 'flunders/status', namespaced: true, kind: 'Flunder', verbs: ['get', 'update'] },
    ],
  });
  return {
    port: (server.address() as AddressInfo).port,
    ...{ seen, answers, server },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A server with real time whose Services all are the backend on that port. */
export function aggregatingServer(port: number): Promise<TestServer> {
  return testServer({
    clock: systemClock as never,
    // Whoever comes over a socket.
    authenticator: () => ({
      authenticate: () => ({ identity: { user: 'jane', groups: ['system:masters'] }, authenticator: 'test' }),
    }),
    aggregation: {
      clientCert: voucher.certificatePem,
      clientKey: voucher.keyPem,
      resolveService: async () => ({ host: '127.0.0.1', port }),
    },
  });
}

/** The Service of the backend. */
export async function addService(t: TestServer): Promise<void> {
  const made = await t.ask('POST', '/api/v1/namespaces/default/services', {
    metadata: { name: 'flunders' },
    spec: { ports: [{ name: 'https', port: 443 }] },
  });
  if (made.status !== 201) throw new Error(JSON.stringify(made.body));
}

/** Its endpoint, as the API knows it. */
export async function addSlice(t: TestServer): Promise<void> {
  const sliced = await t.ask('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    metadata: { name: 'flunders-1', labels: { 'kubernetes.io/service-name': 'flunders' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.9.8.7'], conditions: { ready: true } }],
    ports: [{ name: 'https', port: 443, protocol: 'TCP' }],
  });
  if (sliced.status !== 201) throw new Error(JSON.stringify(sliced.body));
}

export async function register(t: TestServer, version: string, spec: object = {}): Promise<void> {
  const made = await t.ask('POST', services, {
    metadata: { name: `${version}.${group}` },
    spec: {
      ...{ group, version, groupPriorityMinimum: 2000, versionPriority: 15, caBundle },
      service: { namespace: 'default', name: 'flunders' },
      ...spec,
    },
  });
  if (made.status !== 201) throw new Error(JSON.stringify(made.body));
}

/** Waits until the APIService says so, and returns its condition. */
export async function untilAvailable(
  t: TestServer,
  version: string,
  holds: (condition: Json) => boolean,
): Promise<Json> {
  const name = `${version}.${group}`;
  const found = (): Promise<Json> =>
    t.ask('GET', `${services}/${name}`).then(({ body }) => body.status?.conditions?.[0]);
  let condition = await found();
  const { metadata } = (await t.ask('GET', services)).body;
  const stop = new AbortController();
  const limit = systemClock.setTimer(
    () => stop.abort(new Error(`not within 30 s: ${JSON.stringify(condition)}`)),
    30_000,
  );
  try {
    condition = await found();
    if (condition !== undefined && holds(condition)) return condition;
    const response = await t.transport.request({
      method: 'GET',
      target: `${services}?watch=1&resourceVersion=${metadata.resourceVersion}`,
      signal: stop.signal,
    });
    let text = '';
    for await (const chunk of response.chunks()) {
      const lines = (text + Buffer.from(chunk).toString()).split('\n');
      text = lines.pop() as string;
      for (const line of lines) {
        const { object } = JSON.parse(line);
        if (object.metadata.name === name) condition = object.status?.conditions?.[0] ?? condition;
        if (condition !== undefined && holds(condition)) return condition;
      }
    }
    throw new Error('the watch ended');
  } finally {
    limit.cancel();
    stop.abort();
  }
}
