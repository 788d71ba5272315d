import type { Taint, Toleration } from '#api';
import { definePlugin, nodeEvents, type Refusal, refusal } from '../framework.ts';

const name = 'TaintToleration';

/** Whether a toleration covers a taint. */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  const { key = '', operator = 'Equal', value = '', effect = '' } = toleration;
  if (effect !== '' && effect !== taint.effect) return false;
  if (key !== '' && key !== taint.key) return false;
  switch (operator) {
    case '':
    case 'Equal':
      return key !== '' && value === (taint.value ?? '');
    case 'Exists':
      return true;
    case 'Lt':
    case 'Gt': {
      const integer = /^-?[0-9]+$/;
      if (!integer.test(value) || !integer.test(taint.value ?? '')) return false;
      const difference = BigInt(taint.value as string) - BigInt(value);
      return operator === 'Lt' ? difference < 0n : difference > 0n;
    }
    default:
      return false;
  }
}

const refusals = new Map<string, Refusal>();

function untolerated({ key, value = '' }: Taint): Refusal {
  const text = `node(s) had untolerated taint {${key}: ${value}}`;
  let known = refusals.get(text);
  if (known === undefined) {
    known = refusal(name, text, true);
    if (refusals.size > 1000) refusals.clear();
    refusals.set(text, known);
  }
  return known;
}

/** Hard taints keep pods off; of nodes with soft ones, those with the fewest untolerated are best. */
export const taintToleration = definePlugin({
  name,
  events: nodeEvents,
  filter(pod, node) {
    for (const taint of node.taints) {
      if (taint.effect === 'PreferNoSchedule') continue;
      if (!pod.shape.tolerations.some((one) => tolerates(one, taint))) return untolerated(taint);
    }
    return undefined;
  },
  weight: 3,
  normalize: 'inverse',
  score(pod, node) {
    let count = 0;
    for (const taint of node.taints) {
      if (taint.effect === 'PreferNoSchedule' && !pod.shape.tolerations.some((one) => tolerates(one, taint))) count++;
    }
    return count;
  },
});
