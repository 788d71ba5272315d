import type { Node } from '#api';
import { nodeCondition } from '#kinds';

export type ZoneState = 'normal' | 'partial' | 'full';

const unhealthyShare = 0.55;
const largeZone = 50;

export function zoneOf({ metadata }: Node): string {
  const { labels = {} } = metadata;
  return JSON.stringify([labels['topology.kubernetes.io/region'] ?? '', labels['topology.kubernetes.io/zone'] ?? '']);
}

/** How bad a zone is: no node ready; more than two and at least 55 % not ready; or normal. */
export function stateOfZone(nodes: readonly Node[]): ZoneState {
  const ready = nodes.filter((node) => nodeCondition(node, 'Ready')?.status === 'True').length;
  const notReady = nodes.length - ready;
  if (ready === 0 && notReady > 0) return 'full';
  return notReady > 2 && notReady / nodes.length >= unhealthyShare ? 'partial' : 'normal';
}

/** Nodes a second whose pods may be driven away. When a zone is half gone the fault is likelier the network's than the nodes'. */
export function evictionRate(state: ZoneState, size: number, rate: number): number {
  if (state !== 'partial') return rate;
  return size > largeZone ? rate / 10 : 0;
}

/** Lets `rate` nodes a second pass, one at once. */
export class EvictionLimiter {
  #tokens = 1;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  take(rate: number, nowMs: number): boolean {
    this.#tokens = Math.min(1, this.#tokens + ((nowMs - this.#atMs) / 1000) * rate);
    this.#atMs = nowMs;
    if (rate === 0 || this.#tokens < 1 - 1e-9) return false;
    this.#tokens -= 1;
    return true;
  }

  /** The node that passed could not be driven away after all. */
  giveBack(): void {
    this.#tokens = Math.min(1, this.#tokens + 1);
  }
}
