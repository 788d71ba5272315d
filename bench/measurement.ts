/** One measured row. `note` says what the name does not: how it was measured, with what, in what state. */
export interface Measurement {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly note?: string;
}

/** A row that could not be measured here, and why. */
export interface Skipped {
  readonly name: string;
  readonly skipped: string;
}

export type Row = Measurement | Skipped;

/** What every group of rows is told. */
export interface BenchOptions {
  /** Fewer and shorter: a look, not a result. */
  readonly quick: boolean;
  /** A cluster that runs already, for the groups that can measure any. */
  readonly kubeconfig?: string;
  /** A cluster of `k8ts up` with real nodes, for the pod rows: its kubeconfig. */
  readonly cluster?: string;
}

export type Bench = (options: BenchOptions, report: (row: Row) => void) => Promise<void>;

/** The value below which `share` (0…1) of the sorted samples lie. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The middle of several runs. */
export function median(values: readonly number[]): number {
  return percentile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}

/** Two figures after the point below ten, one below a hundred, none above. */
export function rounded(value: number): number {
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  return Number(value.toFixed(digits));
}

export function sleepMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
