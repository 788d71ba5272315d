import type { AnyObject } from '#api';
import { deepEqual, errForbidden, errNotFound, goQuote } from '#machinery';
import type { Identity } from '#wire';
import type { AdmissionAttributes, AdmissionPlugin, Authorizer, RequestAttributes } from '../contract.ts';
import type { PolicyRule } from './policy-rules.ts';
import type { RbacAuthorizer } from './rbac.ts';
import { joinRules, ruleCovers, ruleText, splitRule } from './rule-match.ts';

const kinds: ReadonlySet<string> = new Set(['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings']);
const rbacGroup = 'rbac.authorization.k8s.io';

/**
 * Nobody hands out more than they hold: who writes a role must hold each of its rules in that scope or the verb `escalate`, who
 * writes a binding must hold the role's rules or the verb `bind` on that role. system:masters may do anything.
 */
export function rbacEscalation(options: {
  readonly rbac: RbacAuthorizer;
  readonly authorizer: Authorizer;
}): AdmissionPlugin {
  const { rbac, authorizer } = options;

  const may = async (
    attributes: AdmissionAttributes,
    verb: string,
    resource: string,
    name: string,
  ): Promise<boolean> => {
    const asked: RequestAttributes = {
      identity: attributes.identity,
      verb,
      isResource: true,
      group: rbacGroup,
      version: '*',
      resource,
      subresource: '',
      namespace: attributes.namespace,
      name,
      path: '',
    };
    return (await authorizer.authorize(asked)).decision === 'allow';
  };

  const refuseUnheld = async (attributes: AdmissionAttributes, wanted: readonly PolicyRule[]): Promise<void> => {
    await rbac.ready;
    const held = rbac.rules(attributes.identity, attributes.namespace);
    const missing = wanted.flatMap(splitRule).filter((part) => !held.rules.some((rule) => ruleCovers(rule, part)));
    if (missing.length === 0) return;
    const texts = [...new Set(joinRules(missing).map(ruleText))].sort();
    const errors = held.errors.length === 0 ? '' : `; resolution errors: [${held.errors.join(', ')}]`;
    throw forbidden(
      attributes,
      `${who(attributes.identity)} is attempting to grant RBAC permissions not currently held:\n${texts.join('\n')}${errors}`,
    );
  };

  const checkRole = async (attributes: AdmissionAttributes, object: AnyObject): Promise<void> => {
    const old = attributes.oldObject;
    if (
      old !== undefined &&
      deepEqual(old.rules ?? [], object.rules ?? []) &&
      deepEqual(old.aggregationRule, object.aggregationRule)
    )
      return;
    if (await may(attributes, 'escalate', attributes.resource, attributes.name)) return;
    if (object.aggregationRule !== undefined && !deepEqual(old?.aggregationRule, object.aggregationRule)) {
      const all = [
        { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
        { verbs: ['*'], nonResourceURLs: ['*'] },
      ];
      await rbac.ready;
      const held = rbac.rules(attributes.identity, '').rules;
      if (!all.every((part) => held.some((rule) => ruleCovers(rule, part))))
        throw forbidden(attributes, 'must have cluster-admin privileges to use the aggregationRule');
    }
    await refuseUnheld(attributes, (object.rules as PolicyRule[] | undefined) ?? []);
  };

  const checkBinding = async (attributes: AdmissionAttributes, object: AnyObject): Promise<void> => {
    const old = attributes.oldObject;
    if (
      old !== undefined &&
      deepEqual(old.roleRef, object.roleRef) &&
      deepEqual(old.subjects ?? [], object.subjects ?? [])
    )
      return;
    const roleRef = object.roleRef as { kind: string; name: string };
    if (await may(attributes, 'bind', roleRef.kind === 'ClusterRole' ? 'clusterroles' : 'roles', roleRef.name)) return;
    await rbac.ready;
    const rules = rbac.roleRules(roleRef, attributes.namespace);
    if (rules === undefined) {
      throw errNotFound({ group: rbacGroup, plural: `${roleRef.kind.toLowerCase()}s` }, roleRef.name);
    }
    await refuseUnheld(attributes, rules);
  };

  return {
    name: 'RBACEscalation',
    handles: (operation, definition, subresource) =>
      (operation === 'CREATE' || operation === 'UPDATE') &&
      subresource === '' &&
      definition?.resource.group === rbacGroup &&
      kinds.has(definition.resource.plural),
    validate(attributes) {
      const { object, identity, resource } = attributes;
      if (object === undefined || identity.groups.includes('system:masters')) return undefined;
      return resource === 'roles' || resource === 'clusterroles'
        ? checkRole(attributes, object)
        : checkBinding(attributes, object);
    },
  };
}

const who = (identity: Identity): string =>
  `user ${goQuote(identity.user)} (groups=[${identity.groups.map(goQuote).join(' ')}])`;

function forbidden(attributes: AdmissionAttributes, why: string): Error {
  return errForbidden({ group: attributes.group, plural: attributes.resource }, attributes.name, why);
}
