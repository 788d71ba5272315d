import type { SchedulingPlugin } from '../framework.ts';
import type { VolumeCatalogue } from '../volumes.ts';
import { balancedAllocation } from './balanced-allocation.plugin.ts';
import { imageLocality } from './image-locality.plugin.ts';
import { interPodAffinity } from './inter-pod-affinity.plugin.ts';
import { nodeAffinity } from './node-affinity.plugin.ts';
import { nodePorts } from './node-ports.plugin.ts';
import { nodeResourcesFit } from './node-resources-fit.plugin.ts';
import { nodeUnschedulable } from './node-unschedulable.plugin.ts';
import { type OwnSelector, podTopologySpread } from './pod-topology-spread.plugin.ts';
import { taintToleration } from './taint-toleration.plugin.ts';
import { volumeBinding } from './volume-binding.plugin.ts';
import { volumeLimits } from './volume-limits.plugin.ts';
import { volumeRestrictions } from './volume-restrictions.plugin.ts';
import { volumeZone } from './volume-zone.plugin.ts';

export interface PluginSources {
  readonly ownSelector: OwnSelector;
  readonly volumes: VolumeCatalogue;
  /** Names of volumes promised to claims whose binding is under way. */
  readonly takenVolumes: ReadonlySet<string>;
}

/**
 * The plugins in upstream's order: a node is refused by the first that refuses, so users see that one's reason. Cheap and
 * lasting reasons come first. (NodeName has no plugin: pods with a node name never come here.)
 */
export function schedulingPlugins({ ownSelector, volumes, takenVolumes }: PluginSources): readonly SchedulingPlugin[] {
  return [
    nodeUnschedulable,
    taintToleration,
    nodeAffinity,
    nodePorts,
    nodeResourcesFit,
    volumeRestrictions(volumes),
    volumeLimits(volumes),
    volumeBinding(volumes, takenVolumes),
    volumeZone(volumes),
    podTopologySpread(ownSelector),
    interPodAffinity,
    balancedAllocation,
    imageLocality,
  ];
}
