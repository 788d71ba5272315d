import type { Refusal } from './framework.ts';

/** What a pod that fits nowhere is told, in upstream's words, without what preemption has to add. */
export function fitMessage(nodes: number, whole: Refusal | undefined, byNode: ReadonlyMap<Refusal, number>): string {
  if (nodes === 0) return 'no nodes available to schedule pods';
  const head = `0/${nodes} nodes are available:`;
  if (whole !== undefined) return `${head} ${whole.reasons.join(', ')}.`;
  const reasons = new Map<string, number>();
  for (const [refusal, count] of byNode) {
    for (const reason of refusal.reasons) reasons.set(reason, (reasons.get(reason) ?? 0) + count);
  }
  return reasons.size === 0 ? head : `${head} ${histogram(reasons)}.`;
}

/** `1 a, 2 b`, sorted as text. */
export function histogram(reasons: ReadonlyMap<string, number>): string {
  return [...reasons]
    .map(([reason, count]) => `${count} ${reason}`)
    .sort()
    .join(', ');
}
