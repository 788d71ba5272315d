import { definePlugin, nodeEvents, refusal } from '../framework.ts';

const name = 'NodeAffinity';
const unwanted = refusal(name, "node(s) didn't match Pod's node affinity/selector", true);

/** nodeSelector and node affinity. */
export const nodeAffinity = definePlugin({
  name,
  events: nodeEvents,
  filter: (pod, node) => (pod.shape.selects === undefined || pod.shape.selects(node) ? undefined : unwanted),
  weight: 2,
  normalize: 'share',
  score(pod, node) {
    let sum = 0;
    for (const { weight, matches } of pod.shape.preferences) if (matches(node)) sum += weight;
    return sum;
  },
});
