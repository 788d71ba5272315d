/**
 * DNS questions over UDP from one socket, always `outstanding` of them on their way: a `DnsLoadRequest` as JSON on stdin, a
 * `DnsLoadResult` as JSON on stdout.
 */
import { createSocket } from 'node:dgram';
import { text } from 'node:stream/consumers';
import { encode } from 'dns-packet';
import { percentile } from '../measurement.ts';

export interface DnsLoadRequest {
  readonly port: number;
  readonly names: readonly string[];
  readonly outstanding: number;
  readonly seconds: number;
}

export interface DnsLoadResult {
  readonly answers: number;
  /** Answers that were no answer: another code than NOERROR, or no record. */
  readonly wrong: number;
  readonly lost: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const wanted = JSON.parse(await text(process.stdin)) as DnsLoadRequest;
const questions = wanted.names.map((name) =>
  Buffer.from(encode({ type: 'query', id: 0, flags: 0x100, questions: [{ type: 'A', class: 'IN', name }] })),
);
const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
const askedMs = new Float64Array(wanted.outstanding);
const samples: number[] = [];
let sent = 0;
let wrong = 0;
let stopping = false;

socket.on('message', (answer) => {
  const id = answer.readUInt16BE(0);
  samples.push(performance.now() - (askedMs[id] as number));
  if ((answer[3] as number) & 15 || answer.readUInt16BE(6) === 0) wrong++;
  if (!stopping) ask(id);
});
await new Promise<void>((resolve) => socket.connect(wanted.port, '127.0.0.1', resolve));
const startMs = performance.now();
for (let id = 0; id < wanted.outstanding; id++) ask(id);
await new Promise((resolve) => setTimeout(resolve, wanted.seconds * 1000));
stopping = true;
const seconds = (performance.now() - startMs) / 1000;
const answers = samples.length;
await new Promise((resolve) => setTimeout(resolve, 200));
const sorted = Float64Array.from(samples).sort();
const result: DnsLoadResult = {
  answers,
  wrong,
  lost: sent - samples.length,
  seconds,
  p50Ms: percentile(sorted, 0.5),
  p99Ms: percentile(sorted, 0.99),
};
process.stdout.write(JSON.stringify(result), () => process.exit(0));

function ask(id: number): void {
  const question = questions[sent++ % questions.length] as Buffer;
  question.writeUInt16BE(id, 0);
  askedMs[id] = performance.now();
  socket.send(Buffer.from(question));
}
