/**
 * Load on one path over HTTP/2, in a process of its own: a `LoadRequest` as JSON on stdin, a `LoadResult` as JSON on stdout.
 * Used where h2load is not installed.
 */
import { text } from 'node:stream/consumers';
import type { LoadRequest, LoadResult } from './generator.ts';
import { RawConnection } from './raw-http2.ts';

const wanted = JSON.parse(await text(process.stdin)) as LoadRequest;
const { connections, streams, seconds, requests = Number.POSITIVE_INFINITY } = wanted;
const body = wanted.body === undefined ? undefined : Buffer.from(wanted.body);
const open = await Promise.all(Array.from({ length: connections }, () => RawConnection.open(wanted)));
const result = { succeeded: 0, failed: 0 };
let started = 0;
const startMs = performance.now();
const endMs = startMs + (seconds ?? 600) * 1000;
const done = Promise.withResolvers<void>();
let running = 0;

for (const connection of open) {
  const send = connection.prepare({
    method: wanted.method,
    path: wanted.path,
    headers: wanted.headers,
    ...(body === undefined ? {} : { body }),
  });
  const next = (): void => {
    if (started >= requests || performance.now() >= endMs) {
      if (running === 0) done.resolve();
      return;
    }
    started++;
    running++;
    let good = false;
    send({
      onStatus: (success) => {
        good = success;
      },
      onEnd: (complete) => {
        running--;
        if (good && complete) result.succeeded++;
        else result.failed++;
        next();
      },
    });
  };
  for (let i = 0; i < streams; i++) next();
}
await done.promise;
const tookSeconds = (performance.now() - startMs) / 1000;
const bytes = open.reduce((sum, one) => sum + one.receivedBytes, 0);
for (const one of open) one.close();
const answer: LoadResult = { ...result, seconds: tookSeconds, bytes, generator: 'own generator' };
process.stdout.write(JSON.stringify(answer));
