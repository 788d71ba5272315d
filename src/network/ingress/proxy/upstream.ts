import type { Clock } from '#base';
import { type BackendProtocol, Endpoint, isAllowedAddress } from './endpoint.ts';

export interface Target {
  readonly address: string;
  readonly port: number;
}

/** Finds the addresses of a name outside the cluster's Services. */
export type ResolveName = (
  name: string,
) => Promise<{ readonly addresses: readonly string[]; readonly ttlSeconds: number }>;

/** What a Service's port leads to at present. */
export interface UpstreamState {
  readonly targets: readonly Target[];
  readonly protocol: BackendProtocol;
  /** Clients keep their endpoint (sessionAffinity ClientIP). */
  readonly sticky: boolean;
  /** An ExternalName: its addresses are asked for when they are needed. */
  readonly external?: { readonly name: string; readonly port: number };
}

const leastTtlMs = 5_000;
const longestTtlMs = 60_000;

/** All endpoints, shared: two Ingresses that lead to one Service share its connections. */
export class Endpoints {
  readonly #clock: Clock;
  readonly #allow: (address: string) => boolean;
  readonly #all = new Map<string, { readonly endpoint: Endpoint; holders: number }>();

  constructor(options: { readonly clock: Clock; readonly allow?: (address: string) => boolean }) {
    this.#clock = options.clock;
    this.#allow = options.allow ?? isAllowedAddress;
  }

  hold({ address, port }: Target, protocol: BackendProtocol): Endpoint {
    const key = `${protocol}|${address}|${port}`;
    let held = this.#all.get(key);
    if (held === undefined) {
      held = {
        endpoint: new Endpoint({ address, port, protocol, clock: this.#clock, allow: this.#allow }),
        holders: 0,
      };
      this.#all.set(key, held);
    }
    held.holders++;
    return held.endpoint;
  }

  drop(endpoint: Endpoint): void {
    const key = `${endpoint.protocol}|${endpoint.address}|${endpoint.port}`;
    const held = this.#all.get(key);
    if (held === undefined || --held.holders > 0) return;
    this.#all.delete(key);
    endpoint.retire();
  }

  tick(nowMs: number): void {
    for (const { endpoint } of this.#all.values()) endpoint.sweep(nowMs);
  }

  close(): void {
    for (const { endpoint } of this.#all.values()) endpoint.destroy();
    this.#all.clear();
  }
}

/** One port of one Service as a place to send requests to. */
export class Upstream {
  readonly #clock: Clock;
  readonly #endpoints: Endpoints;
  readonly #resolve: ResolveName;
  #state: UpstreamState = { targets: [], protocol: 'http', sticky: false };
  #held: Endpoint[] = [];
  #next = 0;
  #resolvedUntilMs = 0;
  #resolving: Promise<void> | undefined;

  constructor(options: { readonly clock: Clock; readonly endpoints: Endpoints; readonly resolve: ResolveName }) {
    this.#clock = options.clock;
    this.#endpoints = options.endpoints;
    this.#resolve = options.resolve;
  }

  get size(): number {
    return this.#held.length;
  }

  update(state: UpstreamState): void {
    const before = this.#state;
    this.#state = state;
    if (state.external === undefined) return this.#hold(state.targets);
    if (before.external?.name === state.external.name && before.external.port === state.external.port) return;
    this.#resolvedUntilMs = 0;
    this.#hold([]);
  }

  /** Undefined when the endpoints are known; else resolves when they have been looked up, as far as they could be. */
  prepare(): Promise<void> | undefined {
    const { external } = this.#state;
    if (external === undefined || this.#clock.monotonicMs() < this.#resolvedUntilMs) return undefined;
    this.#resolving ??= this.#lookUp(external).finally(() => {
      this.#resolving = undefined;
    });
    // Old addresses are good enough while new ones are asked for.
    return this.#held.length > 0 ? undefined : this.#resolving;
  }

  /**
   * The endpoint for the next request: in turn, the less busy of two; those that failed lately and those already tried only when
   * there is no other. Undefined: there is none.
   */
  pick(client: string, tried: readonly Endpoint[]): Endpoint | undefined {
    const held = this.#held;
    const { length } = held;
    if (length === 0) return undefined;
    if (length === 1) return held[0];
    const nowMs = this.#clock.monotonicMs();
    const first = this.#state.sticky ? hashOf(client) % length : this.#next++ % length;
    let best: Endpoint | undefined;
    let bestScore = Number.POSITIVE_INFINITY;
    for (let i = 0; i < length; i++) {
      const one = held[(first + i) % length] as Endpoint;
      const score = (tried.includes(one) ? 4 : 0) + (one.isDown(nowMs) ? 2 : 0);
      if (score < bestScore) {
        best = one;
        bestScore = score;
      } else if (score === 0 && bestScore === 0 && !this.#state.sticky) {
        if (one.active < (best as Endpoint).active) best = one;
        break;
      }
      if (score === 0 && this.#state.sticky) break;
    }
    return best;
  }

  close(): void {
    this.#hold([]);
  }

  #hold(targets: readonly Target[]): void {
    const { protocol } = this.#state;
    const next = targets.map((one) => this.#endpoints.hold(one, protocol));
    for (const one of this.#held) this.#endpoints.drop(one);
    this.#held = next;
  }

  async #lookUp(external: { readonly name: string; readonly port: number }): Promise<void> {
    try {
      const { addresses, ttlSeconds } = await this.#resolve(external.name);
      if (this.#state.external !== external && this.#state.external?.name !== external.name) return;
      this.#resolvedUntilMs =
        this.#clock.monotonicMs() + Math.min(longestTtlMs, Math.max(leastTtlMs, ttlSeconds * 1000));
      this.#hold(addresses.slice(0, 16).map((address) => ({ address, port: external.port })));
    } catch {
      // What was known is used on; with nothing known, the request is answered so.
      this.#resolvedUntilMs = this.#clock.monotonicMs() + 1_000;
    }
  }
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
