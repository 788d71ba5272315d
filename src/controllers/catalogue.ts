import { attachDetachController } from './attach-detach/attach-detach.controller.ts';
import { bootstrapSignerController, tokenCleanerController } from './bootstrap-tokens/bootstrap-tokens.controller.ts';
import {
  csrApprovingController,
  csrCleanerController,
  csrSigningController,
} from './certificate-signing/certificate-signing.controller.ts';
import { clusterRoleAggregationController } from './cluster-role-aggregation/cluster-role-aggregation.controller.ts';
import { cronJobController } from './cron-job/cron-job.controller.ts';
import { daemonSetController } from './daemon-set/daemon-set.controller.ts';
import type { ControllerDefinition } from './definition.ts';
import { deploymentController } from './deployment/deployment.controller.ts';
import { disruptionController } from './disruption/disruption.controller.ts';
import { endpointSliceMirroringController } from './endpoint-slice-mirroring/endpoint-slice-mirroring.controller.ts';
import { endpointSliceController } from './endpoint-slice/endpoint-slice.controller.ts';
import { endpointsController } from './endpoints/endpoints.controller.ts';
import { ephemeralVolumeController } from './ephemeral-volume/ephemeral-volume.controller.ts';
import { garbageCollectorController } from './garbage-collector/garbage-collector.controller.ts';
import { horizontalPodAutoscalerController } from './horizontal-pod-autoscaler/horizontal-pod-autoscaler.controller.ts';
import { jobController } from './job/job.controller.ts';
import { loadBalancerController } from './load-balancer/load-balancer.controller.ts';
import { namespaceController } from './namespace/namespace.controller.ts';
import { nodeIpamController } from './node-ipam/node-ipam.controller.ts';
import { nodeLifecycleController } from './node-lifecycle/node-lifecycle.controller.ts';
import { podGarbageCollectorController } from './pod-garbage-collector/pod-garbage-collector.controller.ts';
import { replicaSetController } from './replica-set/replica-set.controller.ts';
import { replicationControllerController } from './replication-controller/replication-controller.controller.ts';
import { resourceQuotaController } from './resource-quota/resource-quota.controller.ts';
import { rootCaController } from './root-ca/root-ca.controller.ts';
import { serviceAddressesController } from './service-addresses/service-addresses.controller.ts';
import { serviceCidrsController } from './service-cidrs/service-cidrs.controller.ts';
import { serviceAccountTokensController } from './service-account-tokens/service-account-tokens.controller.ts';
import { serviceAccountController } from './service-account/service-account.controller.ts';
import { storageCapacityController } from './storage-capacity/storage-capacity.controller.ts';
import { statefulSetController } from './stateful-set/stateful-set.controller.ts';
import { taintEvictionController } from './taint-eviction/taint-eviction.controller.ts';
import { ttlAfterFinishedController } from './ttl-after-finished/ttl-after-finished.controller.ts';
import { volumeBinderController } from './volume-binder/volume-binder.controller.ts';
import { volumeExpandController } from './volume-expand/volume-expand.controller.ts';
import { volumeProvisionerController } from './volume-provisioner/volume-provisioner.controller.ts';
import {
  claimProtectionController,
  volumeProtectionController,
} from './volume-protection/volume-protection.controller.ts';

/** Every controller, started in this order. A new one is one folder and one line here. */
export const controllerCatalogue: readonly ControllerDefinition[] = [
  serviceAccountController,
  rootCaController,
  namespaceController,
  deploymentController,
  replicaSetController,
  replicationControllerController,
  statefulSetController,
  daemonSetController,
  jobController,
  cronJobController,
  endpointSliceController,
  endpointsController,
  endpointSliceMirroringController,
  loadBalancerController,
  serviceAddressesController,
  serviceCidrsController,
  nodeLifecycleController,
  taintEvictionController,
  nodeIpamController,
  disruptionController,
  horizontalPodAutoscalerController,
  resourceQuotaController,
  volumeBinderController,
  volumeProvisionerController,
  volumeExpandController,
  storageCapacityController,
  attachDetachController,
  claimProtectionController,
  volumeProtectionController,
  ephemeralVolumeController,
  ttlAfterFinishedController,
  clusterRoleAggregationController,
  csrApprovingController,
  csrSigningController,
  csrCleanerController,
  serviceAccountTokensController,
  bootstrapSignerController,
  tokenCleanerController,
  podGarbageCollectorController,
  garbageCollectorController,
];
