import type { PersistentVolume } from '#api';
import { definePlugin, nodeEvents, type Refusal, refusal, type SchedulingPlugin } from '../framework.ts';
import type { NodeInfo } from '../state/node-info.ts';
import { claimName, type VolumeCatalogue } from '../volumes.ts';

const name = 'VolumeZone';
const elsewhere = refusal(name, 'node(s) had no available volume zone', true);
const keys = [
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
];

const zonesOf = (volume: PersistentVolume): { key: string; values: readonly string[] }[] =>
  keys.flatMap((key) => {
    const value = volume.metadata.labels?.[key];
    return value === undefined ? [] : [{ key, values: value.split('__') }];
  });

/** Volumes labelled with zones are used from nodes of those zones only; nodes without such labels are not asked. */
export function volumeZone(catalogue: VolumeCatalogue): SchedulingPlugin {
  return definePlugin({
    name,
    events: [...nodeEvents, 'ClaimChange', 'VolumeChange'],
    openFilter(pod) {
      const wanted = pod.shape.claims.flatMap((one) => {
        const claim = catalogue.claim(pod.namespace, claimName(pod, one));
        const volume = catalogue.volume(claim?.spec?.volumeName ?? '');
        return volume === undefined ? [] : zonesOf(volume);
      });
      if (wanted.length === 0) return undefined;
      const labelled = (node: NodeInfo): boolean => keys.some((key) => node.label(key) !== undefined);
      return {
        filter: (node): Refusal | undefined =>
          !labelled(node) || wanted.every(({ key, values }) => values.includes(node.label(key) ?? ''))
            ? undefined
            : elsewhere,
        adjust() {},
      };
    },
  });
}
