import { definePlugin, nodeEvents, refusal } from '../framework.ts';
import { tolerates } from './taint-toleration.plugin.ts';

const name = 'NodeUnschedulable';
const cordoned = refusal(name, 'node(s) were unschedulable', true);
const taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** Keeps pods off cordoned nodes, unless they tolerate the taint that cordoning stands for. */
export const nodeUnschedulable = definePlugin({
  name,
  events: nodeEvents,
  filter: (pod, node) =>
    node.unschedulable && !pod.shape.tolerations.some((one) => tolerates(one, taint)) ? cordoned : undefined,
});
