import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import {
  connect as connectHttp2,
  constants,
  createSecureServer as createSecureHttp2Server,
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { nodeHttp } from '#base';
import { createAuthority, issueCertificate } from '#pki';
import { anIngress, type Bed, openBed, portOf, raw, serve } from './bed.fixture.ts';
import { isAllowedAddress } from './endpoint.ts';

const closing: (() => unknown)[] = [];
after(() => Promise.all(closing.map((one) => one())));

async function bed(options: Parameters<typeof openBed>[0]): Promise<Bed> {
  const opened = await openBed(options);
  closing.push(() => opened.close());
  return opened;
}

async function backend(handle: Parameters<typeof serve>[0]): Promise<HttpServer> {
  const server = await serve(handle);
  closing.push(() => (server.closeAllConnections(), server.close()));
  return server;
}

/** A backend that speaks raw bytes: `answer` is called for each connection. */
async function rawBackend(answer: (socket: Socket) => void): Promise<Server & { connections: Set<Socket> }> {
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => connections.delete(socket));
    answer(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const one of connections) one.destroy();
    server.close();
  });
  return Object.assign(server, { connections });
}

const target = (server: Server | HttpServer) => ({ address: '127.0.0.1', port: portOf(server) });

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly raw: readonly string[];
  readonly body: string;
}

/** A backend that keeps what it is asked, and answers with its name. */
async function recorder(name = 'web'): Promise<{ server: HttpServer; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = await backend((request, response) => {
    let body = '';
    request.on('data', (piece) => {
      body += piece;
    });
    request.on('end', () => {
      seen.push({
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        raw: request.rawHeaders,
        body,
      });
      response.end(`${name} ${request.method} ${request.url} ${body.length}`);
    });
  });
  return { server, seen };
}

const ask = (port: number, head: string, body = ''): Promise<string> =>
  raw(port, `${head}\r\nhost: web.test\r\nconnection: close\r\n\r\n${body}`);
const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);

