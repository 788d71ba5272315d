import type { AnyObject } from '#api';
import type { Identity } from '#wire';
import type { AuthorizationDecision, Authorizer, ObjectView, RequestAttributes } from '../contract.ts';
import { followView } from './follow.ts';
import type { PolicyRule } from './policy-rules.ts';
import { ruleAllows } from './rule-match.ts';

/** Live views of the four kinds. */
export interface RbacSources {
  readonly roles: ObjectView;
  readonly roleBindings: ObjectView;
  readonly clusterRoles: ObjectView;
  readonly clusterRoleBindings: ObjectView;
}

/** The rules that one binding gives someone. */
interface Grant {
  readonly rules: readonly PolicyRule[];
  readonly reason: string;
}

export interface RbacAuthorizer extends Authorizer {
  /** Resolves when decisions are made on whole views. */
  readonly ready: Promise<void>;
  authorize(attributes: RequestAttributes): AuthorizationDecision;
  /** Every rule that holds for the identity in the namespace ('' = cluster scope), and the roles that were not found. */
  rules(identity: Identity, namespace: string): { rules: PolicyRule[]; errors: string[] };
  /** The rules of a role that a binding names. */
  roleRules(
    roleRef: { readonly kind: string; readonly name: string },
    namespace: string,
  ): readonly PolicyRule[] | undefined;
}

interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

interface Binding extends AnyObject {
  roleRef: { kind: string; name: string; apiGroup?: string };
  subjects?: Subject[];
}

type SubjectIndex = Map<string, Map<string, Binding>>;

interface Resolved {
  readonly generation: number;
  readonly grants: Map<string, { grants: readonly Grant[]; errors: readonly string[] }>;
}

const noRules: readonly PolicyRule[] = [];

/**
 * RBAC over live objects. Bindings are indexed by subject, by namespace, and kept current change by change; what an identity holds
 * is remembered until any role or binding changes.
 */
