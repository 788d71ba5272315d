import { definePlugin } from '../framework.ts';

/** Prefers nodes on which CPU and memory would be used to the same degree. */
export const balancedAllocation = definePlugin({
  name: 'NodeResourcesBalancedAllocation',
  events: [],
  weight: 1,
  score({ shape }, node) {
    if (shape.requests.cpu === 0 && shape.requests.memory === 0) return 0;
    if (node.allocatableCpu <= 0 || node.allocatableMemory <= 0) return 0;
    const cpu = Math.min(1, (node.cpu + shape.requests.cpu) / node.allocatableCpu);
    const memory = Math.min(1, (node.memory + shape.requests.memory) / node.allocatableMemory);
    return Math.floor((1 - Math.abs(cpu - memory) / 2) * 100);
  },
});
