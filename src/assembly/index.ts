export type { AgentConfiguration } from './agent-configuration.ts';
export { loadPrograms, runAgent, runIngress, runServer } from './run.ts';
export type { ServerConfiguration } from './server-configuration.ts';

/** Removes every pod of a node: see remove-pods.ts. */
export const removePods = async (configFile: string): Promise<void> =>
  (await import('./remove-pods.ts')).removePods(configFile);

/** The demonstration: loaded by its command only, no server or node waits for it. */
export const loadDemo = async () => ({
  ...(await import('./demo/demo-cluster.ts')),
  ...(await import('./demo/shop-image.ts')),
});
