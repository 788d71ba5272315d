import { definePlugin, nodeEvents, refusal } from '../framework.ts';

const name = 'NodePorts';
const taken = refusal(name, "node(s) didn't have free ports for the requested pod ports");

/** Host ports are held by one pod a node. */
export const nodePorts = definePlugin({
  name,
  events: [...nodeEvents, 'AssignedPodDelete', 'AssignedPodUpdate'],
  filter: (pod, node) => (pod.shape.ports.some((port) => node.hasPort(port)) ? taken : undefined),
});
