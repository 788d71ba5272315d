import assert from 'node:assert/strict';
import { request as httpsRequest } from 'node:https';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { SpdyConnection, type SpdyStream } from '#wire';
import { openTestNode, type TestNode } from './test-node.ts';

let node: TestNode;
before(async () => {
  node = await openTestNode();
  await node.run('p', {
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'c',
        command: [
          'sh',
          '-c',
          'mkdir /w; echo pong > /w/i; httpd -p 8080 -h /w; while read line; do echo "got $line"; done; sleep 3600',
        ],
        stdin: true,
      },
    ],
  });
  await node.ready('p');
});
after(() => node.close());

interface Outcome {
  stdout: string;
  stderr: string;
  error: string;
  code: number;
}

/** Runs a command over WebSocket channels and collects everything until the server closes. */
function execWebSocket(path: string, protocol: string, options: { stdin?: string } = {}): Promise<Outcome> {
  const socket = new WebSocket(`wss://127.0.0.1:${node.port()}${path}`, protocol === '' ? [] : [protocol], {
    rejectUnauthorized: false,
    cert: node.admin.certificatePem,
    key: node.admin.keyPem,
  });
  const base64 = protocol.includes('base64');
  const texts = ['', '', '', '', ''];
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('unexpected-response', (_request, response) => reject(new Error(`status ${response.statusCode}`)));
    socket.on('open', () => {
      assert.equal(socket.protocol, protocol);
      if (options.stdin === undefined) return;
      const data = Buffer.from(options.stdin);
      socket.send(base64 ? `0${data.toString('base64')}` : Buffer.concat([Buffer.of(0), data]));
      if (protocol === 'v5.channel.k8s.io') socket.send(Buffer.of(255, 0));
    });
    socket.on('message', (message: Buffer) => {
      const number = base64 ? (message[0] as number) - 0x30 : (message[0] as number);
      texts[number] += base64
        ? Buffer.from(message.toString('latin1', 1), 'base64').toString()
        : message.toString('utf8', 1);
    });
    socket.on('close', (code) =>
      resolve({ stdout: texts[1] ?? '', stderr: texts[2] ?? '', error: texts[3] ?? '', code }),
    );
  });
}

const execPath = (query: string): string => `/exec/default/p/c?${query}`;

test('exec over WebSocket, every protocol', async () => {
  for (const protocol of [
    'v5.channel.k8s.io',
    'v4.channel.k8s.io',
    'v4.base64.channel.k8s.io',
    'channel.k8s.io',
    'base64.channel.k8s.io',
    '',
  ]) {
    const outcome = await execWebSocket(
      execPath('command=sh&command=-c&command=echo+out;echo+err+>%262;exit+3&stdout=1&stderr=1'),
      protocol,
    );
    assert.equal(outcome.stdout, 'out\n', protocol);
    assert.equal(outcome.stderr, 'err\n', protocol);
    assert.equal(outcome.code, 1000);
    if (protocol.startsWith('v')) {
      const status = JSON.parse(outcome.error);
      assert.equal(status.status, 'Failure');
      assert.equal(status.reason, 'NonZeroExitCode');
      assert.deepEqual(status.details.causes, [{ reason: 'ExitCode', message: '3' }]);
    } else {
      assert.match(outcome.error, /exit (code|status) 3/);
    }
  }
});

test('stdin half-closes with v5: cat ends by itself', async () => {
  const outcome = await execWebSocket(execPath('command=cat&stdin=1&stdout=1'), 'v5.channel.k8s.io', {
    stdin: 'x'.repeat(300_000),
  });
  assert.equal(outcome.stdout.length, 300_000);
  assert.equal(JSON.parse(outcome.error).status, 'Success');
});

test('a terminal has one output', async () => {
  const outcome = await execWebSocket(
    execPath('command=sh&command=-c&command=tty;echo+e+>%262&stdout=1&stderr=1&tty=1'),
    'v4.channel.k8s.io',
  );
  assert.match(outcome.stdout, /^\/dev\/pts\/\d+\r\ne\r\n$/);
});

