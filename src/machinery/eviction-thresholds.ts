import { CodedError } from '#base';
import { quantityValue } from './quantity.ts';

/** What of the machine can run short, in upstream's names. */
export type EvictionSignal = (typeof evictionSignals)[number];

export const evictionSignals = [
  'memory.available',
  'nodefs.available',
  'nodefs.inodesFree',
  'imagefs.available',
  'imagefs.inodesFree',
  'pid.available',
] as const;

/** Least amounts, as a quantity (`100Mi`) or a share of all there is (`10%`). */
export type EvictionThresholds = Readonly<Partial<Record<EvictionSignal, string>>>;

/** Upstream's hard thresholds on Linux. */
export const defaultEvictionThresholds: EvictionThresholds = {
  'memory.available': '100Mi',
  'nodefs.available': '10%',
  'nodefs.inodesFree': '5%',
  'imagefs.available': '15%',
  'imagefs.inodesFree': '5%',
};

/** Checks thresholds that a person wrote. Throws EvictionThreshold. */
export function parseEvictionThresholds(given: Readonly<Record<string, string>>): EvictionThresholds {
  for (const [signal, text] of Object.entries(given)) {
    if (!(evictionSignals as readonly string[]).includes(signal)) {
      throw new CodedError(
        'EvictionThreshold',
        `eviction threshold: "${signal}" is not known; there are ${evictionSignals.join(', ')}`,
      );
    }
    if (!isThreshold(text)) {
      throw new CodedError(
        'EvictionThreshold',
        `eviction threshold of ${signal}: "${text}" is neither a quantity such as 100Mi nor a share such as 10%`,
      );
    }
  }
  return given as EvictionThresholds;
}

function isThreshold(text: string): boolean {
  const share = /^(\d{1,3}(?:\.\d+)?)%$/.exec(text)?.[1];
  if (share !== undefined) return Number(share) < 100;
  try {
    return quantityValue(text) >= 0;
  } catch {
    return false;
  }
}

/** A threshold in the unit of what it bounds. */
export function evictionThresholdAmount(text: string, capacity: number): number {
  return text.endsWith('%') ? Math.floor((capacity * Number(text.slice(0, -1))) / 100) : quantityValue(text);
}
