import { readFileSync } from 'node:fs';
import { silentLog, systemClock } from '#base';
import { loadRemoveAllPods, pauseImageName } from '#kubelet';
import type { AgentConfiguration } from './agent-configuration.ts';
import { startContainerd } from './runtime/containerd.ts';

/** Removes every pod of the node that an agent's configuration describes; its runtime is started when it does not run. */
export async function removePods(configFile: string): Promise<void> {
  const configuration = JSON.parse(readFileSync(configFile, 'utf8')) as AgentConfiguration;
  const { removeAllPods } = await loadRemoveAllPods();
  const common = { clock: systemClock, log: silentLog };
  if (configuration.criSocket !== undefined) return removeAllPods({ ...common, socket: configuration.criSocket });
  const runtime = await startContainerd({ ...configuration.containerd, ...common, sandboxImage: pauseImageName });
  try {
    await removeAllPods({ ...common, socket: runtime.socket });
  } finally {
    await runtime.close();
  }
}
