import type { Clock } from '#base';

/** Upstream's names and meanings; buckets are fewer than upstream's. */
const histograms = {
  apiserver_admission_webhook_admission_duration_seconds: {
    help: 'Time that a webhook took to answer, by name, type and operation.',
    buckets: [0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 25],
  },
  etcd_request_duration_seconds: {
    help: 'Time that the store took, by operation and type of object.',
    buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30],
  },
  apiserver_response_sizes: {
    help: 'Sizes of answers in bytes, by verb and resource; those that are streamed are not counted.',
    buckets: [1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000],
  },
} as const;

export type MeasureName = keyof typeof histograms;

interface Series {
  readonly counts: number[];
  count: number;
  sum: number;
}

/** Labels come from configuration and catalogue, but those are users' too. */
const mostSeries = 2000;

/** Histograms that parts of the server keep, in the text form of Prometheus. */
export class Measures {
  readonly clock: Clock;
  readonly #series = new Map<MeasureName, Map<string, Series>>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** `labels` as they are printed: `name="x",type="validating"`, values escaped by the caller. */
  observe(name: MeasureName, labels: string, value: number): void {
    let all = this.#series.get(name);
    if (all === undefined) this.#series.set(name, (all = new Map()));
    const { buckets } = histograms[name];
    let series = all.get(labels);
    if (series === undefined) {
      if (all.size >= mostSeries) return;
      all.set(labels, (series = { counts: buckets.map(() => 0), count: 0, sum: 0 }));
    }
    series.count++;
    series.sum += value;
    let at = 0;
    while (at < buckets.length && value > (buckets[at] as number)) at++;
    if (at < buckets.length) (series.counts[at] as number)++;
  }

  lines(): string[] {
    const lines: string[] = [];
    for (const [name, all] of this.#series) {
      const { help, buckets } = histograms[name];
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} histogram`);
      for (const [labels, { counts, count, sum }] of all) {
        let total = 0;
        for (const [index, limit] of buckets.entries()) {
          total += counts[index] as number;
          lines.push(`${name}_bucket{${labels},le="${limit}"} ${total}`);
        }
        lines.push(`${name}_bucket{${labels},le="+Inf"} ${count}`);
        lines.push(`${name}_sum{${labels}} ${Number(sum.toFixed(6))}`, `${name}_count{${labels}} ${count}`);
      }
    }
    return lines;
  }
}

/** A label's value as it stands between quotes. */
export const labelText = (value: string): string => value.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n');
