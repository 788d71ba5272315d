export type { SimulatedNodeShape } from './node-object.ts';
export { startSimulatedNodes, type SimulatedNodes, type SimulatedNodesOptions } from './simulated-nodes.ts';
export { podStages, type Stage, simulationAnnotations } from './stages.ts';
