import { type Clock, type Closable, type Log, messageOf, runCommand } from '#base';
import { watchRoutes } from './watch-routes.ts';

/**
 * Keeps the route by which this node's own programs reach Services: without a default route the kernel would refuse the address before
 * any rule sees it. Resolves when it is there; it comes back when its link has been down. Closing leaves it.
 */
export async function startServiceRoute(options: {
  readonly serviceCidr: string;
  readonly uplink: string;
  readonly nodeIp: string;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<Closable> {
  const { serviceCidr, uplink, nodeIp, clock, log } = options;
  const replace = async (): Promise<void> => {
    await runCommand('ip', ['route', 'replace', serviceCidr, 'dev', uplink, 'src', nodeIp, 'proto', '118']);
  };
  await replace();
  let running: Promise<void> = Promise.resolve();
  const stop = watchRoutes({
    clock,
    onChange() {
      running = running.then(replace).catch((error) => {
        log.debug({ error: messageOf(error) }, 'the route to Services is not set while its link is down');
      });
    },
  });
  return {
    async close() {
      stop();
      await running;
    },
  };
}
