/** Metrics in the text form that Prometheus reads: counters, gauges and histograms by label values. */

export interface MetricOptions {
  /** Upstream's where it has one: letters, digits, `_` and `:`. */
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  /**
   * Label values often come from what users write, so each family is bounded: a combination that comes when so many are kept is
   * counted under `other` in every label. Default 1000.
   */
  readonly mostSeries?: number;
}

export interface HistogramOptions extends MetricOptions {
  /** Upper limits, growing; `+Inf` is added. */
  readonly buckets: readonly number[];
}

/** One line of a counter or gauge. Kept by callers on a hot path, so that a count is one addition. */
export interface MetricSeries {
  value: number;
}

/** The lines of one combination of labels. */
export interface HistogramSeries {
  observe(value: number): void;
}

export interface ValueMetric {
  /** The series of these label values, made when it is new. One value a label, in their order. */
  of(...values: string[]): MetricSeries;
  add(by: number, ...values: string[]): void;
  set(value: number, ...values: string[]): void;
  /** Forgets all series: for gauges that are filled anew at each reading. */
  clear(): void;
}

export interface HistogramMetric {
  of(...values: string[]): HistogramSeries;
  observe(value: number, ...values: string[]): void;
}

const defaultMostSeries = 1000;
const separator = '\u0001';

abstract class Family<T> {
  readonly options: MetricOptions;
  readonly series = new Map<string, T>();
  readonly #labels: readonly string[];
  readonly #most: number;

  constructor(options: MetricOptions) {
    this.options = options;
    this.#labels = options.labels ?? [];
    this.#most = options.mostSeries ?? defaultMostSeries;
  }

  of(...values: string[]): T {
    const key = values.length === 1 ? (values[0] as string) : values.join(separator);
    const found = this.series.get(key);
    if (found !== undefined) return found;
    if (values.length !== this.#labels.length)
      throw new TypeError(`${this.options.name} has the labels ${this.#labels.join(', ')}`);
    const kept = this.series.size < this.#most ? values : values.map(() => 'other');
    const keptKey = kept === values ? key : kept.join(separator);
    const known = this.series.get(keptKey);
    if (known !== undefined) return known;
    const made = this.make(
      this.#labels.map((name, index) => `${name}="${labelText(kept[index] as string)}"`).join(','),
    );
    this.series.set(keptKey, made);
    return made;
  }

  clear(): void {
    this.series.clear();
  }

  abstract readonly type: 'counter' | 'gauge' | 'histogram';
  abstract make(labels: string): T;
  abstract write(lines: string[]): void;
}

class Value implements MetricSeries {
  readonly labels: string;
  value = 0;

  constructor(labels: string) {
    this.labels = labels;
  }
}

class ValueFamily extends Family<Value> implements ValueMetric {
  readonly type: 'counter' | 'gauge';

  constructor(options: MetricOptions, type: 'counter' | 'gauge') {
    super(options);
    this.type = type;
    if ((options.labels ?? []).length === 0) this.of();
  }

  make(labels: string): Value {
    return new Value(labels);
  }

  add(by: number, ...values: string[]): void {
    this.of(...values).value += by;
  }

  set(value: number, ...values: string[]): void {
    this.of(...values).value = value;
  }

  write(lines: string[]): void {
    const { name } = this.options;
    for (const { labels, value } of this.series.values())
      lines.push(`${labels === '' ? name : `${name}{${labels}}`} ${numberText(value)}`);
  }
}

/** Counts of one combination of labels, each in the smallest bucket that holds it. */
export class Histogram implements HistogramSeries {
  readonly #buckets: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(buckets: readonly number[]) {
    this.#buckets = buckets;
    this.#counts = new Float64Array(buckets.length + 1);
  }

