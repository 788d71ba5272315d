export { type ClusterAuthorizer, openAuthorizer } from './authorizer.ts';
export { rbacEscalation } from './escalation.ts';
export { nodeNameOf, type NodeSources, openNodeAuthorizer } from './node.ts';
export { bootstrapPolicy, joinPolicy, type PolicyObject, reconcilePolicyObject } from './policy.ts';
export type { PolicyRule } from './policy-rules.ts';
export { type PodReference, podReferences } from './pod-references.ts';
export { openRbacAuthorizer, type RbacAuthorizer, type RbacSources } from './rbac.ts';
export { accessReviewHandlers } from './reviews.ts';
export { reviewHandlers } from './review-handlers.ts';
