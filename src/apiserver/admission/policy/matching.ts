import type { AnyObject, MatchResources, NamedRuleWithOperations } from '#api';
import { labelSelectorOf } from '#machinery';
import type { AdmissionAttributes, ObjectView, ServerObjects } from '../../contract.ts';
import { versionFor } from '../equivalent.ts';
import { type RequestKind, selectorsMatch } from '../webhook/webhook-rules.ts';

/** A policy's or binding's matchConstraints, with its selectors parsed. */
export interface Matcher {
  /** By what is asked for alone: no object is looked at. */
  fits(request: RequestKind): boolean;
  /** Also by names and by the labels of object and namespace: the version in which the request matches. */
  matches(attributes: AdmissionAttributes, request: RequestKind, namespaces: ObjectView): string | undefined;
}

const everything: Matcher = { fits: () => true, matches: (_, { version }) => version };

/** Undefined matches everything: bindings may leave it out. */
export function matcherOf(match: MatchResources | undefined, objects: ServerObjects): Matcher {
  if (match === undefined) return everything;
  const rules = match.resourceRules ?? [];
  const excluded = match.excludeResourceRules ?? [];
  const how = { exact: match.matchPolicy === 'Exact', objects };
  const selectors = {
    namespaceSelector: labelSelectorOf(match.namespaceSelector ?? {}),
    objectSelector: labelSelectorOf(match.objectSelector ?? {}),
  };
  return {
    fits: (request) => rules.length === 0 || versionFor(rules, request, how) !== undefined,
    matches(attributes, request, namespaces) {
      const named = (rule: NamedRuleWithOperations): boolean =>
        (rule.resourceNames ?? []).length === 0 || rule.resourceNames?.includes(attributes.name) === true;
      if (versionFor(excluded.filter(named), request, how) !== undefined) return undefined;
      const version = rules.length === 0 ? request.version : versionFor(rules.filter(named), request, how);
      return version !== undefined && selectorsMatch(selectors, attributes, namespaces) ? version : undefined;
    },
  };
}

const ownGroup = 'admissionregistration.k8s.io';
const reviews: ReadonlySet<string> = new Set([
  'authentication.k8s.io/tokenreviews',
  'authentication.k8s.io/selfsubjectreviews',
  'authorization.k8s.io/localsubjectaccessreviews',
  'authorization.k8s.io/selfsubjectaccessreviews',
  'authorization.k8s.io/selfsubjectrulesreviews',
  'authorization.k8s.io/subjectaccessreviews',
]);

/** What no policy may see: what would let it lock everyone out. */
export function isExempt(group: string, resource: string): boolean {
  return group === ownGroup ? !resource.endsWith('webhookconfigurations') : reviews.has(`${group}/${resource}`);
}

export function requestKindOf({ definition, ...attributes }: AdmissionAttributes): RequestKind {
  return {
    operation: attributes.operation,
    group: definition?.resource.group ?? attributes.group,
    version: definition?.resource.version ?? attributes.version,
    resource: attributes.resource,
    subresource: attributes.subresource,
    namespaced: definition?.resource.namespaced ?? attributes.namespace !== '',
  };
}

/** The namespace of a request; undefined for cluster-scoped ones, and for namespaces themselves. */
export function namespaceOf(attributes: AdmissionAttributes, namespaces: ObjectView): AnyObject | undefined {
  if (attributes.namespace === '' || (attributes.resource === 'namespaces' && attributes.group === ''))
    return undefined;
  return namespaces.get(undefined, attributes.namespace);
}
