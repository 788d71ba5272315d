import type { FlowSchema, FlowSchemaSpec } from '#api';
import type { Identity } from '#wire';
import type { RequestInfo } from '../contract.ts';

type Rules = NonNullable<FlowSchemaSpec['rules']>[number];

/** Whether a rule takes what is asked for. */
export type AskMatch = (info: RequestInfo) => boolean;

/** Whether a FlowSchema takes a request of this caller; undefined: it never does, whatever is asked for. */
export type SchemaMatch = (identity: Identity) => AskMatch | undefined;

/**
 * Compiles the rules of a FlowSchema: some rule must name the caller and what is asked for. In two steps, so that the first is done
 * once a caller and not once a request.
 */
export function compileSchema({ spec }: FlowSchema): SchemaMatch {
  const rules = (spec?.rules ?? []).map(compileRules);
  return (identity) => {
    const asks = rules.filter(({ isSubject }) => isSubject(identity)).map(({ ask }) => ask);
    return asks.length < 2 ? asks[0] : (info) => asks.some((one) => one(info));
  };
}

interface CompiledRules {
  readonly isSubject: (identity: Identity) => boolean;
  readonly ask: AskMatch;
}

function compileRules({ subjects, resourceRules, nonResourceRules }: Rules): CompiledRules {
  const all = (subjects ?? []).map(compileSubject);
  const resources = some((resourceRules ?? []).map(compileResources));
  const paths = some(
    (nonResourceRules ?? []).map(({ verbs, nonResourceURLs }) => {
      const verb = oneOf(verbs);
      const urls = nonResourceURLs ?? [];
      return (info) => verb(info.verb) && urls.some((url) => pathFits(url, info.path));
    }),
  );
  return {
    isSubject: (identity) => all.some((one) => one(identity)),
    ask: (info) => (info.isResource ? resources(info) : paths(info)),
  };
}

function some(matches: readonly AskMatch[]): AskMatch {
  const [only] = matches;
  if (matches.length === 1 && only !== undefined) return only;
  return (info) => matches.some((one) => one(info));
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
  const { namespaces = [], clusterScope = false } = rule;
  const every = [rule.verbs, rule.apiGroups, rule.resources, namespaces].every((one) => one?.includes('*'));
  if (every && clusterScope) return () => true;
  const verb = oneOf(rule.verbs);
  const group = oneOf(rule.apiGroups);
  const plural = oneOf(rule.resources);
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