describe('HTTP/1.1', () => {
  test('requests are passed on with what a backend should know, and nothing that a client made up', async () => {
    const { server, seen } = await recorder();
    const { http } = await bed({ ingresses: [anIngress({})], services: { web: { targets: [target(server)] } } });
    const answer = await raw(
      http,
      'GET /a/b?x=1 HTTP/1.1\r\nHost: Web.Test:8080\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_Proto: https\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Secret: s\r\nConnection: close, x-secret, host\r\nKeep-Alive: 1\r\nTE: gzip\r\nCookie: a=b\r\nProxy-Authorization: x\r\n\r\n',
    );
    assert.equal(statusOf(answer), 200);
    assert.match(answer, /web GET \/a\/b\?x=1 0$/);
    const [{ headers, raw: rawHeaders }] = seen as [Seen];
    assert.equal(headers.host, 'Web.Test:8080');
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(headers['x-forwarded-host'], 'Web.Test:8080');
    assert.equal(headers['x-forwarded-proto'], 'http');
    assert.equal(headers['x-forwarded-port'], String(http));
    assert.equal(headers['x-real-ip'], '127.0.0.1');
    assert.match(headers['x-request-id'] as string, /^[0-9a-f]{32}$/);
    assert.equal(headers.cookie, 'a=b');
    for (const gone of ['x-secret', 'forwarded', 'x_forwarded_proto', 'te', 'keep-alive', 'proxy-authorization'])
      assert.equal(headers[gone], undefined, gone);
    assert.ok(!rawHeaders.includes('6.6.6.6'));
  });

  test('many requests on one connection, also sent all at once; bodies of known and unknown length', async () => {
    const { server, seen } = await recorder();
    const { http } = await bed({ ingresses: [anIngress({})], services: { web: { targets: [target(server)] } } });
    const post = 'POST /p HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello';
    const chunked =
      'POST /c HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n4\r\ndefg\r\n0\r\ntrailer: x\r\n\r\n';
    const get = 'GET /g HTTP/1.1\r\nhost: h\r\n\r\n';
    const answer = await raw(
      http,
      `${post}${chunked}\r\n${get}${get.replace('/g', '/last').replace('h\r\n', 'h\r\nconnection: close\r\n')}`,
    );
    assert.deepEqual(
      [...answer.matchAll(/web (\S+ \S+ \d+)/g)].map((one) => one[1]),
      ['POST /p 5', 'POST /c 7', 'GET /g 0', 'GET /last 0'],
    );
    assert.deepEqual(
      seen.map((one) => one.body),
      ['hello', 'abcdefg', '', ''],
    );
    assert.equal(seen[1]?.headers['transfer-encoding'], 'chunked');
  });

  test('what two readers could read differently is refused and never reaches a backend', async () => {
    const { server, seen } = await recorder();
    const { http } = await bed({ ingresses: [anIngress({})], services: { web: { targets: [target(server)] } } });
    const smuggled = 'GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n';
    const heads: Readonly<Record<string, string>> = {
      'both lengths': `POST / HTTP/1.1\r\nhost: h\r\ncontent-length: ${smuggled.length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      'two lengths': `POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\ncontent-length: ${smuggled.length}\r\n\r\n${smuggled}`,
      'list of lengths': `POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0, 0\r\n\r\n${smuggled}`,
      'signed length': `POST / HTTP/1.1\r\nhost: h\r\ncontent-length: +0\r\n\r\n${smuggled}`,
      'hex length': `POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0x0\r\n\r\n${smuggled}`,
      'chunked, chunked': `POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      'chunked twice': `POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      xchunked: `POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
      identity: `POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: identity\r\n\r\n${smuggled}`,
      'chunked in 1.0': `POST / HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      'blank before colon': `POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      'blank before name': `POST / HTTP/1.1\r\nhost: h\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      folded: `POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      'bare LF': `POST / HTTP/1.1\r\nhost: h\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      'bare CR': `POST / HTTP/1.1\r\nhost: h\r\nx: a\rtransfer-encoding: chunked\r\n\r\n${smuggled}`,
      NUL: `GET / HTTP/1.1\r\nhost: h\r\nx: a\0b\r\n\r\n`,
      'vertical tab': 'POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding:\x0bchunked\r\n\r\n',
      'no host': 'GET / HTTP/1.1\r\nx: y\r\n\r\n',
      'two hosts': 'GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n',
      'host with path': 'GET / HTTP/1.1\r\nhost: a/b\r\n\r\n',
      'host with user': 'GET / HTTP/1.1\r\nhost: a@b\r\n\r\n',
      'three words': 'GET /a /b HTTP/1.1\r\nhost: h\r\n\r\n',
      'tab in line': 'GET\t/ HTTP/1.1\r\nhost: h\r\n\r\n',
      fragment: 'GET /a#b HTTP/1.1\r\nhost: h\r\n\r\n',
      'no slash': 'GET a HTTP/1.1\r\nhost: h\r\n\r\n',
      connect: 'CONNECT a:443 HTTP/1.1\r\nhost: h\r\n\r\n',
      version: 'GET / HTTP/2.0\r\nhost: h\r\n\r\n',
      upwards: 'GET /a/../b HTTP/1.1\r\nhost: h\r\n\r\n',
      'upwards encoded': 'GET /a/%2e%2E/b HTTP/1.1\r\nhost: h\r\n\r\n',
      backslash: 'GET /a\\..\\b HTTP/1.1\r\nhost: h\r\n\r\n',
    };
    for (const [name, bytes] of Object.entries(heads)) {
      const answer = await raw(http, bytes, '\n\r\n');
      assert.ok(statusOf(answer) >= 400 && statusOf(answer) <= 501, `${name}: ${answer.slice(0, 60)}`);
    }
    const bodies: Readonly<Record<string, string>> = {
      'chunk size with sign': '+5\r\nhello\r\n0\r\n\r\n',
      'chunk size with blank': ' 5\r\nhello\r\n0\r\n\r\n',
      'chunk size 0x': '0x5\r\nhello\r\n0\r\n\r\n',
      'chunk longer than said': '3\r\nhello\r\n0\r\n\r\n',
      'LF only': '5\nhello\n0\n\n',
      'line without end': 'f'.repeat(2000),
      'malformed trailer': '0\r\nGET / HTTP/1.1\r\n\r\n',
    };
    for (const [name, body] of Object.entries(bodies)) {
      const answer = await raw(
        http,
        `POST /bad HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n${body}${smuggled}`,
      );
      assert.ok(statusOf(answer) >= 400, `${name}: ${answer.slice(0, 80)}`);
    }
    assert.deepEqual(
      seen.filter((one) => one.url !== '/bad').map((one) => one.url),
      [],
    );
    assert.equal(seen.length, 0, 'no backend saw a whole request');
  });

  test('sizes and times are bounded', async () => {
    const { server } = await recorder();
    const { http } = await bed({
      ingresses: [anIngress({ annotations: { 'nginx.ingress.kubernetes.io/proxy-body-size': '10' } })],
      services: { web: { targets: [target(server)] } },
    });
    assert.equal(statusOf(await raw(http, `GET / HTTP/1.1\r\nhost: h\r\nx: ${'a'.repeat(70_000)}`)), 431);
    assert.equal(statusOf(await raw(http, `GET / HTTP/1.1\r\nhost: h\r\n${'x: y\r\n'.repeat(300)}\r\n`)), 431);
    assert.equal(statusOf(await ask(http, 'POST / HTTP/1.1\r\ncontent-length: 11', 'x'.repeat(11))), 413);
    assert.equal(
      statusOf(await ask(http, 'POST / HTTP/1.1\r\ntransfer-encoding: chunked', `b\r\n${'x'.repeat(11)}\r\n0\r\n\r\n`)),
      413,
    );
    assert.equal(statusOf(await ask(http, 'POST / HTTP/1.1\r\ncontent-length: 10', 'x'.repeat(10))), 200);
    assert.equal(statusOf(await ask(http, 'POST / HTTP/1.1\r\nexpect: 200-ok')), 417);
    assert.match(
      await ask(http, 'POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2', 'ab'),
      /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /,
    );
  });

  test('answers of every kind come through: HEAD, 204, 304, chunked, until close, early hints, HTTP/1.0', async () => {
    const answers: Readonly<Record<string, string>> = {
      '/chunked': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
      '/close': 'HTTP/1.1 200 OK\r\nserver: x\r\n\r\nabcde',
      '/none': 'HTTP/1.1 204 No Content\r\n\r\n',
      '/same': 'HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\netag: "x"\r\n\r\n',
      '/head': 'HTTP/1.1 200 OK\r\ncontent-length: 42\r\n\r\n',
      '/hints':
        'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 Fine\r\ncontent-length: 2\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\nok',
      '/old': 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok',
    };
    const server = await rawBackend((socket) => {
      socket.on('data', (bytes) => {
        const path = /^\S+ (\S+)/.exec(bytes.toString())?.[1] ?? '';
        socket.write(answers[path] ?? 'HTTP/1.1 500 no\r\ncontent-length: 0\r\n\r\n');
        if (path === '/close' || path === '/old') socket.end();
      });
    });
    const { http } = await bed({ ingresses: [anIngress({})], services: { web: { targets: [target(server)] } } });
    assert.match(
      await ask(http, 'GET /chunked HTTP/1.1'),
      /transfer-encoding: chunked\r\n[\s\S]*\r\n\r\n(3\r\nabc\r\n2\r\nde\r\n|5\r\nabcde\r\n)0\r\n\r\n$/,
    );
    assert.match(await ask(http, 'GET /chunked HTTP/1.0'), /\r\n\r\nabcde$/);
    assert.match(await ask(http, 'GET /close HTTP/1.1'), /5\r\nabcde\r\n0\r\n\r\n$/);
    assert.match(await ask(http, 'GET /none HTTP/1.1'), /^HTTP\/1\.1 204 No Content\r\n/);
    assert.match(
      await ask(http, 'GET /same HTTP/1.1'),
      /^HTTP\/1\.1 304 [\s\S]*content-length: 99\r\n[\s\S]*\r\n\r\n$/,
    );
    assert.match(await ask(http, 'HEAD /head HTTP/1.1'), /content-length: 42\r\n[\s\S]*\r\n\r\n$/);
    const hints = await ask(http, 'GET /hints HTTP/1.1');
    assert.match(hints, /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a>\r\n\r\nHTTP\/1\.1 200 Fine\r\n/);
    assert.match(hints, /set-cookie: a=1\r\nset-cookie: b=2\r\n/);
    assert.match(await ask(http, 'GET /old HTTP/1.1'), /\r\n\r\nok$/);
  });

  test('a backend cannot split answers or leave one for the next request', async () => {
    const bad: Readonly<Record<string, string>> = {
      '/both': 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      '/two': 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef',
      '/bare': 'HTTP/1.1 200 OK\r\nx: a\nset-cookie: evil\r\ncontent-length: 0\r\n\r\n',
      '/junk': 'nonsense\r\n\r\n',
      '/switch': 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n',
      '/gone': '',
    };
    const server = await rawBackend((socket) => {
      socket.on('data', (bytes) => {
        const path = /^\S+ (\S+)/.exec(bytes.toString())?.[1] ?? '';
        if (path === '/extra')
          socket.write(
            'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil',
          );
        else if (path === '/fine') socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine');
        else if (bad[path] === '') socket.destroy();
        else socket.write(bad[path] ?? '');
      });
    });
    const { http } = await bed({ ingresses: [anIngress({})], services: { web: { targets: [target(server)] } } });
    for (const path of Object.keys(bad)) assert.equal(statusOf(await ask(http, `POST ${path} HTTP/1.1`)), 502, path);
    for (let i = 0; i < 5; i++) {
      assert.match(await ask(http, 'GET /extra HTTP/1.1'), /\r\n\r\nok$/);
      assert.match(await ask(http, 'GET /fine HTTP/1.1'), /\r\n\r\nfine$/);
    }
  });

  test('an answer that the backend breaks off is seen as broken', async () => {
    const server = await rawBackend((socket) => {
      socket.on('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf');
        setTimeout(() => socket.destroy(), 20);
      });
    });
    const { http } = await bed({ ingresses: [anIngress({})], services: { web: { targets: [target(server)] } } });
    const request = nodeHttp.get({ port: http, host: '127.0.0.1', headers: { host: 'h' } });
    const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage];
    response.resume();
    const [error] = (await once(response, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNRESET');
  });

  test('large bodies flow both ways with bounded memory, as fast as the slower side', async () => {
    const bytes = 64 << 20;
    const block = randomBytes(1 << 16);
    const server = await backend((request, response) => {
      if (request.method === 'POST') {
        const hash = createHash('sha256');
        request.on('data', (piece) => hash.update(piece));
        request.on('end', () => response.end(hash.digest('hex')));
        return;
      }
      let sent = 0;
      const pump = (): void => {
        while (sent < bytes) {
          sent += block.length;
          if (!response.write(block)) return void response.once('drain', pump);
        }
        response.end();
      };
      pump();
    });
    const { http } = await bed({ ingresses: [anIngress({})], services: { web: { targets: [target(server)] } } });
    const before = process.memoryUsage();
    const request = nodeHttp.get({ port: http, host: '127.0.0.1', path: '/big', headers: { host: 'h' } });
    const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage];
    // Not read for a while: the backend must be held back.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const held = process.memoryUsage();
    assert.ok(
      held.arrayBuffers - before.arrayBuffers < 24 << 20,
      `${(held.arrayBuffers - before.arrayBuffers) >> 20} MiB wait`,
    );
    let got = 0;
    for await (const piece of response) got += (piece as Buffer).length;
    assert.equal(got, bytes);

    const wanted = createHash('sha256');
    const post = nodeHttp.request({ port: http, host: '127.0.0.1', method: 'POST', headers: { host: 'h' } });
    for (let i = 0; i < 256; i++) {
      wanted.update(block);
      if (!post.write(block)) await once(post, 'drain');
    }
    post.end();
    const [answer] = (await once(post, 'response')) as [import('node:http').IncomingMessage];
    let text = '';
    for await (const piece of answer) text += piece;
    assert.equal(text, wanted.digest('hex'));
  });
});

describe('clients that do not read', () => {
  test('are cut off when together they hold too much; the others are served on', { timeout: 60_000 }, async () => {
    const block = randomBytes(1 << 16);
    const server = await backend((request, response) => {
      if (request.url === '/small') return void response.end('small');
      const pump = (): void => {
        while (!response.destroyed) if (!response.write(block)) return void response.once('drain', pump);
      };
      pump();
    });
    const { http, https, ca } = await bed({
      ingresses: [anIngress({})],
      services: { web: { targets: [target(server)] } },
      mostHeldBytes: 8 << 20,
    });
    const before = process.memoryUsage().arrayBuffers;
    let cut = 0;
    const greedy = Array.from({ length: 150 }, () => {
      const socket = connect(http, '127.0.0.1', () => socket.write('GET /big HTTP/1.1\r\nhost: h\r\n\r\n'));
      return socket.on('error', () => {});
    });
    const session = connectHttp2(`https://localhost:${https}`, { ca, settings: { initialWindowSize: 0 } });
    session.on('error', () => {});
    session.on('close', () => cut++);
    for (let i = 0; i < 100; i++) session.request({ ':path': '/big' }).on('error', () => {});
    let most = 0;
    const endMs = performance.now() + 2_000;
    while (performance.now() < endMs) {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      assert.match(await ask(http, 'GET /small HTTP/1.1'), /\r\n\r\nsmall$/);
    }
    for (const socket of greedy) socket.destroy();
    session.destroy();
    // The test's own backend and its pipes hold memory too.
    assert.ok(most < 64 << 20, `${most >> 20} MiB`);
    assert.equal(cut, 1, 'the connection that held most was broken');
  });
});

describe('endpoints', () => {
  test('a request that nobody has begun to work on goes to another endpoint, whatever its method', async () => {
    const { server } = await recorder();
    const dead = await rawBackend(() => {});
    const deadPort = portOf(dead);
    await new Promise<void>((resolve) => void dead.close(() => resolve()));
    const { http } = await bed({
      ingresses: [anIngress({})],
      services: { web: { targets: [{ address: '127.0.0.1', port: deadPort }, target(server)] } },
    });
    for (let i = 0; i < 6; i++)
      assert.match(await ask(http, 'POST / HTTP/1.1\r\ncontent-length: 2', 'ab'), /web POST \/ 2$/);
  });

  test('a request whose endpoint dies is sent again when that does no harm, and only then', async () => {
    let asked = 0;
    const dying = await rawBackend((socket) =>
      socket.on('data', () => {
        asked++;
        socket.destroy();
      }),
    );
    const { server } = await recorder();
    const { http } = await bed({
      ingresses: [anIngress({})],
      services: { web: { targets: [target(dying), target(server)] } },
    });
    const answers: number[] = [];
    for (let i = 0; i < 4; i++) answers.push(statusOf(await ask(http, 'GET / HTTP/1.1')));
    assert.deepEqual(answers, [200, 200, 200, 200]);
    assert.ok(asked > 0);
    const posts: number[] = [];
    const before = asked;
    for (let i = 0; i < 4; i++) posts.push(statusOf(await ask(http, 'POST / HTTP/1.1\r\ncontent-length: 0')));
    assert.equal(posts.filter((one) => one === 502).length, asked - before, 'each that failed was asked once');
  });

  test('an endpoint that takes connections no more is found out while requests wait for it', {
    timeout: 60_000,
  }, async () => {
    const sockets: Socket[] = [];
    const silent = await rawBackend((socket) => {
      sockets.push(socket);
    });
    const { server } = await recorder();
    const { http } = await bed({
      ingresses: [anIngress({})],
      services: { web: { targets: [target(silent), target(server)] } },
    });
    const waiting = Promise.all([1, 2].map(() => ask(http, 'GET / HTTP/1.1')));
    while (sockets.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    silent.close();
    assert.deepEqual((await waiting).map(statusOf), [200, 200]);
  });

  test('an endpoint that was down is used again when it is back, and no request is spent on finding out', {
    timeout: 60_000,
  }, async () => {
    const { server } = await recorder('first');
    const away = await rawBackend(() => {});
    const port = portOf(away);
    await new Promise<void>((resolve) => void away.close(() => resolve()));
    const { http } = await bed({
      ingresses: [anIngress({})],
      services: { web: { targets: [target(server), { address: '127.0.0.1', port }] } },
    });
    for (let i = 0; i < 4; i++) assert.match(await ask(http, 'GET / HTTP/1.1'), /first GET/);
    const back = nodeHttp.createServer((_request, response) => response.end('second'));
    await new Promise<void>((resolve) => back.listen(port, '127.0.0.1', resolve));
    closing.push(() => (back.closeAllConnections(), back.close()));
    for (;;) {
      const answer = await ask(http, 'GET / HTTP/1.1');
      assert.equal(statusOf(answer), 200);
      if (answer.endsWith('second')) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });

  test('no endpoint: 503; no Service: 503; no rule: 404; not in time: 504', { timeout: 60_000 }, async () => {
    const silent = await rawBackend(() => {});
    const { http } = await bed({
      ingresses: [
        anIngress({ host: 'web.test', paths: { '/none': 'none', '/missing': 'missing' } }),
        anIngress({
          name: 'slow',
          host: 'web.test',
          paths: { '/slow': 'slow' },
          annotations: { 'nginx.ingress.kubernetes.io/proxy-read-timeout': '1' },
        }),
      ],
      services: { none: { targets: [] }, slow: { targets: [target(silent)] } },
    });
    const statuses = await Promise.all(
      ['/none', '/missing', '/', '/slow'].map(async (path) => statusOf(await ask(http, `GET ${path} HTTP/1.1`))),
    );
    assert.deepEqual(statuses, [503, 503, 404, 504]);
  });

  test('connections to a backend are used again, and those it closes do not fail requests', async () => {
    let connections = 0;
    const server = await rawBackend((socket) => {
      connections++;
      let answered = 0;
      socket.on('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
        if (++answered === 10) socket.destroySoon();
      });
    });
    const { http } = await bed({ ingresses: [anIngress({})], services: { web: { targets: [target(server)] } } });
    for (let i = 0; i < 40; i++) assert.equal(statusOf(await ask(http, 'GET / HTTP/1.1')), 200);
    assert.ok(connections >= 4 && connections <= 8, `${connections} connections`);
  });

  test('a client that leaves ends its request at the backend', async () => {
    const gone = Promise.withResolvers<void>();
    const server = await backend((request) => request.socket.on('close', () => gone.resolve()));
    const { http } = await bed({ ingresses: [anIngress({})], services: { web: { targets: [target(server)] } } });
    const socket = connect(http, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nhost: h\r\n\r\n'));
    await once(server, 'request');
    socket.destroy();
    await gone.promise;
  });

  test('a Service that leads back here is not asked without end', async () => {
    const own = { address: '127.0.0.1', port: 0 };
    const opened = await bed({ ingresses: [anIngress({})], services: { web: { targets: [own] } } });
    own.port = opened.http;
    const again = await bed({ ingresses: [anIngress({})], services: { web: { targets: [{ ...own }] } } });
    opened.redirect('web', { targets: [{ address: '127.0.0.1', port: again.http }] });
    assert.equal(statusOf(await ask(again.http, 'GET / HTTP/1.1')), 508);
    assert.equal(statusOf(await ask(again.http, 'TRACE / HTTP/1.1')), 405);
  });

  test('never to loopback or link-local addresses', () => {
    for (const bad of [
      '127.0.0.1',
      '127.9.9.9',
      '0.0.0.0',
      '169.254.169.254',
      '224.0.0.1',
      '255.255.255.255',
      '::1',
      '::',
      'fe80::1',
      '::ffff:10.0.0.1',
      'name',
      '',
    ])
      assert.equal(isAllowedAddress(bad), false, bad);
    for (const good of ['10.244.1.5', '192.168.0.1', '8.8.8.8', 'fd00::1'])
      assert.equal(isAllowedAddress(good), true, good);
  });
});

describe('switching protocols', () => {
  const upgrade = (path: string, token: string): string =>
    `GET ${path} HTTP/1.1\r\nhost: h\r\nconnection: Upgrade\r\nupgrade: ${token}\r\nsec-websocket-key: x\r\n\r\n`;

  test('bytes flow both ways after 101, also those sent early', async () => {
    const server = await rawBackend((socket) => {
      let head = '';
      const onHead = (bytes: Buffer): void => {
        head += bytes.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end === -1) return;
        socket.off('data', onHead);
        assert.match(head, /connection: upgrade\r\nupgrade: websocket\r\n/);
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: y\r\n\r\nhello ',
        );
        const echo = (more: Buffer): void => void socket.write(more.toString().toUpperCase());
        if (end + 4 < head.length) echo(Buffer.from(head.slice(end + 4)));
        socket.on('data', echo);
      };
      socket.on('data', onHead);
    });
    const { http } = await bed({ ingresses: [anIngress({})], services: { web: { targets: [target(server)] } } });
    const answer = await raw(http, `${upgrade('/ws', 'websocket')}early`, 'EARLY');
    assert.match(answer, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    assert.match(answer, /sec-websocket-accept: y\r\n/);
    assert.match(answer, /\r\n\r\nhello EARLY$/);
  });

  test('a refused switch is an answer like any other; HTTP/2 cannot be hidden in one', async () => {
    const { server, seen } = await recorder();
    const { http } = await bed({ ingresses: [anIngress({})], services: { web: { targets: [target(server)] } } });
    for (const token of ['h2c', 'H2C', 'HTTP/2.0', 'TLS/1.0']) {
      assert.match(await raw(http, upgrade('/x', token), 'web GET /x 0'), /^HTTP\/1\.1 200 /);
      assert.equal(seen.at(-1)?.headers.upgrade, undefined);
    }
  });
});

describe('TLS, redirects, HTTP/2', () => {
  test('plain requests of a host with TLS are sent to https; annotations turn that off and on', async () => {
    const { server } = await recorder();
    const nginx = 'nginx.ingress.kubernetes.io/';
    const { http, https } = await bed({
      ingresses: [
        anIngress({ host: 'tls.test', tls: ['tls.test'], paths: { '/': 'web' } }),
        anIngress({
          name: 'off',
          host: 'tls.test',
          paths: { '/plain': 'web' },
          annotations: { [`${nginx}ssl-redirect`]: 'false' },
        }),
        anIngress({ name: 'on', host: 'forced.test', annotations: { [`${nginx}force-ssl-redirect`]: 'true' } }),
        anIngress({ name: 'none', host: 'plain.test' }),
      ],
      services: { web: { targets: [target(server)] } },
    });
    const plain = (host: string, path: string) =>
      raw(http, `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    const redirected = await plain('TLS.test', '/a?b');
    assert.equal(statusOf(redirected), 308);
    assert.match(redirected, new RegExp(`location: https://tls\\.test:${https}/a\\?b\r\n`));
    assert.equal(statusOf(await plain('tls.test', '/plain')), 200);
    assert.equal(statusOf(await plain('forced.test', '/')), 308);
    assert.equal(statusOf(await plain('plain.test', '/')), 200);
  });

  test('only clients of the ranges that an Ingress names', async () => {
    const { server } = await recorder();
    const annotation = 'nginx.ingress.kubernetes.io/whitelist-source-range';
    const { http } = await bed({
      ingresses: [
        anIngress({ paths: { '/in': 'web' }, annotations: { [annotation]: '10.0.0.0/8,127.0.0.0/8' } }),
        anIngress({ name: 'b', paths: { '/out': 'web' }, annotations: { [annotation]: '10.0.0.0/8' } }),
      ],
      services: { web: { targets: [target(server)] } },
    });
    assert.deepEqual(
      [statusOf(await ask(http, 'GET /in HTTP/1.1')), statusOf(await ask(http, 'GET /out HTTP/1.1'))],
      [200, 403],
    );
  });

  test('HTTP/2 clients, over TLS and without, to an HTTP/1.1 backend', async () => {
    const { server, seen } = await recorder();
    const { http, https, ca } = await bed({
      ingresses: [anIngress({})],
      services: { web: { targets: [target(server)] } },
    });
    for (const url of [`https://localhost:${https}`, `http://localhost:${http}`]) {
      const session = connectHttp2(url, { ca });
      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const stream = session.request({
            ':method': 'POST',
            ':path': `/p${i}`,
            cookie: ['a=1', 'b=2'],
            'x-forwarded-for': '6.6.6.6',
          });
          stream.end('x'.repeat(i * 10_000));
          let text = '';
          for await (const piece of stream) text += piece;
          return text;
        }),
      );
      assert.deepEqual(
        answers,
        Array.from({ length: 20 }, (_, i) => `web POST /p${i} ${i * 10_000}`),
      );
      session.close();
    }
    assert.equal(seen[0]?.headers.cookie, 'a=1; b=2');
    assert.equal(seen[0]?.headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(seen[0]?.headers['x-forwarded-proto'], 'https');
    assert.equal(seen.at(-1)?.headers['x-forwarded-proto'], 'http');
  });

  test('a body without announced length that comes in one piece with its head is passed on', async () => {
    const { server } = await recorder();
    const { http } = await bed({ ingresses: [anIngress({})], services: { web: { targets: [target(server)] } } });
    const session = connectHttp2(`http://localhost:${http}`);
    await once(session, 'remoteSettings');
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const stream = session.request({ ':method': 'POST', ':path': `/p${i}` });
        stream.end('x'.repeat(i));
        let text = '';
        for await (const piece of stream) text += piece;
        return text;
      }),
    );
    assert.deepEqual(
      answers,
      Array.from({ length: 20 }, (_, i) => `web POST /p${i} ${i}`),
    );
    session.close();
  });

  test('gRPC: HTTP/2 to the backend, streams both ways, trailers', async () => {
    const grpc = createHttp2Server();
    grpc.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      assert.equal(headers.te, 'trailers');
      if (headers[':path'] === '/fails') {
        stream.respond({ ':status': 200, 'grpc-status': '5' }, { endStream: true });
        return;
      }
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'fine' }));
      stream.on('data', (piece) => stream.write(piece));
      stream.on('end', () => stream.end());
    });
    await new Promise<void>((resolve) => grpc.listen(0, '127.0.0.1', resolve));
    closing.push(() => grpc.close());
    const { https, ca } = await bed({
      ingresses: [anIngress({ annotations: { 'nginx.ingress.kubernetes.io/backend-protocol': 'GRPC' } })],
      services: { web: { targets: [target(grpc as unknown as Server)], protocol: 'h2c' } },
    });
    const session = connectHttp2(`https://localhost:${https}`, { ca });
    for (let round = 0; round < 3; round++) {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/echo',
        te: 'trailers',
        'content-type': 'application/grpc',
      });
      stream.write('one');
      const [first] = (await once(stream, 'data')) as [Buffer];
      assert.equal(first.toString(), 'one', 'an answer before the request has ended');
      stream.end('two');
      const [[trailers], [second]] = (await Promise.all([once(stream, 'trailers'), once(stream, 'data')])) as [
        [IncomingHttpHeaders],
        [Buffer],
      ];
      assert.equal(second.toString(), 'two');
      assert.equal(trailers['grpc-status'], '0');
      assert.equal(trailers['grpc-message'], 'fine');
    }
    const failed = session.request({ ':method': 'POST', ':path': '/fails', te: 'trailers' });
    failed.end();
    const [headers] = (await once(failed, 'response')) as [IncomingHttpHeaders];
    assert.equal(headers['grpc-status'], '5');
    failed.resume();
    await once(failed, 'close');
    session.close();
  });

  test('TLS to the backend, HTTP/1.1 and HTTP/2', async () => {
    const { certificatePem, keyPem } = issueCertificate(
      createAuthority({ commonName: 'pods', days: 1, nowMs: Date.now() }),
      { commonName: 'pod', usages: ['server'], dnsNames: ['pod'], days: 1, nowMs: Date.now() },
    );
    const pair = { cert: certificatePem, key: keyPem };
    const old = createHttpsServer(pair, (request, response) => response.end(`${request.httpVersion} ${request.url}`));
    const young = createSecureHttp2Server(
      pair,
      (request, response) => void response.end(`${request.httpVersion} ${request.url}`),
    );
    for (const server of [old, young]) {
      await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
      closing.push(() => server.close());
    }
    const { http } = await bed({
      ingresses: [anIngress({ paths: { '/old': 'old', '/young': 'young' } })],
      services: {
        old: { targets: [target(old as unknown as Server)], protocol: 'https' },
        young: { targets: [target(young as unknown as Server)], protocol: 'h2' },
      },
    });
    for (let i = 0; i < 3; i++) {
      assert.match(await ask(http, 'GET /old HTTP/1.1'), /1\.1 \/old/);
      assert.match(await ask(http, 'GET /young HTTP/1.1'), /2\.0 \/young/);
    }
  });

  test('an HTTP/2 backend that ends its connection, refuses streams or dies fails no request that may be sent again', async () => {
    let streams = 0;
    const server = createHttp2Server();
    server.on('session', (session) => session.on('error', () => {}));
    server.on('stream', (stream: ServerHttp2Stream) => {
      stream.on('error', () => {});
      const turn = ++streams % 5;
      if (turn === 1) stream.session?.goaway();
      if (turn === 2) return void stream.close(constants.NGHTTP2_REFUSED_STREAM);
      if (turn === 3) return void stream.session?.destroy();
      stream.respond({ ':status': 200 });
      stream.end('ok');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => server.close());
    const { http } = await bed({
      ingresses: [anIngress({})],
      services: { web: { targets: [target(server as unknown as Server)], protocol: 'h2c' } },
    });
    for (let i = 0; i < 20; i++) assert.equal(statusOf(await ask(http, 'GET / HTTP/1.1')), 200, `request ${i}`);
  });

  test('clients of a Service with affinity keep their endpoint', async () => {
    const all = await Promise.all(['a', 'b', 'c'].map((name) => recorder(name)));
    const targets = all.map((one) => target(one.server));
    const { http } = await bed({
      ingresses: [anIngress({ paths: { '/sticky': 'sticky', '/any': 'any' } })],
      services: { sticky: { targets, sticky: true }, any: { targets } },
    });
    const names = async (path: string): Promise<number> => {
      const answers: string[] = [];
      for (let i = 0; i < 12; i++) answers.push(/(\w) GET/.exec(await ask(http, `GET ${path} HTTP/1.1`))?.[1] ?? '');
      return new Set(answers).size;
    };
    assert.deepEqual([await names('/sticky'), await names('/any')], [1, 3]);
  });

  test('HTTP/2 requests that would be something else in HTTP/1.1 are refused', async () => {
    const { server, seen } = await recorder();
    const { https, ca } = await bed({ ingresses: [anIngress({})], services: { web: { targets: [target(server)] } } });
    const session = connectHttp2(`https://localhost:${https}`, { ca });
    session.on('error', () => {});
    const status = async (headers: Record<string, string>): Promise<number> => {
      const stream = session.request({ ':path': '/', ...headers });
      stream.on('error', () => {});
      stream.resume();
      const answered = await Promise.race([once(stream, 'response'), once(stream, 'close')]);
      return Number((answered[0] as IncomingHttpHeaders | undefined)?.[':status'] ?? 0);
    };
    assert.equal(await status({ ':path': '/a b' }), 400);
    assert.equal(await status({ ':path': '*' }), 400);
    assert.equal(await status({ ':path': '/a#b' }), 400);
    assert.equal(await status({ ':path': '/a/../b' }), 400);
    assert.equal(await status({ ':authority': 'a', host: 'b' }), 400);
    assert.equal(await status({ ':authority': 'a@b' }), 400);
    assert.equal(seen.length, 0);
    assert.equal(await status({}), 200);
    session.close();
  });
});
