import type { KindDefinition } from './definition.ts';
import { bindingKind } from './core/binding.kind.ts';
import { componentStatusKind } from './core/component-status.kind.ts';
import { configMapKind } from './core/config-map.kind.ts';
import { endpointsKind } from './core/endpoints.kind.ts';
import { eventKind } from './core/event.kind.ts';
import { limitRangeKind } from './core/limit-range.kind.ts';
import { namespaceKind } from './core/namespace.kind.ts';
import { nodeKind } from './core/node.kind.ts';
import { persistentVolumeClaimKind } from './core/persistent-volume-claim.kind.ts';
import { persistentVolumeKind } from './core/persistent-volume.kind.ts';
import { podKind } from './core/pod.kind.ts';
import { podTemplateKind } from './core/pod-template.kind.ts';
import { replicationControllerKind } from './core/replication-controller.kind.ts';
import { resourceQuotaKind } from './core/resource-quota.kind.ts';
import { secretKind } from './core/secret.kind.ts';
import { serviceAccountKind } from './core/service-account.kind.ts';
import { serviceKind } from './core/service.kind.ts';
import { apiServiceKind } from './extension/api-service.kind.ts';
import { customResourceDefinitionKind } from './extension/custom-resource-definition.kind.ts';
import { controllerRevisionKind } from './apps/controller-revision.kind.ts';
import { daemonSetKind } from './apps/daemon-set.kind.ts';
import { deploymentKind } from './apps/deployment.kind.ts';
import { replicaSetKind } from './apps/replica-set.kind.ts';
import { statefulSetKind } from './apps/stateful-set.kind.ts';
import { eventsEventKind } from './core/events-event.kind.ts';
import { selfSubjectReviewKind, tokenReviewKind } from './authn/authentication.kind.ts';
import {
  localSubjectAccessReviewKind,
  selfSubjectAccessReviewKind,
  selfSubjectRulesReviewKind,
  subjectAccessReviewKind,
} from './authn/authorization.kind.ts';
import { certificateSigningRequestKind } from './authn/certificate-signing-request.kind.ts';
import { horizontalPodAutoscalerKind } from './autoscaling/horizontal-pod-autoscaler.kind.ts';
import { horizontalPodAutoscalerV1Kind } from './autoscaling/horizontal-pod-autoscaler-v1.kind.ts';
import { cronJobKind } from './batch/cron-job.kind.ts';
import { jobKind } from './batch/job.kind.ts';
import { ingressClassKind } from './networking/ingress-class.kind.ts';
import { ingressKind } from './networking/ingress.kind.ts';
import { ipAddressKind } from './networking/ip-address.kind.ts';
import { networkPolicyKind } from './networking/network-policy.kind.ts';
import { serviceCidrKind } from './networking/service-cidr.kind.ts';
import { podDisruptionBudgetKind } from './policy/pod-disruption-budget.kind.ts';
import { clusterRoleKind, roleKind } from './rbac/role.kind.ts';
import { clusterRoleBindingKind, roleBindingKind } from './rbac/role-binding.kind.ts';
import { csiDriverKind } from './storage/csi-driver.kind.ts';
import { csiNodeKind } from './storage/csi-node.kind.ts';
import { csiStorageCapacityKind } from './storage/csi-storage-capacity.kind.ts';
import { storageClassKind } from './storage/storage-class.kind.ts';
import { volumeAttachmentKind } from './storage/volume-attachment.kind.ts';
import { volumeAttributesClassKind } from './storage/volume-attributes-class.kind.ts';
import {
  mutatingAdmissionPolicyBindingKind,
  validatingAdmissionPolicyBindingKind,
} from './admission/admission-policy-binding.kind.ts';
import { mutatingAdmissionPolicyKind, validatingAdmissionPolicyKind } from './admission/admission-policy.kind.ts';
import {
  mutatingWebhookConfigurationKind,
  validatingWebhookConfigurationKind,
} from './admission/webhook-configuration.kind.ts';
import { priorityClassKind } from './policy/priority-class.kind.ts';
import { leaseKind } from './core/lease.kind.ts';
import { runtimeClassKind } from './core/runtime-class.kind.ts';
import { endpointSliceKind } from './discovery/endpoint-slice.kind.ts';
import { flowSchemaKind } from './flowcontrol/flow-schema.kind.ts';
import { priorityLevelConfigurationKind } from './flowcontrol/priority-level-configuration.kind.ts';
import { deviceClassKind } from './resource/device-class.kind.ts';
import { resourceClaimKind, resourceClaimTemplateKind } from './resource/resource-claim.kind.ts';
import { resourceSliceKind } from './resource/resource-slice.kind.ts';