  observe(value: number): void {
    const buckets = this.#buckets;
    let at = 0;
    while (at < buckets.length && value > (buckets[at] as number)) at++;
    (this.#counts[at] as number)++;
    this.#sum += value;
  }

  get count(): number {
    return this.#counts.reduce((total, one) => total + one, 0);
  }

  /** The lines of `name` with these labels as they are printed. */
  write(lines: string[], name: string, labels: string): void {
    const before = labels === '' ? '' : `${labels},`;
    const around = labels === '' ? '' : `{${labels}}`;
    let total = 0;
    for (const [index, limit] of this.#buckets.entries()) {
      total += this.#counts[index] as number;
      lines.push(`${name}_bucket{${before}le="${numberText(limit)}"} ${total}`);
    }
    total += this.#counts[this.#buckets.length] as number;
    lines.push(
      `${name}_bucket{${before}le="+Inf"} ${total}`,
      `${name}_sum${around} ${numberText(this.#sum)}`,
      `${name}_count${around} ${total}`,
    );
  }
}

class LabelledHistogram extends Histogram {
  readonly labels: string;

  constructor(buckets: readonly number[], labels: string) {
    super(buckets);
    this.labels = labels;
  }
}

class HistogramFamily extends Family<LabelledHistogram> implements HistogramMetric {
  readonly type = 'histogram';
  readonly #buckets: readonly number[];

  constructor(options: HistogramOptions) {
    super(options);
    this.#buckets = options.buckets;
    if ((options.labels ?? []).length === 0) this.of();
  }

  make(labels: string): LabelledHistogram {
    return new LabelledHistogram(this.#buckets, labels);
  }

  observe(value: number, ...values: string[]): void {
    this.of(...values).observe(value);
  }

  write(lines: string[]): void {
    for (const one of this.series.values()) one.write(lines, this.options.name, one.labels);
  }
}

/** Families of metrics that are read together. A name is one family: asked for again, it is the same. */
export class MetricRegistry {
  readonly #families = new Map<string, Family<unknown>>();
  readonly #collectors = new Set<() => void>();

  counter(options: MetricOptions): ValueMetric {
    return this.#family(options, () => new ValueFamily(options, 'counter')) as ValueFamily;
  }

  gauge(options: MetricOptions): ValueMetric {
    return this.#family(options, () => new ValueFamily(options, 'gauge')) as ValueFamily;
  }

  histogram(options: HistogramOptions): HistogramMetric {
    return this.#family(options, () => new HistogramFamily(options)) as HistogramFamily;
  }

  /** Called before each reading, to fill gauges; returns a function that ends that. */
  onRead(collector: () => void): () => void {
    this.#collectors.add(collector);
    return () => void this.#collectors.delete(collector);
  }

  /** Every family that has something to say, by name. */
  lines(): string[] {
    for (const collect of this.#collectors) collect();
    const lines: string[] = [];
    for (const [name, family] of [...this.#families].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (family.series.size === 0) continue;
      lines.push(...metricHead(name, family.options.help, family.type));
      family.write(lines);
    }
    return lines;
  }

  #family(options: MetricOptions, make: () => Family<unknown>): Family<unknown> {
    let family = this.#families.get(options.name);
    if (family === undefined) this.#families.set(options.name, (family = make()));
    return family;
  }
}

/** What this process counts of itself, whoever shows it: queues, requests that it sends, the scheduler's work. */
export const processMetrics = new MetricRegistry();

/** The two lines before a family's samples. */
export function metricHead(name: string, help: string, type: 'counter' | 'gauge' | 'histogram'): string[] {
  const text = help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n');
  return [`# HELP ${name} ${text}`, `# TYPE ${name} ${type}`];
}

/** A label's value as it stands between quotes. */
export function labelText(value: string): string {
  return /[\\"\n]/.test(value) ? value.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n') : value;
}

/** A sample's value: at most nine digits after the point, so that sums do not print their rounding. */
function numberText(value: number): string {
  if (Number.isInteger(value)) return String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
  return String(Math.abs(value) < 1e-6 ? value : Number(value.toFixed(9)));
}
