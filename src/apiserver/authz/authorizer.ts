import type { AuthorizationDecision, Authorizer, RequestAttributes, ServerObjects } from '../contract.ts';
import { openIngressAuthorizer } from './ingress.ts';
import { openNodeAuthorizer } from './node.ts';
import { openRbacAuthorizer, type RbacAuthorizer } from './rbac.ts';

export interface ClusterAuthorizer extends Authorizer {
  /** Resolves when decisions are made on whole views; requests before that must wait for it. */
  readonly ready: Promise<void>;
  readonly rbac: RbacAuthorizer;
}

const allowMasters: AuthorizationDecision = Object.freeze({ decision: 'allow', reason: '' });

/** system:masters, then nodes, then who serves Ingresses, then RBAC: the first that allows (or denies) decides; reasons of the others are joined. */
export function openAuthorizer(options: {
  readonly objects: ServerObjects;
  readonly more?: readonly Authorizer[];
}): ClusterAuthorizer {
  const { objects, more = [] } = options;
  const rbacView = (plural: string) => objects.view('rbac.authorization.k8s.io/v1', plural);
  const rbac = openRbacAuthorizer({
    roles: rbacView('roles'),
    roleBindings: rbacView('rolebindings'),
    clusterRoles: rbacView('clusterroles'),
    clusterRoleBindings: rbacView('clusterrolebindings'),
  });
  const node = openNodeAuthorizer({
    pods: objects.view('v1', 'pods'),
    persistentVolumeClaims: objects.view('v1', 'persistentvolumeclaims'),
    persistentVolumes: objects.view('v1', 'persistentvolumes'),
    volumeAttachments: objects.view('storage.k8s.io/v1', 'volumeattachments'),
    resourceSlices: objects.view('resource.k8s.io/v1', 'resourceslices'),
  });
  const ingress = openIngressAuthorizer({
    ingresses: objects.view('networking.k8s.io/v1', 'ingresses'),
    ingressClasses: objects.view('networking.k8s.io/v1', 'ingressclasses'),
  });
  const chain: readonly Authorizer[] = [node, ingress, rbac, ...more];

  const later = async (
    attributes: RequestAttributes,
    from: number,
    pending: AuthorizationDecision | Promise<AuthorizationDecision>,
    reasons: string[],
  ): Promise<AuthorizationDecision> => {
    const first = await pending;
    if (first.decision !== 'noOpinion') return first;
    if (first.reason !== '') reasons.push(first.reason);
    for (const authorizer of chain.slice(from)) {
      const decision = await authorizer.authorize(attributes);
      if (decision.decision !== 'noOpinion') return decision;
      if (decision.reason !== '') reasons.push(decision.reason);
    }
    return { decision: 'noOpinion', reason: reasons.join('\n') };
  };

  const decide = (attributes: RequestAttributes): AuthorizationDecision | Promise<AuthorizationDecision> => {
    const reasons: string[] = [];
    for (const [index, authorizer] of chain.entries()) {
      const decision = authorizer.authorize(attributes);
      if (decision instanceof Promise) return later(attributes, index + 1, decision, reasons);
      if (decision.decision !== 'noOpinion') return decision;
      if (decision.reason !== '') reasons.push(decision.reason);
    }
    return { decision: 'noOpinion', reason: reasons.join('\n') };
  };

  let isReady = false;
  const ready = rbac.ready.then(() => {
    isReady = true;
  });
  ready.catch(() => {});
  return {
    rbac,
    ready,
    authorize(attributes) {
      if (attributes.identity.groups.includes('system:masters')) return allowMasters;
      return isReady ? decide(attributes) : ready.then(() => decide(attributes));
    },
    async rulesFor(identity, namespace) {
      if (identity.groups.includes('system:masters')) {
        return {
          resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
          nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
          incomplete: false,
        };
      }
      const held = await rbac.rulesFor?.(identity, namespace);
      return held ?? { resourceRules: [], nonResourceRules: [], incomplete: true };
    },
  };
}
