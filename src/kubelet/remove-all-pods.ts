import { type Clock, type Log, messageOf } from '#base';
import { openCri } from './cri/client.ts';

/** Stops and removes every pod that a container runtime has: the end of a node. A pod that resists is told, and the others go on. */
export async function removeAllPods(options: { socket: string; clock: Clock; log: Log }): Promise<void> {
  const { log } = options;
  const cri = openCri(options);
  try {
    const sandboxes = await cri.listPodSandboxes();
    await Promise.all(
      sandboxes.map(async ({ id, metadata }) => {
        try {
          await cri.stopPodSandbox(id);
          await cri.removePodSandbox(id);
        } catch (error) {
          log.warn({ pod: metadata.name, error: messageOf(error) }, 'a pod could not be removed');
        }
      }),
    );
  } finally {
    cri.close();
  }
}