test('large output arrives whole', async () => {
  const outcome = await execWebSocket(
    execPath('command=sh&command=-c&command=head+-c+5000000+/dev/zero&stdout=1'),
    'v4.channel.k8s.io',
  );
  assert.equal(outcome.stdout.length, 5_000_000);
});

test('what cannot be run is refused before the handshake', async () => {
  await assert.rejects(execWebSocket('/exec/default/p/none?command=true&stdout=1', 'v4.channel.k8s.io'), /status 404/);
  await assert.rejects(execWebSocket(execPath('stdout=1'), 'v4.channel.k8s.io'), /status 400/);
  await assert.rejects(execWebSocket(execPath('command=true&stdout=1'), 'v9.channel.k8s.io'), /status 403/);
});

/** Asks the kubelet for SPDY, as kubectl before 1.30 does. */
function dialSpdy(
  path: string,
  versions: readonly string[],
): Promise<{ socket: TLSSocket; head: Buffer; answer: string }> {
  const socket = connectTls({
    port: node.port(),
    host: '127.0.0.1',
    rejectUnauthorized: false,
    cert: node.admin.certificatePem,
    key: node.admin.keyPem,
  });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    const lines = versions.map((version) => `X-Stream-Protocol-Version: ${version}\r\n`).join('');
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n${lines}\r\n`,
    );
    let received = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf('\r\n\r\n');
      if (end === -1) return;
      socket.off('data', onData);
      socket.pause();
      resolve({ socket, answer: received.toString('latin1', 0, end), head: received.subarray(end + 4) });
    };
    socket.on('data', onData);
  });
}

async function text(stream: SpdyStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

test('exec over SPDY', async () => {
  const path = execPath('command=sh&command=-c&command=cat;exit+2&input=1&output=1');
  const { socket, head, answer } = await dialSpdy(path, ['v4.channel.k8s.io', 'v3.channel.k8s.io']);
  assert.match(answer, /^HTTP\/1\.1 101 /);
  assert.match(answer, /X-Stream-Protocol-Version: v4\.channel\.k8s\.io/i);
  const connection = new SpdyConnection({ socket, head, side: 'client' });
  const error = await connection.open({ streamtype: 'error' });
  const stdin = await connection.open({ streamtype: 'stdin' });
  const stdout = await connection.open({ streamtype: 'stdout' });
  error.end();
  stdin.end('typed');
  const [out, status] = await Promise.all([text(stdout), text(error)]);
  assert.equal(out, 'typed');
  assert.deepEqual(JSON.parse(status).details.causes, [{ reason: 'ExitCode', message: '2' }]);
  connection.close();
});

test('attach sees what the process says', async () => {
  const socket = new WebSocket(
    `wss://127.0.0.1:${node.port()}/attach/default/p/c?stdin=1&stdout=1`,
    ['v4.channel.k8s.io'],
    {
      rejectUnauthorized: false,
      cert: node.admin.certificatePem,
      key: node.admin.keyPem,
    },
  );
  const answer = await new Promise<string>((resolve, reject) => {
    let received = '';
    socket.on('error', reject);
    socket.on('open', () => socket.send(Buffer.concat([Buffer.of(0), Buffer.from('hello\n')])));
    socket.on('message', (message: Buffer) => {
      if (message[0] === 1) received += message.toString('utf8', 1);
      if (received.includes('\n')) resolve(received);
    });
  });
  assert.equal(answer, 'got hello\n');
  socket.close();
});

const request = 'GET /i HTTP/1.0\r\n\r\n';

async function forward(connection: SpdyConnection): Promise<string> {
  const headers = { port: '8080', requestid: '0' };
  const error = await connection.open({ ...headers, streamtype: 'error' });
  error.end();
  const data = await connection.open({ ...headers, streamtype: 'data' });
  data.write(request);
  const answer = await text(data);
  assert.equal(await text(error), '');
  return answer;
}

