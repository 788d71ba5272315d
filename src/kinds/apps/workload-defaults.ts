import type { DaemonSet, Deployment, PodTemplateSpec, ReplicaSet, StatefulSet } from '#api';
import { applyPodTemplateDefaults } from '../core/pod-defaults.ts';
import { applyClaimSpecDefaults } from '../core/volume-defaults.ts';

function applyTemplate(spec: { template?: PodTemplateSpec }): void {
  spec.template ??= {};
  applyPodTemplateDefaults(spec.template);
}

export function applyDeploymentDefaults(deployment: Deployment): void {
  const spec = (deployment.spec ??= {} as NonNullable<Deployment['spec']>);
  applyTemplate(spec);
  spec.replicas ??= 1;
  const strategy = (spec.strategy ??= {});
  if (!strategy.type) strategy.type = 'RollingUpdate';
  if (strategy.type === 'RollingUpdate') {
    strategy.rollingUpdate ??= {};
    strategy.rollingUpdate.maxUnavailable ??= '25%';
    strategy.rollingUpdate.maxSurge ??= '25%';
  }
  spec.revisionHistoryLimit ??= 10;
  spec.progressDeadlineSeconds ??= 600;
}

export function applyReplicaSetDefaults(replicaSet: ReplicaSet): void {
  const spec = (replicaSet.spec ??= {} as NonNullable<ReplicaSet['spec']>);
  applyTemplate(spec as { template?: PodTemplateSpec });
  spec.replicas ??= 1;
}

export function applyDaemonSetDefaults(daemonSet: DaemonSet): void {
  const spec = (daemonSet.spec ??= {} as NonNullable<DaemonSet['spec']>);
  applyTemplate(spec);
  const strategy = (spec.updateStrategy ??= {});
  if (!strategy.type) strategy.type = 'RollingUpdate';
  if (strategy.type === 'RollingUpdate') {
    strategy.rollingUpdate ??= {};
    strategy.rollingUpdate.maxUnavailable ??= 1;
    strategy.rollingUpdate.maxSurge ??= 0;
  }
  spec.revisionHistoryLimit ??= 10;
}

export function applyStatefulSetDefaults(statefulSet: StatefulSet): void {
  const spec = (statefulSet.spec ??= {} as NonNullable<StatefulSet['spec']>);
  applyTemplate(spec);
  if (!spec.podManagementPolicy) spec.podManagementPolicy = 'OrderedReady';
  const strategy = (spec.updateStrategy ??= {});
  if (!strategy.type) strategy.type = 'RollingUpdate';
  if (strategy.type === 'RollingUpdate') {
    strategy.rollingUpdate ??= {};
    strategy.rollingUpdate.partition ??= 0;
  }
  const retention = (spec.persistentVolumeClaimRetentionPolicy ??= {});
  if (!retention.whenDeleted) retention.whenDeleted = 'Retain';
  if (!retention.whenScaled) retention.whenScaled = 'Retain';
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  for (const claim of spec.volumeClaimTemplates ?? []) {
    claim.apiVersion = 'v1';
    claim.kind = 'PersistentVolumeClaim';
    if (claim.spec != null) applyClaimSpecDefaults(claim.spec);
    claim.status ??= {};
    if (!claim.status.phase) claim.status.phase = 'Pending';
  }
}
