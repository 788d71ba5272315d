export type { AgentConfiguration } from './agent-configuration.ts';
export { applyShop, isShopReady, ordersAt } from './demo/demo-cluster.ts';
export { buildShopImage, demoFolder, shopImage } from './demo/shop-image.ts';
export { loadPrograms, runAgent, runIngress, runServer } from './run.ts';
export type { ServerConfiguration } from './server-configuration.ts';

/** Removes every pod of a node: see remove-pods.ts. */
export const removePods = async (configFile: string): Promise<void> =>
  (await import('./remove-pods.ts')).removePods(configFile);
