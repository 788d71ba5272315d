import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import { systemClock } from '#base';
import type { LifecycleHandler, ProbeHandler } from '#api';
import { CriError } from '../cri/errors.ts';
import { type CheckTarget, runHandler } from './handlers.ts';

let server: Server;
let port: number;
let requests: { url: string; headers: NodeJS.Dict<string | string[]> }[] = [];
before(async () => {
  server = createServer((request, response) => {
    const { url = '', headers } = request;
    requests.push({ url, headers });
    if (url === '/silent') return;
    if (url === '/away') return response.writeHead(302, { location: 'http://example.invalid/' }).end();
    if (url === '/loop') return response.writeHead(302, { location: '/loop' }).end();
    if (url === '/here') return response.writeHead(302, { location: '/ok' }).end();
    response.writeHead(url === '/bad' ? 500 : 200).end('body');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

let exec: () => Promise<{ stdout: Uint8Array; stderr: Uint8Array; exit_code: number }> = async () => {
  throw new Error('unused');
};

function run(handler: ProbeHandler & LifecycleHandler, timeoutMs = 1000.25): ReturnType<typeof runHandler> {
  const target: CheckTarget = {
    cri: { execSync: () => exec() } as never,
    clock: systemClock,
    containerId: 'c',
    container: { name: 'c', ports: [{ name: 'web', containerPort: port }] },
    podIp: '127.0.0.1',
    userAgent: 'kube-probe/1.36',
  };
  return runHandler(handler, target, timeoutMs);
}

test('HTTP: codes, redirects, headers, time', async () => {
  requests = [];
  assert.equal(
    (await run({ httpGet: { port: 'web', path: '/ok?q=1', httpHeaders: [{ name: 'X-A', value: 'b' }] } })).result,
    'success',
  );
  assert.equal(requests[0]?.url, '/ok?q=1');
  assert.equal(requests[0]?.headers['user-agent'], 'kube-probe/1.36');
  assert.equal(requests[0]?.headers['x-a'], 'b');
  assert.deepEqual(await run({ httpGet: { port, path: '/bad' } }), {
    result: 'failure',
    output: 'HTTP probe failed with statuscode: 500',
  });
  assert.equal((await run({ httpGet: { port, path: '/here' } })).output, 'body');
  assert.equal((await run({ httpGet: { port, path: '/away' } })).warning, true);
  assert.match((await run({ httpGet: { port, path: '/loop' } })).output, /stopped after 10 redirects/);
  assert.match((await run({ httpGet: { port, path: '/silent' } }, 50)).output, /context deadline exceeded/);
  assert.match(
    (await run({ httpGet: { port: 1 } })).output,
    /^Get "http:\/\/127\.0\.0\.1:1\/": dial tcp 127\.0\.0\.1:1: connect: connection refused$/,
  );
  assert.match((await run({ httpGet: { port: 'nope' } })).output, /invalid port number/);
});

test('TCP', async () => {
  assert.equal((await run({ tcpSocket: { port } })).result, 'success');
  assert.equal((await run({ tcpSocket: { port: 1 } })).output, 'dial tcp 127.0.0.1:1: connect: connection refused');
});

test('exec: exit codes, output, time', async () => {
  exec = async () => ({ stdout: Buffer.from('out'), stderr: Buffer.from('err'), exit_code: 0 });
  assert.deepEqual(await run({ exec: { command: ['x'] } }), { result: 'success', output: 'outerr' });
  exec = async () => ({ stdout: Buffer.alloc(100_000, 'x'), stderr: Buffer.alloc(0), exit_code: 1 });
  const failed = await run({ exec: { command: ['x'] } });
  assert.equal(failed.result, 'failure');
  assert.equal(failed.output.length, 10 << 10);
  exec = async () => {
    throw new CriError('DEADLINE_EXCEEDED', 'failed to exec in container: timeout 2s exceeded');
  };
  assert.match((await run({ exec: { command: ['a', 'b'] } })).output, /"a b" timed out after 2s/);
  exec = async () => {
    throw new CriError('DEADLINE_EXCEEDED', 'Deadline exceeded after 12.000s');
  };
  assert.equal((await run({ exec: { command: ['a'] } })).result, 'unknown');
  exec = async () => {
    throw new CriError('UNAVAILABLE', 'gone');
  };
  assert.deepEqual(await run({ exec: { command: ['a'] } }), { result: 'unknown', output: 'gone' });
});

test('gRPC health', async () => {
  const grpc = new GrpcServer();
  const health = {
    Check: {
      path: '/grpc.health.v1.Health/Check',
      requestStream: false,
      responseStream: false,
      requestSerialize: (b: Buffer) => b,
      requestDeserialize: (b: Buffer) => b,
      responseSerialize: (b: Buffer) => b,
      responseDeserialize: (b: Buffer) => b,
    },
  };
  grpc.addService(health, {
    Check: (call: { request: Buffer }, reply: (error: null, answer: Buffer) => void) =>
      reply(null, Buffer.from([8, call.request.length > 0 ? 2 : 1])),
  });
  const grpcPort = await new Promise<number>((resolve, reject) =>
    grpc.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  assert.equal((await run({ grpc: { port: grpcPort } })).result, 'success');
  assert.match((await run({ grpc: { port: grpcPort, service: 'x' } })).output, /NOT_SERVING/);
  assert.equal((await run({ grpc: { port: 1 } }, 200)).result, 'failure');
  grpc.forceShutdown();
});