test('port-forward over SPDY', async () => {
  const { socket, head, answer } = await dialSpdy('/portForward/default/p', ['portforward.k8s.io']);
  assert.match(answer, /^HTTP\/1\.1 101 /);
  const connection = new SpdyConnection({ socket, head, side: 'client' });
  assert.match(await forward(connection), /pong\n$/);
  connection.close();
});

/** A WebSocket with a sub-protocol whose name strict clients refuse, as kubectl asks for. */
function dialTunnel(path: string, protocol: string): Promise<WebSocket> {
  const { certificatePem: cert, keyPem: key } = node.admin;
  const asked = httpsRequest({
    ...{ host: '127.0.0.1', port: node.port(), path, cert, key, rejectUnauthorized: false, agent: false },
    headers: {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Protocol': protocol,
    },
  });
  asked.end();
  return new Promise((resolve, reject) => {
    asked.on('error', reject);
    asked.on('response', (response) => reject(new Error(`status ${response.statusCode}`)));
    asked.on('upgrade', (response, connection, head) => {
      assert.equal(response.headers['sec-websocket-protocol'], protocol);
      const socket = new WebSocket(null as never, undefined, {});
      Object.assign(socket, { _isServer: false });
      const inside = socket as unknown as { setSocket(socket: unknown, head: Buffer, options: object): void };
      inside.setSocket(connection, head, { maxPayload: 1 << 25, skipUTF8Validation: true });
      resolve(socket);
    });
  });
}

test('port-forward over SPDY inside a WebSocket', async () => {
  const { Duplex } = await import('node:stream');
  const socket = await dialTunnel('/portForward/default/p', 'SPDY/3.1+portforward.k8s.io');
  const tunnel = new Duplex({ read() {}, write: (chunk, _encoding, done) => socket.send(chunk, done) });
  socket.on('message', (message: Buffer) => tunnel.push(message));
  socket.on('close', () => tunnel.push(null));
  const connection = new SpdyConnection({ socket: tunnel, side: 'client' });
  assert.match(await forward(connection), /pong\n$/);
  connection.close();
  socket.close();
});

test('port-forward over WebSocket channels', async () => {
  const socket = new WebSocket(
    `wss://127.0.0.1:${node.port()}/portForward/default/p?ports=8080`,
    ['v4.channel.k8s.io'],
    {
      rejectUnauthorized: false,
      cert: node.admin.certificatePem,
      key: node.admin.keyPem,
    },
  );
  const answer = await new Promise<string>((resolve, reject) => {
    const received = [Buffer.alloc(0), Buffer.alloc(0)];
    socket.on('error', reject);
    socket.on('message', (message: Buffer) => {
      const number = message[0] as number;
      received[number] = Buffer.concat([received[number] as Buffer, message.subarray(1)]);
      if (number === 0 && received[0]?.length === 2) socket.send(Buffer.concat([Buffer.of(0), Buffer.from(request)]));
      if (received[0]?.includes('pong')) resolve(received[0].toString('latin1'));
    });
  });
  assert.equal(answer.charCodeAt(0) + answer.charCodeAt(1) * 256, 8080);
  socket.close();
});

test('a followed log ends with its container', async () => {
  await node.run('follow', {
    restartPolicy: 'Never',
    containers: [{ name: 'c', command: ['sh', '-c', 'for i in 1 2 3; do echo $i; sleep 0.3; done'] }],
  });
  await node.waitPod('follow', ({ status }) => status?.phase === 'Running' || status?.phase === 'Succeeded');
  assert.equal(await node.log('follow', 'c', '?follow=true'), '1\n2\n3\n');
});

test('a log over a WebSocket', async () => {
  const socket = new WebSocket(`wss://127.0.0.1:${node.port()}/containerLogs/default/p/c`, [], {
    rejectUnauthorized: false,
    cert: node.admin.certificatePem,
    key: node.admin.keyPem,
  });
  let received = '';
  socket.on('message', (message: Buffer) => {
    received += message.toString();
  });
  const code = await new Promise((resolve, reject) => socket.on('close', resolve).on('error', reject));
  assert.equal(code, 1000);
  assert.equal(received, 'got hello\n');
});
