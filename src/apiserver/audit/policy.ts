import type { ServerRequest } from '../contract.ts';

export const auditLevels = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
export type AuditLevel = (typeof auditLevels)[number];

export const auditStages = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const;
export type AuditStage = (typeof auditStages)[number];

/** One rule of an audit policy (audit.k8s.io/v1). A list that is absent or empty matches everything. */
export interface AuditRule {
  readonly level: AuditLevel;
  readonly users?: readonly string[];
  readonly userGroups?: readonly string[];
  readonly verbs?: readonly string[];
  readonly resources?: readonly {
    readonly group?: string;
    readonly resources?: readonly string[];
    readonly resourceNames?: readonly string[];
  }[];
  readonly namespaces?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  /** No event for these stages, beside those that the policy leaves out. */
  readonly omitStages?: readonly AuditStage[];
  /** Recorded objects lack `managedFields`; absent: as the policy says. */
  readonly omitManagedFields?: boolean;
}

export interface AuditPolicy {
  readonly rules: readonly AuditRule[];
  readonly omitStages?: readonly AuditStage[];
  readonly omitManagedFields?: boolean;
}

/** What is recorded of one request. */
export interface AuditDecision {
  readonly level: AuditLevel;
  readonly omitStages: readonly AuditStage[];
  readonly omitManagedFields: boolean;
}

/** Who did what to which object, without any content; not the endless asking for health. */
export const metadataPolicy: AuditPolicy = {
  rules: [
    { level: 'None', nonResourceURLs: ['/healthz*', '/livez*', '/readyz*', '/version', '/metrics'] },
    { level: 'Metadata' },
  ],
  omitStages: ['RequestReceived'],
};

/** The first rule that fits decides; none: nothing is recorded. Secrets and tokens never go beyond Metadata. */
export function decideAudit(policy: AuditPolicy, request: AuditedRequest): AuditDecision {
  const rule = policy.rules.find((one) => matches(one, request));
  if (rule === undefined || rule.level === 'None') return nothing;
  return {
    level: isSecret(request) ? 'Metadata' : rule.level,
    omitStages: [...(policy.omitStages ?? []), ...(rule.omitStages ?? [])],
    omitManagedFields: rule.omitManagedFields ?? policy.omitManagedFields ?? false,
  };
}

const nothing: AuditDecision = { level: 'None', omitStages: [], omitManagedFields: false };

/** What of a request rules look at. */
export type AuditedRequest = Pick<ServerRequest, 'identity' | 'info'>;

function isSecret({ info }: AuditedRequest): boolean {
  return (
    (info.group === '' &&
      (info.resource === 'secrets' || (info.resource === 'serviceaccounts' && info.subresource === 'token'))) ||
    info.group === 'authentication.k8s.io'
  );
}

function matches(rule: AuditRule, { identity, info }: AuditedRequest): boolean {
  const fits = (list: readonly string[] | undefined, values: readonly string[]): boolean =>
    list === undefined || list.length === 0 || values.some((one) => list.includes(one));
  if (!fits(rule.users, [identity.user]) || !fits(rule.userGroups, identity.groups) || !fits(rule.verbs, [info.verb]))
    return false;
  const resources = rule.resources ?? [];
  const urls = rule.nonResourceURLs ?? [];
  if (!info.isResource) {
    if (resources.length > 0 || (rule.namespaces ?? []).length > 0) return false;
    return (
      urls.length === 0 ||
      urls.some((one) => one === info.path || (one.endsWith('*') && info.path.startsWith(one.slice(0, -1))))
    );
  }
  if (urls.length > 0 || !fits(rule.namespaces, [info.namespace])) return false;
  const full = info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`;
  return (
    resources.length === 0 ||
    resources.some(
      (one) =>
        (one.group === '*' || (one.group ?? '') === info.group) &&
        fits(one.resources, [
          full,
          '*',
          `${info.resource}/*`,
          ...(info.subresource === '' ? [] : [`*/${info.subresource}`]),
        ]) &&
        fits(one.resourceNames, [info.name]),
    )
  );
}
