import { type Clock, Histogram, labelText, metricHead, MetricRegistry, ProcessGauges, processMetrics } from '#base';
import type { KindCatalogue, KindDefinition } from '#kinds';
import type { Route, ServerRequest, ServerResponse } from '../contract.ts';
import { Measures } from './measures.ts';

const durationBuckets = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];
const sliBuckets = durationBuckets.slice(durationBuckets.indexOf(0.05));
const sizeBuckets = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
const mostSeries = 5000;
const methods = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']);
const connecting = new Set(['exec', 'attach', 'portforward', 'proxy', 'log']);
const subresources = new Set([
  ...connecting,
  ...['status', 'scale', 'binding', 'eviction', 'ephemeralcontainers', 'resize', 'token', 'approval', 'finalize'],
]);
const healthPaths = new Set(['/healthz', '/livez', '/readyz']);
const applyType = 'application/apply-patch';

/** All that is counted of requests that have the same labels. */
interface RequestSeries {
  readonly labels: string;
  readonly longRunning: boolean;
  readonly sized: boolean;
  readonly codes: Map<number, number>;
  readonly durations: Histogram;
  /** Without the time that requests waited for others; absent for dry runs and long-running ones. */
  readonly sli: Histogram | undefined;
  readonly sizes: Histogram;
  running: number;
}

type Kind = 'mutating' | 'readOnly';

/** Counts of requests, in the text form of Prometheus. Labels come from what is served, never from what is asked for. */
export class RequestMetrics {
  readonly #clock: Clock;
  readonly #catalogue: KindCatalogue;
  /** By the text of their labels; `#known` finds them faster. */
  readonly #series = new Map<string, RequestSeries>();
  readonly #known = new Map<KindDefinition | undefined, Map<string, RequestSeries>>();
  /** Of reads of one object, the most frequent of all. */
  readonly #gets = new WeakMap<KindDefinition, RequestSeries>();
  readonly #process: ProcessGauges;
  readonly measures: Measures;
  /** Counters and gauges of other parts of this server. */
  readonly registry = new MetricRegistry();
  readonly #inFlight: Readonly<Record<Kind, Peak>> = { mutating: new Peak(), readOnly: new Peak() };
  readonly #attempts = { success: 0, failure: 0 };

  constructor(clock: Clock, catalogue: KindCatalogue) {
    this.#clock = clock;
    this.#catalogue = catalogue;
    this.measures = new Measures(clock);
    this.#process = new ProcessGauges(clock);
  }

  begin(request: ServerRequest): number {
    const nowMs = this.#clock.monotonicMs();
    this.#inFlight[kindOf(request)].enter(nowMs);
    return nowMs;
  }