/** Every built-in kind, in the order of `builtinResources`. A new one is a file and a line here. */
export const builtinKinds: readonly KindDefinition[] = Object.freeze([
  bindingKind,
  componentStatusKind,
  configMapKind,
  endpointsKind,
  eventKind,
  limitRangeKind,
  namespaceKind,
  nodeKind,
  persistentVolumeClaimKind,
  persistentVolumeKind,
  podKind,
  podTemplateKind,
  replicationControllerKind,
  resourceQuotaKind,
  secretKind,
  serviceAccountKind,
  serviceKind,
  apiServiceKind,
  controllerRevisionKind,
  daemonSetKind,
  deploymentKind,
  replicaSetKind,
  statefulSetKind,
  eventsEventKind,
  selfSubjectReviewKind,
  tokenReviewKind,
  localSubjectAccessReviewKind,
  selfSubjectAccessReviewKind,
  selfSubjectRulesReviewKind,
  subjectAccessReviewKind,
  horizontalPodAutoscalerKind,
  horizontalPodAutoscalerV1Kind,
  cronJobKind,
  jobKind,
  certificateSigningRequestKind,
  ingressClassKind,
  ingressKind,
  ipAddressKind,
  networkPolicyKind,
  serviceCidrKind,
  podDisruptionBudgetKind,
  clusterRoleBindingKind,
  clusterRoleKind,
  roleBindingKind,
  roleKind,
  csiDriverKind,
  csiNodeKind,
  csiStorageCapacityKind,
  storageClassKind,
  volumeAttachmentKind,
  volumeAttributesClassKind,
  mutatingAdmissionPolicyKind,
  mutatingAdmissionPolicyBindingKind,
  mutatingWebhookConfigurationKind,
  validatingAdmissionPolicyKind,
  validatingAdmissionPolicyBindingKind,
  validatingWebhookConfigurationKind,
  customResourceDefinitionKind,
  priorityClassKind,
  leaseKind,
  runtimeClassKind,
  endpointSliceKind,
  flowSchemaKind,
  priorityLevelConfigurationKind,
  deviceClassKind,
  resourceClaimKind,
  resourceClaimTemplateKind,
  resourceSliceKind,
]);

export interface KindChange {
  readonly type: 'added' | 'replaced' | 'removed';
  readonly definition: KindDefinition;
}

/** The kinds one server serves: the built-in ones and those its CustomResourceDefinitions add and take away. */
export interface KindCatalogue {
  /** In order of addition, built-in ones first. The array is replaced at each change, never mutated. */
  all(): readonly KindDefinition[];
  byPlural(group: string, version: string, plural: string): KindDefinition | undefined;
  byKind(group: string, version: string, kind: string): KindDefinition | undefined;
  /** Adds a kind, or replaces the one with the same group, version and plural in its place. */
  add(definition: KindDefinition): void;
  /** Unknown ones are ignored. */
  remove(group: string, version: string, plural: string): void;
  /** Calls back after each change; the result stops it. */
  onChange(listener: (change: KindChange) => void): () => void;
}

const pluralKey = (definition: KindDefinition): string =>
  `${definition.resource.group}/${definition.resource.version}/${definition.resource.plural}`;
const kindKey = (definition: KindDefinition): string =>
  `${definition.resource.group}/${definition.resource.version}/${definition.resource.kind}`;

/** A catalogue of its own for each server, filled with `builtinKinds` or the given list. */
export function openKindCatalogue(kinds: readonly KindDefinition[] = builtinKinds): KindCatalogue {
  const plurals = new Map(kinds.map((one) => [pluralKey(one), one]));
  const names = new Map(kinds.map((one) => [kindKey(one), one]));
  const listeners = new Set<(change: KindChange) => void>();
  let list: readonly KindDefinition[] = kinds;
  const tell = (change: KindChange): void => {
    list = [...plurals.values()];
    for (const listener of [...listeners]) listener(change);
  };
  return {
    all: () => list,
    byPlural: (group, version, plural) => plurals.get(`${group}/${version}/${plural}`),
    byKind: (group, version, kind) => names.get(`${group}/${version}/${kind}`),
    add(definition) {
      const before = plurals.get(pluralKey(definition));
      if (before !== undefined) names.delete(kindKey(before));
      plurals.set(pluralKey(definition), definition);
      names.set(kindKey(definition), definition);
      tell({ type: before === undefined ? 'added' : 'replaced', definition });
    },
    remove(group, version, plural) {
      const definition = plurals.get(`${group}/${version}/${plural}`);
      if (definition === undefined) return;
      plurals.delete(pluralKey(definition));
      if (names.get(kindKey(definition)) === definition) names.delete(kindKey(definition));
      tell({ type: 'removed', definition });
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
