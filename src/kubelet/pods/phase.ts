import type { ContainerStatus, Pod } from '#api';
import { allContainers, isSidecar, restartsAfter } from './containers.ts';

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

/**
 * The pod's phase from its containers' statuses. `ending`: nothing will be started again, so what has ended has ended for good.
 */
export function podPhase(pod: Pod, statuses: ReadonlyMap<string, ContainerStatus>, ending: boolean): PodPhase {
  const phase = phaseOf(pod, statuses, ending);
  return ending && phase !== 'Succeeded' ? 'Failed' : phase;
}

function phaseOf(pod: Pod, statuses: ReadonlyMap<string, ContainerStatus>, ending: boolean): PodPhase {
  const policy = pod.spec?.restartPolicy ?? 'Always';
  let initializing = 0;
  let running = 0;
  let waiting = 0;
  let unknown = 0;
  let stopped = 0;
  let succeeded = 0;
  let restartable = 0;
  let startedRegular = false;
  for (const container of allContainers(pod)) {
    if (container.kind === 'ephemeral') continue;
    const status = statuses.get(container.spec.name);
    const ended =
      status?.state?.terminated ?? (status?.state?.waiting !== undefined ? status.lastState?.terminated : undefined);
    if (container.kind === 'init') {
      if (isSidecar(container)) {
        if (ended === undefined && !(status?.state?.running !== undefined && status.started === true)) initializing++;
      } else if (ended === undefined) {
        initializing++;
      } else if (ended.exitCode !== 0) {
        if (!restartsAfter(pod, container, ended.exitCode)) return 'Failed';
        initializing++;
      }
    } else if (status === undefined) {
      unknown++;
    } else if (status.state?.running !== undefined) {
      running++;
      startedRegular = true;
    } else if (ended !== undefined) {
      stopped++;
      startedRegular = true;
      if (ended.exitCode === 0) succeeded++;
      if (restartsAfter(pod, container, ended.exitCode)) restartable++;
    } else {
      waiting++;
    }
  }
  if (initializing > 0 && !startedRegular && !ending) return 'Pending';
  if (waiting > 0 && !(ending && stopped > 0 && running === 0)) return 'Pending';
  if (running > 0 && unknown === 0) return 'Running';
  if (running === 0 && stopped > 0 && unknown === 0) {
    if (ending) return stopped === succeeded && waiting === 0 ? 'Succeeded' : 'Failed';
    if (policy === 'Always' || restartable > 0) return 'Running';
    return stopped === succeeded ? 'Succeeded' : 'Failed';
  }
  return 'Pending';
}
