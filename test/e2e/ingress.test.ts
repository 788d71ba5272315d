import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect as connectTls } from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { createAuthority, issueCertificate } from '#pki';
import { eventually, Machine, run, whyNoContainers } from './harness.ts';

const skip = whyNoContainers() ?? false;
const machine = new Machine('e2e-ingress');

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** One request on a connection of its own. */
function get(url: string, options: { host?: string; ca?: string; timeoutMs?: number } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port, pathname, protocol } = new URL(url);
    const { host = hostname, ca, timeoutMs = 5_000 } = options;
    const send = protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(
      {
        hostname,
        port: port || (protocol === 'https:' ? 443 : 80),
        path: pathname,
        headers: { host, connection: 'close' },
        agent: false,
        timeout: timeoutMs,
        ...(protocol === 'https:'
          ? { servername: host, ...(ca === undefined ? { rejectUnauthorized: false } : { ca }) }
          : {}),
      },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
        response.on('error', reject);
      },
    );
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    request.on('error', reject);
    request.end();
  });
}

/** The serial number of the certificate shown for a host. */
async function serialOf(address: string, host: string): Promise<string> {
  const socket = connectTls({ host: address, port: 443, servername: host, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

const authority = createAuthority({ commonName: 'test authority', days: 1, nowMs: Date.now() });
function tlsSecret(name: string, host: string): { manifest: string; serial: string } {
  const { certificatePem, keyPem } = issueCertificate(authority, {
    commonName: host,
    usages: ['server'],
    dnsNames: [host],
    days: 1,
    nowMs: Date.now(),
  });
  const data = (text: string): string => Buffer.from(text).toString('base64');
  return {
    manifest: `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"${name}"},"type":"kubernetes.io/tls","data":{"tls.crt":"${data(certificatePem)}","tls.key":"${data(keyPem)}"}}`,
    serial: certificatePem,
  };
}

const ingress = (name: string, spec: object, annotations: object = {}): string =>
  JSON.stringify({ apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: { name, annotations }, spec });
const rule = (host: string, path: string, service: string, port: number | string = 80, pathType = 'Prefix') => ({
  host,
  http: {
    paths: [
      {
        path,
        pathType,
        backend: { service: { name: service, port: typeof port === 'string' ? { name: port } : { number: port } } },
      },
    ],
  },
});

describe('Ingresses on a cluster of two nodes', { skip }, () => {
  let addresses: string[] = [];
  const at = (path: string, node = 0): string => `http://${addresses[node]}${path}`;

  before(async () => {
    await machine.prepare();
    await machine.up('--nodes', '2', '--image', machine.images);
    const { nodes } = JSON.parse((await machine.k8ts('status', '--name', machine.name, '-o', 'json')).stdout) as {
      nodes: { address: string }[];
    };
    addresses = nodes.map((one) => one.address);
    await machine.must('create', 'deployment', 'web', '--image=k8ts.test/web:1', '--replicas=2');
    await machine.must('create', 'deployment', 'other', '--image=k8ts.test/web:2');
    await machine.must('expose', 'deployment', 'web', '--port=80', '--target-port=8080');
    await machine.must('expose', 'deployment', 'other', '--port=80', '--target-port=8080', '--type=NodePort');
    await machine.must('rollout', 'status', 'deployment/web', '--timeout=60s');
    await machine.must('rollout', 'status', 'deployment/other', '--timeout=60s');
  });
  after(() => machine.remove());

  test('the first Ingress is served on every node, and its address is written', async (t) => {
    assert.match(await machine.must('get', 'ingressclass'), /^k8ts +k8ts\.io\/ingress-controller /m);
    await assert.rejects(get(at('/')), /ECONNREFUSED/, 'nothing listens before there is an Ingress');
    await machine.apply(ingress('web', { rules: [rule('web.test', '/', 'web')] }));
    const appliedMs = performance.now();
    for (const node of [0, 1]) {
      const answer = await eventually('it answers', async () => {
        const one = await get(at('/', node), { host: 'web.test' });
        return one.status === 200 && one;
      });
      if (node === 0)
        t.diagnostic(`first Ingress: ${(performance.now() - appliedMs).toFixed(0)} ms after kubectl apply`);
      assert.match(answer.body, /^one web-/);
    }
    assert.equal((await get(at('/'), { host: 'unknown.test' })).status, 404);
    assert.equal(await machine.must('get', 'ingress', 'web', '-o', 'jsonpath={.spec.ingressClassName}'), 'k8ts');
    await eventually('its status has the addresses of both nodes', async () => {
      const written = await machine.must(
        'get',
        'ingress',
        'web',
        '-o',
        'jsonpath={.status.loadBalancer.ingress[*].ip}',
      );
      return written === addresses.join(' ');
    });
    assert.match(
      await machine.must('get', 'ingress', 'web'),
      new RegExp(`^web +k8ts +web\\.test +${addresses.join(',')} `, 'm'),
    );
  });

  test('a rule takes effect at once, every endpoint answers, hosts and paths are told apart', async (t) => {
    await machine.apply(
      ingress('more', {
        rules: [
          rule('web.test', '/other', 'other'),
          rule('*.wild.test', '/', 'other'),
          rule('exact.test', '/only', 'web', 80, 'Exact'),
        ],
      }),
    );
    const appliedMs = performance.now();
    for (;;) {
      const { body } = await get(at('/other'), { host: 'web.test' });
      const tookMs = performance.now() - appliedMs;
      // The page is not there (404 of the backend's own), which shows that the request came to it.
      if (!body.startsWith('one')) {
        t.diagnostic(`a rule: in force at most ${tookMs.toFixed(0)} ms after kubectl apply had ended`);
        break;
      }
      assert.ok(tookMs < 10_000, 'the rule has no effect');
    }
    assert.match((await get(at('/'), { host: 'a.wild.test' })).body, /^two other-/);
    assert.equal((await get(at('/'), { host: 'a.b.wild.test' })).status, 404);
    assert.equal((await get(at('/only/more'), { host: 'exact.test' })).status, 404);
    const seen = new Set<string>();
    await eventually(
      'both pods answer',
      async () => seen.add((await get(at('/'), { host: 'web.test' })).body).size === 2,
    );
  });

  test('TLS: certificates from Secrets, renewed while it runs, redirects, HTTP/2', async (t) => {
    const first = tlsSecret('web-tls', 'secure.test');
    await machine.apply(first.manifest);
    await machine.apply(
      ingress('secure', {
        tls: [{ hosts: ['secure.test'], secretName: 'web-tls' }],
        rules: [rule('secure.test', '/', 'web')],
      }),
    );
    const ca = authority.certificatePem;
    const answer = await eventually('https answers', async () => {
      const one = await get(`https://${addresses[1]}/`, { host: 'secure.test', ca });
      return one.status === 200 && one;
    });
    assert.match(answer.body, /^one web-/);
    const redirect = await get(at('/a/b'), { host: 'secure.test' });
    assert.equal(redirect.status, 308);
    assert.equal(redirect.headers.location, 'https://secure.test/a/b');

    const before = await serialOf(addresses[0] as string, 'secure.test');
    await machine.apply(tlsSecret('web-tls', 'secure.test').manifest);
    const changedMs = performance.now();
    await eventually(
      'the new certificate is served',
      async () => (await serialOf(addresses[0] as string, 'secure.test')) !== before,
      10_000,
    );
    t.diagnostic(`new certificate served ${(performance.now() - changedMs).toFixed(0)} ms after kubectl apply`);

    const session = connectHttp2(`https://${addresses[0]}`, { servername: 'secure.test', ca });
    const stream = session.request({ ':path': '/', ':authority': 'secure.test' });
    const [headers] = (await once(stream, 'response')) as [Record<string, string>];
    assert.equal(headers[':status'], 200);
    stream.resume();
    await once(stream, 'end');
    session.close();
  });

  test('Services of every type; named ports; bad rules are told and break nothing', async () => {
    await machine.apply(`
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere}
spec: {type: ExternalName, externalName: headless.default.svc.cluster.local, ports: [{port: 8080}]}
`);
    await machine.apply(
      ingress('types', {
        rules: [
          rule('headless.test', '/', 'headless', 'http'),
          rule('balanced.test', '/', 'balanced', 'http'),
          rule('nodeport.test', '/', 'other'),
          rule('external.test', '/', 'elsewhere', 8080),
        ],
      }),
    );
    for (const [host, answer] of [
      ['headless.test', 'one web-'],
      ['balanced.test', 'one web-'],
      ['nodeport.test', 'two other-'],
      ['external.test', 'one web-'],
    ] as const) {
      await eventually(`${host} answers`, async () => (await get(at('/'), { host })).body.startsWith(answer), 15_000);
    }
    await machine.apply(
      ingress('bad', {
        tls: [{ hosts: ['bad.test'], secretName: 'missing' }],
        rules: [rule('web.test', '/', 'other'), rule('bad.test', '/', 'nothing'), rule('good.test', '/', 'other')],
      }),
    );
    await eventually('the good rule of the bad Ingress works', async () =>
      (await get(at('/'), { host: 'good.test' })).body.startsWith('two other-'),
    );
    assert.match((await get(at('/'), { host: 'web.test' })).body, /^one web-/, 'the older Ingress keeps its rule');
    assert.equal((await get(`https://${addresses[0]}/`, { host: 'bad.test' })).status, 503);
    await eventually('events say why', async () => {
      const events = await machine.must('get', 'events', '--field-selector', 'involvedObject.name=bad');
      return ['Conflict', 'ServiceNotFound', 'SecretNotFound'].every((reason) => events.includes(reason));
    });
    await machine.apply(
      `{"apiVersion":"networking.k8s.io/v1","kind":"IngressClass","metadata":{"name":"foreign"},"spec":{"controller":"example.com/other"}}`,
    );
    await machine.apply(ingress('foreign', { ingressClassName: 'foreign', rules: [rule('foreign.test', '/', 'web')] }));
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal((await get(at('/'), { host: 'foreign.test' })).status, 404);
  });

  test('the process that serves may read no other Secret', async () => {
    const may = async (...what: string[]): Promise<string> =>
      (await machine.kubectl('auth', 'can-i', ...what, '--as', 'system:k8ts-ingress')).stdout.trim().slice(0, 3).trim();
    assert.equal(await may('get', 'secret/web-tls'), 'yes');
    assert.equal(await may('get', 'secret/other'), 'no');
    assert.equal(await may('list', 'secrets'), 'no');
    assert.equal(await may('delete', 'ingresses'), 'no');
  });

  test('readiness and rolling updates lose no request; a process that dies is replaced', async () => {
    const failures: string[] = [];
    let asked = 0;
    let ended = false;
    const hammer = Promise.all(
      [0, 1, 2].map(async () => {
        while (!ended) {
          try {
            const { status, body } = await get(at('/'), { host: 'web.test' });
            if (status !== 200) failures.push(`${status}: ${body}`);
          } catch (error) {
            failures.push(String(error));
          }
          asked++;
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }),
    );
    try {
      await machine.must('set', 'image', 'deployment/web', 'web=k8ts.test/web:2');
      await machine.must('rollout', 'status', 'deployment/web', '--timeout=60s');
      const { items } = await machine.json<{ items: { metadata: { name: string; deletionTimestamp?: string } }[] }>(
        ...['pods', '-l', 'app=web'],
      );
      const pod = items.find((one) => one.metadata.deletionTimestamp === undefined);
      await machine.must('delete', 'pod', pod?.metadata.name ?? '', '--now', '--wait=false');
      await machine.must('rollout', 'status', 'deployment/web', '--timeout=60s');
    } finally {
      ended = true;
      await hammer;
    }
    assert.deepEqual([...new Set(failures)], [], `${failures.length} of ${asked} requests`);

    const { processes } = JSON.parse((await machine.k8ts('status', '--name', machine.name, '-o', 'json')).stdout) as {
      processes: { name: string; node: string; pid: number }[];
    };
    const servers = processes.filter((one) => one.name === 'ingress');
    assert.deepEqual(servers.map((one) => one.node).sort(), ['master', 'worker1'], 'k8ts status lists them');
    await run('kill', ['-KILL', String(servers[0]?.pid)]);
    await eventually('it answers again', async () => (await get(at('/'), { host: 'web.test' })).status === 200, 20_000);
  });

  test('the agent may die and come back: requests are answered all the time', async () => {
    const pidOf = (file: string): string =>
      /\d+/.exec(readFileSync(`/run/k8ts/${machine.name}/master/${file}`, 'utf8'))?.[0] ?? '';
    const before = pidOf('ingress.pid');
    await run('kill', ['-KILL', pidOf('agent.pid')]);
    const failures: string[] = [];
    let ended = false;
    const hammer = (async () => {
      while (!ended) {
        const { status } = await get(at('/'), { host: 'web.test' }).catch((error) => ({ status: String(error) }));
        if (status !== 200) failures.push(String(status));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    try {
      const again = await machine.k8ts('up', '--name', machine.name);
      assert.equal(again.code, 0, again.stderr);
      await eventually('a new process serves', async () => pidOf('ingress.pid') !== before, 30_000);
      await eventually('the old one has gone', async () => (await run('kill', ['-0', before])).code !== 0, 30_000);
    } finally {
      ended = true;
      await hammer;
    }
    assert.deepEqual(failures, []);
  });
});
