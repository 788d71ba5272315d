import type { Pod } from '#api';
import { quantityMilli } from '#machinery';
import { allContainers } from './containers.ts';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const counted = ['cpu', 'memory'] as const;

/** The pod's quality of service class: by its own resources when it names any, else by its containers'. */
export function podQos(pod: Pod): QosClass {
  const own = pod.spec?.resources;
  const holders =
    own?.requests !== undefined || own?.limits !== undefined
      ? [own]
      : allContainers(pod)
          .filter(({ kind }) => kind !== 'ephemeral')
          .map(({ spec }) => spec.resources ?? {});
  let any = false;
  let guaranteed = true;
  for (const { requests = {}, limits = {} } of holders) {
    for (const name of counted) {
      const request = quantityMilli(requests[name] ?? '0');
      const limit = quantityMilli(limits[name] ?? '0');
      if (request > 0 || limit > 0) any = true;
      if (limit === 0 || (requests[name] !== undefined && request !== limit)) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}
