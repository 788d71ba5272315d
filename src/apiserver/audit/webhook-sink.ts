import { type Clock, type Closable, type Log, messageOf, processMetrics, sleep, type Timer } from '#base';
import type { Transport } from '#wire';
import { type AuditSink, eventText } from './sink.ts';

export interface WebhookSinkOptions {
  /** To the webhook; the caller closes it. */
  readonly transport: Transport;
  /** Below the transport's server; default `/`. */
  readonly path?: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Events of one request; default 400. */
  readonly batchSize?: number;
  /** A batch that is not full waits so long; default 30,000. */
  readonly batchWaitMs?: number;
  /** Events that may wait; more are lost, and that is told. Default 10,000. */
  readonly bufferSize?: number;
  /** Before the second try; each further wait is half as long again. Default 10,000. */
  readonly firstRetryMs?: number;
  readonly largestEventBytes?: number;
  /** Bytes of one request; default 10 MiB. */
  readonly largestBatchBytes?: number;
}

const tries = 5;
const answerMs = 30_000;
const closingMs = 5_000;

const errors = processMetrics.counter({
  name: 'apiserver_audit_error_total',
  help: 'Audit events that were lost, by where they were to go.',
  labels: ['plugin'],
});

/**
 * Posts events in batches, each an audit.k8s.io/v1 EventList, to a webhook. Requests never wait for it: what does not fit the buffer,
 * or was refused or not taken after five tries, is lost, counted and told.
 */
export function openWebhookSink(options: WebhookSinkOptions): AuditSink & Closable {
  const { transport, path = '/', clock, log, batchSize = 400, batchWaitMs = 30_000, bufferSize = 10_000 } = options;
  const { firstRetryMs = 10_000, largestBatchBytes = 10 << 20 } = options;
  const stopping = new AbortController();
  let waiting: string[] = [];
  let timer: Timer | undefined;
  let sending: Promise<void> | undefined;
  let lost = 0;

  function lose(count: number, why: string): void {
    errors.add(count, 'webhook');
    // One line for a burst, not one an event.
    if (lost === 0) log.error({ events: count, why }, 'audit events were lost on the way to the webhook');
    lost += count;
  }

  function nextBatch(): string[] {
    let [count, bytes] = [0, 0];
    while (count < waiting.length && count < batchSize) {
      bytes += (waiting[count] as string).length;
      if (count > 0 && bytes > largestBatchBytes) break;
      count++;
    }
    const batch = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return batch;
  }

  async function post(batch: readonly string[]): Promise<void> {
    const body = Buffer.from(
      `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[${batch.join(',')}]}`,
    );
    let waitMs = firstRetryMs;
    for (let attempt = 1; ; attempt++) {
      const failure = await once(body);
      if (failure === undefined) {
        lost = 0;
        return;
      }
      if (!failure.again || attempt === tries || stopping.signal.aborted) return lose(batch.length, failure.why);
      await sleep(clock, waitMs, stopping.signal).catch(() => {});
      waitMs *= 1.5;
    }
  }

  async function once(body: Uint8Array): Promise<{ readonly why: string; readonly again: boolean } | undefined> {
    const late = new AbortController();
    const timeout = clock.setTimer(() => late.abort(new Error('the webhook did not answer in time')), answerMs);
    try {
      const headers = {
        'content-type': 'application/json',
        accept: 'application/json',
        'user-agent': 'kube-apiserver',
      };
      const response = await transport.request({ method: 'POST', target: path, headers, body, signal: late.signal });
      await response.bytes();
      if (response.status < 300) return undefined;
      const again = response.status >= 500 || response.status === 429;
      return { why: `the webhook answered ${response.status}`, again };
    } catch (error) {
      return { why: messageOf(error), again: true };
    } finally {
      timeout.cancel();
    }
  }

  async function sendAll(): Promise<void> {
    while (waiting.length > 0) await post(nextBatch());
  }

  function flush(): void {
    timer?.cancel();
    timer = undefined;
    sending ??= sendAll().finally(() => {
      sending = undefined;
    });
  }

  return {
    write(event) {
      const text = eventText(event, options.largestEventBytes);
      if (text === undefined) return lose(1, 'an event is too large even without its objects');
      if (waiting.length >= bufferSize) return lose(1, `${bufferSize} events wait already`);
      waiting.push(text);
      if (waiting.length >= batchSize) flush();
      else if (sending === undefined) timer ??= clock.setTimer(flush, batchWaitMs);
    },
    async close() {
      flush();
      const patience = clock.setTimer(() => stopping.abort(new Error('the server stops')), closingMs);
      await sending;
      patience.cancel();
    },
  };
}
