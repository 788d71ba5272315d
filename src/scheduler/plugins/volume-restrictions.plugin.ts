import { definePlugin, nodeEvents, type Refusal, refusal, type SchedulingPlugin } from '../framework.ts';
import { claimName, type VolumeCatalogue } from '../volumes.ts';

const name = 'VolumeRestrictions';
const inUse = refusal(
  name,
  'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode',
);

/** A claim of mode ReadWriteOncePod serves one pod at a time, wherever that is. */
export function volumeRestrictions(catalogue: VolumeCatalogue): SchedulingPlugin {
  return definePlugin({
    name,
    events: [...nodeEvents, 'AssignedPodDelete', 'ClaimChange'],
    openFilter(pod, cluster) {
      const { namespace } = pod;
      const exclusive = pod.shape.claims
        .map((one) => claimName(pod, one))
        .filter((claim) => catalogue.claim(namespace, claim)?.spec?.accessModes?.includes('ReadWriteOncePod'));
      if (exclusive.length === 0) return undefined;
      const uses = exclusive.map((claim) => {
        const counts = cluster.counts(
          `claim|${namespace}/${claim}`,
          (one) => one.namespace === namespace && one.shape.claims.some((each) => claimName(one, each) === claim),
        );
        return { counts, total: counts.total };
      });
      return {
        filter: (): Refusal | undefined => (uses.some((one) => one.total > 0) ? inUse : undefined),
        adjust(other, _node, by) {
          for (const one of uses) if (one.counts.matches(other)) one.total += by;
        },
      };
    },
  });
}
