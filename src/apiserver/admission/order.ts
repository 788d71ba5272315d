import { rbacEscalation } from '../authz/index.ts';
import type { AdmissionPlugin } from '../contract.ts';
import { certificateApproval, certificateSigning, certificateSubjectRestriction } from './certificates.admission.ts';
import { defaultIngressClass } from './default-ingress-class.admission.ts';
import { defaultTolerationSeconds } from './default-toleration-seconds.admission.ts';
import { denyServiceExternalIps } from './deny-service-external-ips.admission.ts';
import { limitRanger } from './limit-ranger.admission.ts';
import { namespaceLifecycle } from './namespace-lifecycle.admission.ts';
import { nodeRestriction } from './node-restriction.admission.ts';
import type { AdmissionOptions } from './options.ts';
import { podSecurity } from './pod-security/pod-security.admission.ts';
import { podTopologyLabels } from './pod-topology-labels.admission.ts';
import { mutatingPolicies, validatingPolicies } from './policy/policies.admission.ts';
import { priority } from './priority.admission.ts';
import { resourceQuota } from './quota/resource-quota.admission.ts';
import { runtimeClass } from './runtime-class.admission.ts';
import { serviceAccount } from './service-account.admission.ts';
import { defaultStorageClass, persistentVolumeClaimResize, storageObjectInUseProtection } from './storage.admission.ts';
import { taintNodesByCondition } from './taint-nodes-by-condition.admission.ts';
import { mutatingWebhooks, validatingWebhooks } from './webhook/webhooks.admission.ts';

/** Every admission plugin that is on, in the order in which they are asked. */
export function admissionPlugins(options: AdmissionOptions): readonly AdmissionPlugin[] {
  const [mutatePolicies, mutatePoliciesAgain] = mutatingPolicies(options);
  return [
    // First: a namespace that is not there is a 404 before anything else is looked at.
    namespaceLifecycle(options),
    limitRanger(options),
    serviceAccount(options),
    nodeRestriction(options),
    taintNodesByCondition(),
    podSecurity(options),
    priority(options),
    defaultTolerationSeconds(options.defaultTolerationSeconds),
    defaultStorageClass(options),
    storageObjectInUseProtection(),
    persistentVolumeClaimResize(options),
    runtimeClass(options),
    certificateApproval(options),
    certificateSigning(options),
    certificateSubjectRestriction(),
    defaultIngressClass(options),
    denyServiceExternalIps(),
    podTopologyLabels(options),
    // Upstream checks this where roles are stored; webhooks must not be asked about what will be refused.
    rbacEscalation({ rbac: options.authorizer.rbac, authorizer: options.authorizer }),
    // Policies and webhooks after all that is built in, so that they see the object as it will be.
    mutatePolicies,
    mutatingWebhooks(options),
    // Once more where webhooks have changed what policies had made of the object.
    mutatePoliciesAgain,
    validatingPolicies(options),
    validatingWebhooks(options),
    // Last: nothing may refuse after quota has been taken.
    resourceQuota(options),
  ];
}
