import { type Clock, type Log, messageOf, sleep, type Timer } from '#base';
import { type NodeSamples, parseSamples } from './samples.ts';
import { type NodeUsage, usageBetween } from './usage.ts';

export interface ScraperOptions {
  /** Names of the nodes that have a kubelet now. */
  readonly nodes: () => readonly string[];
  /** A kubelet's `/metrics/resource`. Throws when it does not answer. */
  readonly read: (node: string, signal: AbortSignal) => Promise<string>;
  readonly clock: Clock;
  readonly log: Log;
}

const everyMs = 10_000;
const forgetAfterMs = 300_000;
const firstWindowMs = 1_000;
const readTimeoutMs = 5_000;
const readsAtOnce = 16;

interface Known {
  samples: NodeSamples;
  usage: NodeUsage | undefined;
}

/** Reads kubelets while somebody wants to know; costs nothing otherwise. */
export class MetricsScraper {
  readonly #options: ScraperOptions;
  readonly #known = new Map<string, Known>();
  #wantedMs = Number.NEGATIVE_INFINITY;
  #readMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #first: Promise<void> | undefined;
  #closed = false;

  constructor(options: ScraperOptions) {
    this.#options = options;
  }

  /** Usage by node, as of the last ten seconds or so. The first question takes a second. */
  async usage(): Promise<ReadonlyMap<string, NodeUsage>> {
    const { clock } = this.#options;
    this.#wantedMs = clock.monotonicMs();
    if (this.#timer === undefined) {
      this.#first ??= this.#begin().finally(() => {
        this.#first = undefined;
      });
      await this.#first;
    }
    const usage = new Map<string, NodeUsage>();
    for (const [name, one] of this.#known) if (one.usage !== undefined) usage.set(name, one.usage);
    return usage;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #begin(): Promise<void> {
    const { clock } = this.#options;
    if (clock.monotonicMs() - this.#readMs > everyMs * 2) {
      this.#known.clear();
      await this.#round();
      await sleep(clock, firstWindowMs);
    }
    await this.#round();
    this.#next();
  }

  #next(): void {
    if (this.#closed) return;
    const { clock } = this.#options;
    if (clock.monotonicMs() - this.#wantedMs > forgetAfterMs) {
      this.#timer = undefined;
      return;
    }
    this.#timer = clock.setTimer(() => void this.#round().then(() => this.#next()), everyMs);
  }

  async #round(): Promise<void> {
    const names = this.#options.nodes();
    const there = new Set(names);
    for (const name of this.#known.keys()) if (!there.has(name)) this.#known.delete(name);
    const left = [...names];
    const work = async (): Promise<void> => {
      for (let name = left.pop(); name !== undefined; name = left.pop()) await this.#read(name);
    };
    await Promise.all(Array.from({ length: Math.min(readsAtOnce, names.length) }, work));
    this.#readMs = this.#options.clock.monotonicMs();
  }

  async #read(name: string): Promise<void> {
    const { clock, log, read } = this.#options;
    const stop = new AbortController();
    const limit = clock.setTimer(() => stop.abort(), readTimeoutMs);
    try {
      const samples = parseSamples(await read(name, stop.signal), clock.nowMs());
      const before = this.#known.get(name);
      this.#known.set(name, { samples, usage: before && usageBetween(before.samples, samples) });
    } catch (error) {
      this.#known.delete(name);
      log.debug({ node: name, error: messageOf(error) }, 'the usage of a node could not be read');
    } finally {
      limit.cancel();
    }
  }
}
