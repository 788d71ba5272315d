import type { PathFinding } from '#network';
import type { OpenIdConfiguration } from '#pki';

export type { AgentConfiguration } from './agent-configuration.ts';
export type {
  ApiServerFiles,
  ApiServerFlags,
  ControllerManagerFlags,
  KubeletFlags,
  ProxyFlags,
  SchedulerFlags,
} from './components/component-flags.ts';
export { type RunnableComponent, runAgent, runComponent, runIngress, runServer } from './run.ts';
export type { ServerConfiguration } from './server-configuration.ts';

/** Throws CodedError `AuditPolicy` with everything that is wrong with a policy file. */
export const checkAuditPolicy = async (file: string): Promise<void> =>
  void (await (await import('./audit.ts')).readAuditPolicy(file));

/** Throws CodedError `WrongUsage` with what is wrong with the settings of a sign-in provider. */
export const checkOpenId = async (configuration: OpenIdConfiguration): Promise<void> =>
  (await import('./open-id.ts')).checkOpenId(configuration);

/** Removes every pod of a node: see remove-pods.ts. */
export const removePods = async (configFile: string): Promise<void> =>
  (await import('./remove-pods.ts')).removePods(configFile);

/** Moves a cluster's data between stores: loaded by its command only. */
export const loadCopyStore = () => import('./copy-store.ts');

/** The demonstration: loaded by its command only, no server or node waits for it. */
export const loadDemo = async () => ({
  ...(await import('./demo/demo-cluster.ts')),
  ...(await import('./demo/shop-image.ts')),
});

/** Tries the path of packets between pods, Services and names in throw-away namespaces: see the network's doctor. */
export const examinePath = async (): Promise<PathFinding[]> => {
  const [{ loadDoctor }, { systemRandom }] = await Promise.all([import('#network'), import('#base')]);
  return (await loadDoctor()).examinePath({ random: systemRandom });
};
