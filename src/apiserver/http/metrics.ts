import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock } from '#base';
import type { KindCatalogue } from '#kinds';
import type { Route, ServerRequest, ServerResponse } from '../contract.ts';
import { labelText, Measures } from './measures.ts';

const bucketsSeconds = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const mostSeries = 5000;
const verbs = new Set(['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection', 'connect']);
const connecting = new Set(['exec', 'attach', 'portforward', 'proxy']);

interface Series {
  readonly labels: string;
  readonly buckets: number[];
  count: number;
  sum: number;
}

const requestKind = ({ method }: ServerRequest): 'mutating' | 'readOnly' =>
  method === 'GET' || method === 'HEAD' ? 'readOnly' : 'mutating';

/** Counts of requests, in the text form of Prometheus. Labels come from what is served, never from what is asked for. */
export class RequestMetrics {
  readonly #clock: Clock;
  readonly #catalogue: KindCatalogue;
  readonly #totals = new Map<string, number>();
  readonly #durations = new Map<string, Series>();
  readonly #delay = monitorEventLoopDelay({ resolution: 20 });
  readonly measures: Measures;
  readonly #startedSeconds: number;
  readonly #inFlight = { mutating: 0, readOnly: 0 };
  readonly #attempts = { success: 0, failure: 0 };

  constructor(clock: Clock, catalogue: KindCatalogue) {
    this.#clock = clock;
    this.#catalogue = catalogue;
    this.measures = new Measures(clock);
    this.#startedSeconds = clock.nowMs() / 1000 - process.uptime();
  }

  begin(request: ServerRequest): number {
    this.#inFlight[requestKind(request)]++;
    return this.#clock.monotonicMs();
  }

  end(request: ServerRequest, response: ServerResponse, beganMs: number): void {
    this.#inFlight[requestKind(request)]--;
    const { status: code, body } = response;
    if (request.source.trusted === undefined) this.#attempts[code === 401 ? 'failure' : 'success']++;
    const labels = this.#labels(request);
    const total = `${labels},code="${code}"`;
    const before = this.#totals.get(total);
    if (before !== undefined || this.#totals.size < mostSeries) this.#totals.set(total, (before ?? 0) + 1);
    let series = this.#durations.get(labels);
    if (series === undefined) {
      if (this.#durations.size >= mostSeries) return;
      series = { labels, buckets: bucketsSeconds.map(() => 0), count: 0, sum: 0 };
      this.#durations.set(labels, series);
    }
    if (body instanceof Uint8Array) this.measures.observe('apiserver_response_sizes', labels, body.length);
    const seconds = (this.#clock.monotonicMs() - beganMs) / 1000;
    series.count++;
    series.sum += seconds;
    const at = bucketsSeconds.findIndex((limit) => seconds <= limit);
    if (at >= 0) (series.buckets[at] as number)++;
  }

  #labels({ info }: ServerRequest): string {
    const known =
      info.isResource === true && this.#catalogue.byPlural(info.group, info.version, info.resource) !== undefined;
    const verb = connecting.has(info.subresource) ? 'connect' : info.verb;
    const name = verbs.has(verb) ? verb.toUpperCase() : 'other';
    if (!known) return `verb="${name}",group="",version="",resource="",subresource="",scope=""`;
    const scope = info.name !== '' ? 'resource' : info.namespace !== '' ? 'namespace' : 'cluster';
    const subresource = /^[a-z]{1,32}$/.test(info.subresource) ? info.subresource : '';
    return `verb="${name}",group="${info.group}",version="${info.version}",resource="${info.resource}",subresource="${subresource}",scope="${scope}"`;
  }

  /** What is served, as upstream's programs say of themselves. */
  static buildInfo(version: { readonly [field: string]: string }): string[] {
    const snake = (name: string): string => name.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);
    const labels = Object.entries(version).map(([name, value]) => `${snake(name)}="${labelText(value)}"`);
    return ['# TYPE kubernetes_build_info gauge', `kubernetes_build_info{${labels.join(',')}} 1`];
  }

  text(more: readonly string[]): string {
    const lines = ['# HELP apiserver_request_total Requests answered.', '# TYPE apiserver_request_total counter'];
    for (const [labels, value] of this.#totals) lines.push(`apiserver_request_total{${labels}} ${value}`);
    lines.push(
      '# HELP apiserver_request_duration_seconds Time to the answer.',
      '# TYPE apiserver_request_duration_seconds histogram',
    );
    for (const { labels, buckets, count, sum } of this.#durations.values()) {
      let total = 0;
      for (const [index, limit] of bucketsSeconds.entries()) {
        total += buckets[index] as number;
        lines.push(`apiserver_request_duration_seconds_bucket{${labels},le="${limit}"} ${total}`);
      }
      lines.push(`apiserver_request_duration_seconds_bucket{${labels},le="+Inf"} ${count}`);
      lines.push(
        `apiserver_request_duration_seconds_sum{${labels}} ${sum.toFixed(6)}`,
        `apiserver_request_duration_seconds_count{${labels}} ${count}`,
      );
    }
    const { user, system } = process.cpuUsage();
    lines.push(
      '# HELP apiserver_current_inflight_requests Requests being worked on; watches and other streams are not among them.',
      '# TYPE apiserver_current_inflight_requests gauge',
      `apiserver_current_inflight_requests{request_kind="mutating"} ${this.#inFlight.mutating}`,
      `apiserver_current_inflight_requests{request_kind="readOnly"} ${this.#inFlight.readOnly}`,
      '# HELP authentication_attempts Requests through sockets by whether their credentials were good.',
      '# TYPE authentication_attempts counter',
      `authentication_attempts{result="success"} ${this.#attempts.success}`,
      `authentication_attempts{result="failure"} ${this.#attempts.failure}`,
      ...this.measures.lines(),
      '# TYPE process_start_time_seconds gauge',
      `process_start_time_seconds ${this.#startedSeconds.toFixed(2)}`,
      '# TYPE process_resident_memory_bytes gauge',
      `process_resident_memory_bytes ${process.memoryUsage.rss()}`,
      '# TYPE process_cpu_seconds_total counter',
      `process_cpu_seconds_total ${((user + system) / 1e6).toFixed(3)}`,
      '# TYPE nodejs_eventloop_lag_p99_seconds gauge',
      `nodejs_eventloop_lag_p99_seconds ${(this.#delay.percentile(99) / 1e9).toFixed(6)}`,
      ...more,
    );
    return `${lines.join('\n')}\n`;
  }

  start(): void {
    this.#delay.enable();
  }

  close(): void {
    this.#delay.disable();
  }

  route(more: () => readonly string[]): Route {
    return {
      path: '/metrics',
      handle: async () => ({
        status: 200,
        headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
        body: Buffer.from(this.text(more())),
      }),
    };
  }
}
