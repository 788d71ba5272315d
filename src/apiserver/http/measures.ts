import { type Clock, Histogram, metricHead } from '#base';

export { labelText } from '#base';

const longBuckets = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];

/** Upstream's names, labels and buckets. */
const histograms = {
  apiserver_admission_webhook_admission_duration_seconds: {
    help: 'Time that a webhook took to answer, by name, type and operation.',
    buckets: [0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 25],
  },
  apiserver_admission_step_admission_duration_seconds: {
    help: 'Time that all admission plugins together took, by step (admit, validate) and operation.',
    buckets: [0.005, 0.025, 0.1, 0.5, 1, 2.5],
  },
  apiserver_admission_controller_admission_duration_seconds: {
    help: 'Time of admission plugins that had to wait for something, by name, step and operation.',
    buckets: [0.005, 0.025, 0.1, 0.5, 1, 2.5],
  },
  etcd_request_duration_seconds: {
    help: 'Time that the store took, by operation and resource.',
    buckets: longBuckets,
  },
} as const;

export type MeasureName = keyof typeof histograms;

/** Labels come from configuration and catalogue, but those are users' too. */
const mostSeries = 2000;

/** Histograms that parts of the server keep, in the text form of Prometheus. */
export class Measures {
  readonly clock: Clock;
  readonly #series = new Map<MeasureName, Map<string, Histogram>>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** `labels` as they are printed: `name="x",type="validating"`, values escaped by the caller. */
  observe(name: MeasureName, labels: string, value: number): void {
    this.series(name, labels)?.observe(value);
  }

  /** The series itself, for those who observe often; undefined when there are too many. */
  series(name: MeasureName, labels: string): Histogram | undefined {
    let all = this.#series.get(name);
    if (all === undefined) this.#series.set(name, (all = new Map()));
    let series = all.get(labels);
    if (series === undefined) {
      if (all.size >= mostSeries) return undefined;
      all.set(labels, (series = new Histogram(histograms[name].buckets)));
    }
    return series;
  }

  lines(): string[] {
    const lines: string[] = [];
    for (const [name, all] of this.#series) {
      lines.push(...metricHead(name, histograms[name].help, 'histogram'));
      for (const [labels, series] of all) series.write(lines, name, labels);
    }
    return lines;
  }
}
