export type { AgentConfiguration } from './agent-configuration.ts';
export { applyShop, isShopReady, ordersAt } from './demo/demo-cluster.ts';
export { buildShopImage, demoFolder, shopImage } from './demo/shop-image.ts';
export { loadPrograms, runAgent, runServer } from './run.ts';
export type { ServerConfiguration } from './server-configuration.ts';
