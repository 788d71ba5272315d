import { type Node, resource } from '#api';
import { type Closable, type Log, messageOf, runCommand } from '#base';
import type { Informers } from '#client';
import { planRoutes } from './plan-routes.ts';

/** Keeps this node's routes to the pods of every other node on the link: marked `proto 118`, so that only ours are ever removed. */
export async function startPodRoutes(options: { nodeName: string; informers: Informers; log: Log }): Promise<Closable> {
  const { nodeName, informers, log } = options;
  const nodes = informers.of<Node>(resource('v1', 'nodes'));
  let applied = new Map<string, string>();
  let wanted = false;
  let running: Promise<void> = Promise.resolve();

  const sync = async (): Promise<void> => {
    wanted = false;
    const next = new Map(planRoutes(nodeName, nodes.list()).map((one) => [one.destination, one.via]));
    for (const [destination, via] of next) {
      if (applied.get(destination) === via) continue;
      await runCommand('ip', ['route', 'replace', destination, 'via', via, 'proto', '118']);
    }
    for (const destination of applied.keys()) {
      if (!next.has(destination))
        await runCommand('ip', ['route', 'delete', destination, 'proto', '118'], { okCodes: [0, 2] });
    }
    applied = next;
  };
  const schedule = (): void => {
    if (wanted) return;
    wanted = true;
    running = running
      .then(sync)
      .catch((error) => log.warn({ error: messageOf(error) }, 'pod routes not set; tried again at the next change'));
  };
  const stop = nodes.onChange(schedule);
  await nodes.synced;
  schedule();
  return {
    async close() {
      stop();
      await running;
    },
  };
}