export function openRbacAuthorizer(sources: RbacSources): RbacAuthorizer {
  const cluster: SubjectIndex = new Map();
  const namespaces = new Map<string, SubjectIndex>();
  const resolved = new WeakMap<Identity, Resolved>();
  let generation = 0;

  const indexOf = (binding: AnyObject): SubjectIndex => {
    const namespace = binding.metadata.namespace;
    if (namespace === undefined || namespace === '') return cluster;
    let own = namespaces.get(namespace);
    if (own === undefined) namespaces.set(namespace, (own = new Map()));
    return own;
  };
  const put = (binding: Binding, add: boolean): void => {
    const target = indexOf(binding);
    for (const subject of binding.subjects ?? []) {
      const key = subjectKey(subject, binding.metadata.namespace);
      const held = target.get(key) ?? new Map<string, Binding>();
      if (add) held.set(binding.metadata.name as string, binding);
      else held.delete(binding.metadata.name as string);
      if (held.size === 0) target.delete(key);
      else target.set(key, held);
    }
    const namespace = binding.metadata.namespace;
    if (!add && target.size === 0 && namespace !== undefined) namespaces.delete(namespace);
  };
  const changed = (binding: AnyObject, add: boolean): void => {
    generation++;
    put(binding as Binding, add);
  };
  const index = {
    put: (binding: AnyObject) => changed(binding, true),
    remove: (binding: AnyObject) => changed(binding, false),
  };
  const roles = { put: () => generation++, remove: () => generation++ };
  const ready = Promise.all([
    followView(sources.roleBindings, index),
    followView(sources.clusterRoleBindings, index),
    followView(sources.roles, roles),
    followView(sources.clusterRoles, roles),
  ]).then(() => {});
  ready.catch(() => {});

  const roleRules = (
    roleRef: { readonly kind: string; readonly name: string },
    namespace: string,
  ): readonly PolicyRule[] | undefined => {
    const role =
      roleRef.kind === 'ClusterRole'
        ? sources.clusterRoles.get(undefined, roleRef.name)
        : sources.roles.get(namespace, roleRef.name);
    return role === undefined ? undefined : ((role.rules as PolicyRule[] | null | undefined) ?? noRules);
  };

  const resolve = (identity: Identity, namespace: string): { grants: readonly Grant[]; errors: readonly string[] } => {
    let memo = resolved.get(identity);
    if (memo === undefined || memo.generation !== generation) {
      memo = { generation, grants: new Map() };
      resolved.set(identity, memo);
    }
    const known = memo.grants.get(namespace);
    if (known !== undefined) return known;
    const grants: Grant[] = [];
    const errors: string[] = [];
    const source = namespace === '' ? cluster : namespaces.get(namespace);
    for (const key of subjectKeys(identity)) {
      for (const binding of source?.get(key)?.values() ?? []) {
        const rules = roleRules(binding.roleRef, namespace);
        if (rules === undefined)
          errors.push(
            `${binding.roleRef.kind.toLowerCase()}.rbac.authorization.k8s.io ${JSON.stringify(binding.roleRef.name)} not found`,
          );
        else grants.push({ rules, reason: grantReason(binding, key) });
      }
    }
    const found = { grants, errors };
    if (memo.grants.size < rememberedNamespaces) memo.grants.set(namespace, found);
    return found;
  };

  const authorize = (request: RequestAttributes): AuthorizationDecision => {
    const scopes = request.isResource && request.namespace !== '' ? ['', request.namespace] : [''];
    const errors: string[] = [];
    for (const scope of scopes) {
      const { grants, errors: missing } = resolve(request.identity, scope);
      for (const grant of grants) {
        for (const rule of grant.rules)
          if (ruleAllows(rule, request)) return { decision: 'allow', reason: grant.reason };
      }
      errors.push(...missing);
    }
    return {
      decision: 'noOpinion',
      reason: errors.length === 0 ? '' : `RBAC: ${aggregateText(errors)}`,
    };
  };

  const rules = (identity: Identity, namespace: string): { rules: PolicyRule[]; errors: string[] } => {
    const found = (namespace === '' ? [''] : ['', namespace]).map((scope) => resolve(identity, scope));
    return {
      rules: found.flatMap((one) => one.grants.flatMap((grant) => grant.rules)),
      errors: found.flatMap((one) => one.errors),
    };
  };

  return {
    ready,
    authorize,
    rules,
    roleRules,
    async rulesFor(identity, namespace) {
      const held = rules(identity, namespace);
      return {
        resourceRules: held.rules
          .filter((rule) => (rule.resources ?? []).length > 0)
          .map(({ verbs, apiGroups, resources, resourceNames }) => ({
            verbs,
            apiGroups,
            resources,
            ...(resourceNames === undefined ? {} : { resourceNames }),
          })),
        nonResourceRules: held.rules
          .filter((rule) => (rule.nonResourceURLs ?? []).length > 0)
          .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
        incomplete: false,
        ...(held.errors.length === 0 ? {} : { evaluationError: aggregateText(held.errors) }),
      };
    },
  };
}

/** Several errors as one, each once. */
function aggregateText(errors: readonly string[]): string {
  const different = [...new Set(errors)];
  return different.length === 1 ? (different[0] as string) : `[${different.join(', ')}]`;
}

const rememberedNamespaces = 1000;

function subjectKey(subject: Subject, bindingNamespace: string | undefined): string {
  if (subject.kind === 'ServiceAccount')
    return `User system:serviceaccount:${subject.namespace ?? bindingNamespace ?? ''}:${subject.name}`;
  return `${subject.kind} ${subject.name}`;
}

function subjectKeys(identity: Identity): string[] {
  return [`User ${identity.user}`, ...identity.groups.map((group) => `Group ${group}`)];
}

const accountPrefix = 'User system:serviceaccount:';

function grantReason(binding: Binding, key: string): string {
  const { name, namespace } = binding.metadata;
  const scope =
    namespace === undefined || namespace === ''
      ? `ClusterRoleBinding ${JSON.stringify(name)}`
      : `RoleBinding ${JSON.stringify(`${name}/${namespace}`)}`;
  const space = key.indexOf(' ');
  const isAccount =
    key.startsWith(accountPrefix) &&
    (binding.subjects ?? []).some((one) => one.kind === 'ServiceAccount' && subjectKey(one, namespace) === key);
  const account = key.slice(accountPrefix.length).split(':');
  const subject = isAccount
    ? `ServiceAccount ${JSON.stringify(`${account[1]}/${account[0]}`)}`
    : `${key.slice(0, space)} ${JSON.stringify(key.slice(space + 1))}`;
  return `RBAC: allowed by ${scope} of ${binding.roleRef.kind} ${JSON.stringify(binding.roleRef.name)} to ${subject}`;
}
