import { definePlugin, nodeEvents, type Refusal, refusal, type SchedulingPlugin } from '../framework.ts';
import type { PodInfo } from '../state/pod-info.ts';
import { claimName, type VolumeCatalogue } from '../volumes.ts';

const name = 'NodeVolumeLimits';
const tooMany = refusal(name, 'node(s) exceed max volume count');

/** Nodes take no more volumes of a CSI driver than the driver said when it registered there. */
export function volumeLimits(catalogue: VolumeCatalogue): SchedulingPlugin {
  /** The pod's volumes by what makes each unique, with their drivers. */
  function volumesOf(pod: PodInfo): Map<string, string> {
    const found = new Map<string, string>();
    for (const one of pod.shape.claims) {
      const claim = catalogue.claim(pod.namespace, claimName(pod, one));
      const csi = claim?.spec.volumeName ? catalogue.volume(claim.spec.volumeName)?.spec.csi : undefined;
      if (csi !== undefined) found.set(`${csi.driver}^${csi.volumeHandle}`, csi.driver);
      else if (claim !== undefined && !claim.spec.volumeName) {
        const provisioner = catalogue.storageClass(claim.spec.storageClassName ?? '')?.provisioner ?? '';
        if (provisioner !== '' && !provisioner.includes('/')) found.set(claim.metadata.uid, provisioner);
      }
    }
    return found;
  }

  return definePlugin({
    name,
    events: [...nodeEvents, 'AssignedPodDelete', 'ClaimChange', 'VolumeChange'],
    openFilter(pod) {
      if (pod.shape.claims.length === 0) return undefined;
      const wanted = volumesOf(pod);
      if (wanted.size === 0) return undefined;
      const drivers = new Set(wanted.values());
      return {
        filter(node): Refusal | undefined {
          for (const driver of drivers) {
            const limit = catalogue.volumeLimit(node.name, driver);
            if (limit === undefined) continue;
            const present = new Set<string>();
            for (const other of node.pods.values())
              for (const [key, one] of volumesOf(other)) if (one === driver) present.add(key);
            const more = [...wanted].filter(([key, one]) => one === driver && !present.has(key)).length;
            if (more > 0 && present.size + more > limit) return tooMany;
          }
          return undefined;
        },
        adjust() {},
      };
    },
  });
}
