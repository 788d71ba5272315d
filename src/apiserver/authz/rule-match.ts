import type { RequestAttributes } from '../contract.ts';
import type { PolicyRule } from './policy-rules.ts';

const has = (list: readonly string[] | undefined, value: string): boolean => list?.includes(value) === true;

/** Whether one rule covers one request. */
export function ruleAllows(rule: PolicyRule, request: RequestAttributes): boolean {
  if (!has(rule.verbs, request.verb) && !has(rule.verbs, '*')) return false;
  if (!request.isResource) return urlMatches(rule.nonResourceURLs, request.path);
  return (
    (has(rule.apiGroups, request.group) || has(rule.apiGroups, '*')) &&
    resourceMatches(rule.resources, request.resource, request.subresource) &&
    (rule.resourceNames === undefined || rule.resourceNames.length === 0 || has(rule.resourceNames, request.name))
  );
}

export function resourceMatches(
  resources: readonly string[] | undefined,
  resource: string,
  subresource: string,
): boolean {
  if (resources === undefined) return false;
  const combined = subresource === '' ? resource : `${resource}/${subresource}`;
  return resources.some(
    (one) =>
      one === '*' || one === combined || (subresource !== '' && one.startsWith('*/') && one.slice(2) === subresource),
  );
}

/** `*`, an exact path, or everything below a path that ends in `*`. */
export function urlMatches(patterns: readonly string[] | undefined, path: string): boolean {
  return (
    patterns?.some((one) => one === '*' || one === path || (one.endsWith('*') && path.startsWith(one.slice(0, -1)))) ===
    true
  );
}

/** Whether one rule of an owner covers a whole rule; for rules that name one thing each way. */
export function ruleCovers(owner: PolicyRule, wanted: PolicyRule): boolean {
  const verbs = has(owner.verbs, '*') || wanted.verbs.every((verb) => has(owner.verbs, verb));
  const groups = has(owner.apiGroups, '*') || (wanted.apiGroups ?? []).every((group) => has(owner.apiGroups, group));
  const resources = (wanted.resources ?? []).every((one) => {
    const slash = one.indexOf('/');
    return (
      has(owner.resources, '*') ||
      has(owner.resources, one) ||
      (slash >= 0 && has(owner.resources, `*${one.slice(slash)}`))
    );
  });
  const urls = (wanted.nonResourceURLs ?? []).every((one) => urlMatches(owner.nonResourceURLs, one));
  const ownerNames = owner.resourceNames ?? [];
  const wantedNames = wanted.resourceNames ?? [];
  const names =
    ownerNames.length === 0 || (wantedNames.length > 0 && wantedNames.every((one) => ownerNames.includes(one)));
  return verbs && groups && resources && urls && names;
}

/** A rule as its smallest parts: one verb, one group, one resource, one name, or one verb and one path. */
export function splitRule(rule: PolicyRule): PolicyRule[] {
  const parts: PolicyRule[] = [];
  for (const verb of rule.verbs ?? []) {
    for (const apiGroup of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const one = { verbs: [verb], apiGroups: [apiGroup], resources: [resource] };
        if (rule.resourceNames === undefined || rule.resourceNames.length === 0) parts.push(one);
        else for (const name of rule.resourceNames) parts.push({ ...one, resourceNames: [name] });
      }
    }
    for (const url of rule.nonResourceURLs ?? []) parts.push({ verbs: [verb], nonResourceURLs: [url] });
  }
  return parts;
}

const quotedList = (list: readonly string[]): string => `[${list.map((one) => JSON.stringify(one)).join(' ')}]`;

/** `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`, as messages name a rule. */
export function ruleText(rule: PolicyRule): string {
  const parts: string[] = [];
  const add = (label: string, list: readonly string[] | undefined): void => {
    if (list !== undefined && list.length > 0) parts.push(`${label}:${quotedList(list)}`);
  };
  add('APIGroups', rule.apiGroups);
  add('Resources', rule.resources);
  add('NonResourceURLs', rule.nonResourceURLs);
  add('ResourceNames', rule.resourceNames);
  add('Verbs', rule.verbs);
  return `{${parts.join(', ')}}`;
}

/** Joins parts for one resource of one group, or one resource name of it, into one rule with all their verbs. */
export function joinRules(parts: readonly PolicyRule[]): PolicyRule[] {
  const joined = new Map<string, { verbs: string[] } & Omit<PolicyRule, 'verbs'>>();
  const rest: PolicyRule[] = [];
  for (const part of parts) {
    if (part.nonResourceURLs !== undefined) {
      rest.push(part);
      continue;
    }
    const key = JSON.stringify([part.apiGroups, part.resources, part.resourceNames]);
    const known = joined.get(key);
    if (known === undefined) joined.set(key, { ...part, verbs: [...part.verbs] });
    else for (const verb of part.verbs) if (!known.verbs.includes(verb)) known.verbs.push(verb);
  }
  return [...joined.values(), ...rest];
}
