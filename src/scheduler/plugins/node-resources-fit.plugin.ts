import { definePlugin, nodeEvents, type Refusal } from '../framework.ts';
import type { NodeInfo } from '../state/node-info.ts';
import type { PodInfo } from '../state/pod-info.ts';

const name = 'NodeResourcesFit';

interface Shortage {
  readonly reason: string;
  /** The node could not hold the pod even when empty. */
  readonly ever: boolean;
}

const refusals = new Map<string, Refusal>();

function refusalOf(shortages: readonly Shortage[]): Refusal {
  const unresolvable = shortages.some((one) => one.ever);
  const key = `${unresolvable}|${shortages.map((one) => one.reason).join('|')}`;
  let known = refusals.get(key);
  if (known === undefined) {
    known = Object.freeze({ plugin: name, reasons: Object.freeze(shortages.map((one) => one.reason)), unresolvable });
    if (refusals.size > 1000) refusals.clear();
    refusals.set(key, known);
  }
  return known;
}

function shortages({ shape }: PodInfo, node: NodeInfo): Shortage[] | undefined {
  let found: Shortage[] | undefined;
  const short = (reason: string, ever: boolean): void => void (found ??= []).push({ reason, ever });
  if (node.pods.size + 1 > node.allocatablePods) short('Too many pods', false);
  if (shape.asksNothing) return found;
  const { cpu, memory, ephemeral, others } = shape.requests;
  if (cpu > 0 && cpu > node.allocatableCpu - node.cpu) short('Insufficient cpu', cpu > node.allocatableCpu);
  if (memory > 0 && memory > node.allocatableMemory - node.memory)
    short('Insufficient memory', memory > node.allocatableMemory);
  if (ephemeral > 0 && ephemeral > node.allocatableEphemeral - node.ephemeral) {
    short('Insufficient ephemeral-storage', ephemeral > node.allocatableEphemeral);
  }
  if (others !== undefined) {
    for (const [resource, amount] of others) {
      const whole = node.allocatableOthers.get(resource) ?? 0;
      if (amount > 0 && amount > whole - (node.others.get(resource) ?? 0))
        short(`Insufficient ${resource}`, amount > whole);
    }
  }
  return found;
}

const share = (asked: number, whole: number): number =>
  whole <= 0 || asked > whole ? 0 : Math.floor(((whole - asked) * 100) / whole);

/** The node has what the pod asks for; of those that have, the emptiest is best. */
export const nodeResourcesFit = definePlugin({
  name,
  events: [...nodeEvents, 'AssignedPodDelete', 'AssignedPodUpdate'],
  filter(pod, node) {
    const found = shortages(pod, node);
    return found === undefined ? undefined : refusalOf(found);
  },
  weight: 1,
  score({ shape }, node) {
    const cpu = share(node.scoredCpu + shape.scored.cpu, node.allocatableCpu);
    const memory = share(node.scoredMemory + shape.scored.memory, node.allocatableMemory);
    return Math.floor((cpu + memory) / 2);
  },
});
