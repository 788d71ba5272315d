/**
 * Many watchers of one kind and one writer, in a process of its own: a `WatchLoadRequest` as JSON on stdin, a `WatchLoadResult` as
 * JSON on stdout. Writer and watchers share a clock, so that the latency is from before the POST to the event's arrival.
 */
import { text } from 'node:stream/consumers';
import { percentile } from '../measurement.ts';
import { RawConnection } from './raw-http2.ts';

export interface WatchLoadRequest {
  readonly server: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly namespace: string;
  readonly watchers: number;
  readonly writesPerSecond: number;
  readonly seconds: number;
}

export interface WatchLoadResult {
  readonly writes: number;
  readonly expected: number;
  readonly delivered: number;
  /** Events that came twice, too late or with one before them missing. */
  readonly outOfOrder: number;
  /** Watches that the server ended. */
  readonly ended: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Share of one core that this process used: near 1, the generator was the limit. */
  readonly generatorLoad: number;
}

const watchersPerConnection = 100;
const startTimeoutMs = 30_000;
const drainTimeoutMs = 10_000;
const mark = Buffer.from('"seq":"');

const wanted = JSON.parse(await text(process.stdin)) as WatchLoadRequest;
const { watchers, writesPerSecond, seconds, namespace, headers } = wanted;
const path = `/api/v1/namespaces/${namespace}/configmaps`;
const writes = writesPerSecond * seconds;
const sentMs = new Float64Array(writes);
const samples = new Float64Array(writes * watchers);
let delivered = 0;
let outOfOrder = 0;
let ended = 0;
let opened = 0;
let stopping = false;

const connections = await Promise.all(
  Array.from({ length: Math.ceil(watchers / watchersPerConnection) }, () => RawConnection.open(wanted)),
);
for (let i = 0; i < watchers; i++) openWatch(connections[i % connections.length] as RawConnection);
await reached(() => opened === watchers, startTimeoutMs);
if (opened < watchers) throw new Error(`only ${opened} of ${watchers} watches were opened`);

const writer = await RawConnection.open(wanted);
let refused = 0;
const before = process.cpuUsage();
const startMs = performance.now();
for (let sequence = 0; sequence < writes; sequence++) {
  const dueMs = startMs + (sequence * 1000) / writesPerSecond;
  const waitMs = dueMs - performance.now();
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  write(sequence);
}
await reached(() => delivered >= writes * watchers, drainTimeoutMs);
const tookMs = performance.now() - startMs;
const used = process.cpuUsage(before);
stopping = true;
const sorted = samples.subarray(0, Math.min(delivered, samples.length)).toSorted();
const result: WatchLoadResult = {
  writes: writes - refused,
  expected: (writes - refused) * watchers,
  delivered,
  outOfOrder,
  ended,
  p50Ms: percentile(sorted, 0.5),
  p99Ms: percentile(sorted, 0.99),
  maxMs: percentile(sorted, 1),
  generatorLoad: (used.user + used.system) / 1000 / tookMs,
};
process.stdout.write(JSON.stringify(result));
for (const one of [...connections, writer]) one.close();

/** Follows one watch: events are lines, and each carries the number of its write. */
function openWatch(connection: RawConnection): void {
  let next = 0;
  let rest: Buffer | undefined;
  const take = (line: Buffer): void => {
    const at = line.indexOf(mark);
    if (at < 0) return;
    const sequence = Number(line.toString('latin1', at + mark.length, line.indexOf(0x22, at + mark.length)));
    if (sequence !== next) outOfOrder++;
    next = sequence + 1;
    if (delivered < samples.length) samples[delivered] = performance.now() - (sentMs[sequence] as number);
    delivered++;
  };
  connection.send(
    { method: 'GET', path: `${path}?watch=true&resourceVersion=0&allowWatchBookmarks=false`, headers },
    {
      onStatus: (success) => {
        if (success) opened++;
      },
      onData(piece) {
        const bytes = rest === undefined ? piece : Buffer.concat([rest, piece]);
        rest = undefined;
        let from = 0;
        for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
          take(bytes.subarray(from, end));
          from = end + 1;
        }
        if (from < bytes.length) rest = Buffer.from(bytes.subarray(from));
      },
      onEnd: () => {
        if (!stopping) ended++;
      },
    },
  );
}

/** Names grow with the number; one write after the other starts in order, and the server commits them in that order. */
function write(sequence: number): void {
  const object = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `event-${sequence}` },
    data: { seq: String(sequence), note: 'x'.repeat(100) },
  };
  sentMs[sequence] = performance.now();
  writer.send(
    {
      method: 'POST',
      path,
      headers: { ...headers, 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(object)),
    },
    {
      onStatus: (success) => {
        if (!success) refused++;
      },
      onEnd: () => {},
    },
  );
}

async function reached(done: () => boolean, limitMs: number): Promise<void> {
  const giveUpMs = performance.now() + limitMs;
  while (!done() && performance.now() < giveUpMs) await new Promise((resolve) => setTimeout(resolve, 5));
}