  /** Counts a request when its answer's head is there; `end` of what it returns, for a long-running one, when it is over. */
  end(request: ServerRequest, response: ServerResponse, beganMs: number): RequestEnd | undefined {
    const nowMs = this.#clock.monotonicMs();
    this.#inFlight[kindOf(request)].leave(nowMs);
    const { status: code, body } = response;
    if (request.source.trusted === undefined) this.#attempts[code === 401 ? 'failure' : 'success']++;
    const series = this.#seriesOf(request);
    if (series === undefined) return undefined;
    series.codes.set(code, (series.codes.get(code) ?? 0) + 1);
    const opened = series.longRunning && (response.stream !== undefined || response.takeOver !== undefined);
    if (opened) {
      series.running++;
      return {
        end: () => {
          series.running--;
          series.durations.observe((this.#clock.monotonicMs() - beganMs) / 1000);
        },
      };
    }
    series.durations.observe((nowMs - beganMs) / 1000);
    series.sli?.observe((nowMs - beganMs - (request.waitedMs ?? 0)) / 1000);
    if (series.sized && body !== undefined) series.sizes.observe(bytesOf(body));
    return undefined;
  }

  #seriesOf(request: ServerRequest): RequestSeries | undefined {
    const { info, method } = request;
    const definition =
      info.isResource === true ? this.#catalogue.byPlural(info.group, info.version, info.resource) : undefined;
    if (info.verb === 'get' && info.subresource === '' && definition !== undefined) {
      const found = this.#gets.get(definition);
      if (found !== undefined) return found;
    }
    const known = definition !== undefined;
    const subresource = known
      ? subresources.has(info.subresource)
        ? info.subresource
        : ''
      : healthPaths.has(info.path)
        ? info.path
        : '';
    const scope = !known
      ? ''
      : info.verb === 'list' || info.verb === 'watch' || info.verb === 'deletecollection'
        ? info.namespace === ''
          ? 'cluster'
          : 'namespace'
        : 'resource';
    const verb =
      info.verb === 'watch'
        ? 'WATCH'
        : known && connecting.has(subresource)
          ? 'CONNECT'
          : method === 'GET' || method === 'HEAD'
            ? scope === 'cluster' || scope === 'namespace'
              ? 'LIST'
              : 'GET'
            : method === 'PATCH' && request.headers['content-type']?.startsWith(applyType)
              ? 'APPLY'
              : methods.has(method)
                ? method
                : 'other';
    const dryRun =
      method !== 'GET' && method !== 'HEAD' && info.rawQuery?.includes('dryRun')
        ? info.options.get('dryRun') === 'All'
          ? 'All'
          : 'invalid'
        : '';
    let all = this.#known.get(definition);
    if (all === undefined) {
      // Kinds come and go with CustomResourceDefinitions.
      if (this.#known.size >= mostSeries) this.#known.clear();
      this.#known.set(definition, (all = new Map()));
    }
    const key = `${verb} ${subresource} ${scope} ${dryRun}`;
    const found = all.get(key);
    if (found !== undefined) return found;
    const { group = '', version = '', plural = '' } = definition?.resource ?? {};
    const component = healthPaths.has(subresource) ? '' : 'apiserver';
    const labels = `verb="${verb}",dry_run="${dryRun}",group="${group}",version="${version}",resource="${plural}",subresource="${subresource}",scope="${scope}",component="${component}"`;
    let series = this.#series.get(labels);
    if (series === undefined) {
      if (this.#series.size >= mostSeries) return undefined;
      series = {
        labels,
        longRunning: verb === 'WATCH' || verb === 'CONNECT',
        sized: verb === 'GET' || verb === 'LIST',
        codes: new Map(),
        durations: new Histogram(durationBuckets),
        sli: dryRun === '' && verb !== 'WATCH' && verb !== 'CONNECT' ? new Histogram(sliBuckets) : undefined,
        sizes: new Histogram(sizeBuckets),
        running: 0,
      };
      this.#series.set(labels, series);
    }
    all.set(key, series);
    if (info.verb === 'get' && subresource === '' && info.subresource === '' && definition !== undefined)
      this.#gets.set(definition, series);
    return series;
  }

  /** What is served, as upstream's programs say of themselves. */
  static buildInfo(version: { readonly [field: string]: string }): string[] {
    const snake = (name: string): string => name.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);
    const labels = Object.entries(version).map(([name, value]) => `${snake(name)}="${labelText(value)}"`);
    return [
      ...metricHead('kubernetes_build_info', 'What is served; always 1.', 'gauge'),
      `kubernetes_build_info{${labels.join(',')}} 1`,
    ];
  }

  /** `more`: whole families that others write. */
  text(more: readonly string[]): string {
    const nowMs = this.#clock.monotonicMs();
    const all = [...this.#series.values()];
    const lines = metricHead('apiserver_request_total', 'Requests answered.', 'counter');
    for (const { labels, codes } of all)
      for (const [code, count] of codes) lines.push(`apiserver_request_total{${labels},code="${code}"} ${count}`);
    const name = 'apiserver_request_duration_seconds';
    lines.push(...metricHead(name, 'Time to the answer; of watches and streams until their end.', 'histogram'));
    for (const { labels, durations } of all) durations.write(lines, name, labels);
    const sli = 'apiserver_request_sli_duration_seconds';
    lines.push(
      ...metricHead(sli, 'Time to the answer, without that of webhooks and of waiting for a place.', 'histogram'),
    );
    for (const { labels, sli: series } of all) series?.write(lines, sli, withoutDryRun(labels));
    const sizes = 'apiserver_response_sizes';
    lines.push(
      ...metricHead(sizes, 'Sizes of answers in bytes; those that are streamed are not counted.', 'histogram'),
    );
    for (const { labels, sizes: series, sized } of all)
      if (sized && series.count > 0) series.write(lines, sizes, withoutDryRun(labels));
    lines.push(
      ...metricHead('apiserver_current_inflight_requests', 'Most requests at a time of the last second.', 'gauge'),
      `apiserver_current_inflight_requests{request_kind="mutating"} ${this.#inFlight.mutating.most(nowMs)}`,
      `apiserver_current_inflight_requests{request_kind="readOnly"} ${this.#inFlight.readOnly.most(nowMs)}`,
      ...metricHead('authentication_attempts', 'Requests through sockets by their credentials.', 'counter'),
      `authentication_attempts{result="success"} ${this.#attempts.success}`,
      `authentication_attempts{result="failure"} ${this.#attempts.failure}`,
      ...this.measures.lines(),
      ...this.registry.lines(),
      ...this.#process.lines(),
      ...processMetrics.lines(),
      ...more,
    );
    return `${lines.join('\n')}\n`;
  }

  /** Long-running requests that are not watches, by their labels. */
  *running(): Generator<readonly [labels: string, count: number]> {
    for (const { labels, running } of this.#series.values())
      if (running > 0 && !labels.startsWith('verb="WATCH"')) yield [withoutDryRun(labels), running];
  }

  start(): void {
    this.#process.start();
  }

  close(): void {
    this.#process.close();
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

export interface RequestEnd {
  end(): void;
}

const kindOf = ({ method }: ServerRequest): Kind => (method === 'GET' || method === 'HEAD' ? 'readOnly' : 'mutating');

/** Only of reads, which have no dry run. */
const withoutDryRun = (labels: string): string => labels.replace(/,dry_run="[^"]*"/, '');

function bytesOf(body: Uint8Array | readonly Uint8Array[]): number {
  if (body instanceof Uint8Array) return body.length;
  return body.reduce((sum, one) => sum + one.length, 0);
}

/** How many at a time, and the most of a second. */
class Peak {
  #now = 0;
  #most = 0;
  #before = 0;
  #sinceMs = 0;

  enter(nowMs: number): void {
    this.#now++;
    if (nowMs - this.#sinceMs >= 1000) this.#turn(nowMs);
    else if (this.#now > this.#most) this.#most = this.#now;
  }

  leave(nowMs: number): void {
    if (nowMs - this.#sinceMs >= 1000) this.#turn(nowMs);
    this.#now--;
  }

  most(nowMs: number): number {
    if (nowMs - this.#sinceMs >= 1000) this.#turn(nowMs);
    return Math.max(this.#most, this.#before);
  }

  #turn(nowMs: number): void {
    this.#before = nowMs - this.#sinceMs < 2000 ? this.#most : 0;
    this.#most = this.#now;
    this.#sinceMs = nowMs;
  }
}
