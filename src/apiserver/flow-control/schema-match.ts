import type { FlowSchema, FlowSchemaSpec } from '#api';
import type { Identity } from '#wire';
import type { RequestInfo } from '../contract.ts';

type Rules = NonNullable<FlowSchemaSpec['rules']>[number];

/** Whether a FlowSchema takes a request: some rule names its subject and what it asks for. */
export type SchemaMatch = (identity: Identity, info: RequestInfo) => boolean;

/** Compiles the rules of a FlowSchema. What is asked for is compared before who asks: it decides more, for less. */
export function compileSchema({ spec }: FlowSchema): SchemaMatch {
  const rules = (spec?.rules ?? []).map(compileRules);
  const [only] = rules;
  if (rules.length === 1 && only !== undefined) return only;
  return (identity, info) => rules.some((one) => one(identity, info));
}

function compileRules({ subjects, resourceRules, nonResourceRules }: Rules): SchemaMatch {
  const isSubject = (subjects ?? []).map(compileSubject);
  const resources = (resourceRules ?? []).map(compileResources);
  const paths = (nonResourceRules ?? []).map(({ verbs, nonResourceURLs }) => {
    const verb = oneOf(verbs);
    const urls = nonResourceURLs ?? [];
    return (info: RequestInfo): boolean => verb(info.verb) && urls.some((url) => pathFits(url, info.path));
  });
  return (identity, info) => {
    const asked = info.isResource ? resources : paths;
    return asked.some((one) => one(info)) && isSubject.some((one) => one(identity));
  };
}

function compileSubject(subject: Rules['subjects'][number]): (identity: Identity) => boolean {
  if (subject.kind === 'Group') {
    const { name = '' } = subject.group ?? {};
    return name === '*' ? () => true : ({ groups }) => groups.includes(name);
  }
  if (subject.kind === 'User') {
    const { name = '' } = subject.user ?? {};
    return name === '*' ? () => true : ({ user }) => user === name;
  }
  const { namespace = '', name = '' } = subject.serviceAccount ?? {};
  const prefix = `system:serviceaccount:${namespace}:`;
  if (name === '*') return ({ user }) => user.startsWith(prefix);
  return ({ user }) => user === prefix + name;
}

function compileResources(rule: NonNullable<Rules['resourceRules']>[number]): (info: RequestInfo) => boolean {
  const verb = oneOf(rule.verbs);
  const group = oneOf(rule.apiGroups);
  const plural = oneOf(rule.resources);
  const { namespaces = [], clusterScope = false } = rule;
  const inNamespace = oneOf(namespaces);
  return (info) => {
    const { resource, subresource, namespace } = info;
    if (!group(info.group) || !verb(info.verb)) return false;
    if (!plural(subresource === '' ? resource : `${resource}/${subresource}`)) return false;
    return namespace === '' ? clusterScope : inNamespace(namespace);
  };
}

function oneOf(values: readonly string[] | undefined): (value: string) => boolean {
  if (values === undefined || values.length === 0) return () => false;
  if (values.includes('*')) return () => true;
  const [only] = values;
  if (values.length === 1) return (value) => value === only;
  const set = new Set(values);
  return (value) => set.has(value);
}

const pathFits = (url: string, path: string): boolean =>
  url === '*' || url === path || (url.endsWith('/*') && path.startsWith(url.slice(0, -1)));
