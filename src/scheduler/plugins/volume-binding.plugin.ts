import { definePlugin, nodeEvents, type Refusal, refusal, type SchedulingPlugin } from '../framework.ts';
import { claimsOf, planVolumes, reaches, type VolumeCatalogue } from '../volumes.ts';

const name = 'VolumeBinding';
const unreachable = refusal(name, "node(s) didn't match PersistentVolume's node affinity", true);
const noVolume = refusal(name, "node(s) didn't find available persistent volumes to bind", true);
const noRoom = refusal(name, 'node(s) did not have enough free storage', true);
const lostVolume = refusal(name, 'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)', true);

/** Volumes of the pod can be reached from the node; claims that wait for a consumer could be met there. */
export function volumeBinding(catalogue: VolumeCatalogue, taken: ReadonlySet<string>): SchedulingPlugin {
  return definePlugin({
    name,
    events: [...nodeEvents, 'ClaimChange', 'VolumeChange', 'StorageClassChange'],
    openFilter(pod) {
      if (pod.shape.claims.length === 0) return undefined;
      const claims = claimsOf(pod, catalogue);
      if (typeof claims === 'string') return refusal(name, claims, true);
      return {
        filter(node): Refusal | undefined {
          if (claims.lost) return lostVolume;
          if (!claims.bound.every((volume) => reaches(volume, node))) return unreachable;
          if (claims.delayed.length === 0) return undefined;
          const plan = planVolumes(claims, node, catalogue, taken);
          return plan === 'no-volume' ? noVolume : plan === 'no-room' ? noRoom : undefined;
        },
        adjust() {},
      };
    },
  });
}
