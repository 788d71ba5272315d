import { CodedError } from '#base';
import { decodeYamlDocuments } from '#codec';
import { auditLevels, auditStages, type AuditPolicy, type AuditRule } from './policy.ts';

const policyFields = new Set(['apiVersion', 'kind', 'metadata', 'rules', 'omitStages', 'omitManagedFields']);
const ruleFields = new Set([
  'level',
  'users',
  'userGroups',
  'verbs',
  'resources',
  'namespaces',
  'nonResourceURLs',
  'omitStages',
  'omitManagedFields',
]);
const resourceFields = new Set(['group', 'resources', 'resourceNames']);
const versions = ['audit.k8s.io/v1'];

/**
 * Reads a policy file (YAML or JSON, audit.k8s.io/v1 Policy). Throws CodedError `AuditPolicy` that lists everything that is wrong with
 * it: an unknown field too, which would otherwise record less, or more, than was meant.
 */
export function parseAuditPolicy(bytes: Uint8Array, file: string): AuditPolicy {
  const problems: string[] = [];
  const policy = readPolicy(readDocument(bytes, file), problems);
  if (problems.length === 0) return policy;
  throw new CodedError('AuditPolicy', `${file} is no audit policy that can be used: ${problems.join('; ')}`);
}

type Fields = Readonly<Record<string, unknown>>;

function readDocument(bytes: Uint8Array, file: string): Fields {
  let documents: unknown[];
  try {
    documents = decodeYamlDocuments(bytes, { strict: true }).filter((one) => one !== null && one !== undefined);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CodedError('AuditPolicy', `${file} is neither YAML nor JSON: ${why}`, { cause: error });
  }
  const [document] = documents;
  if (documents.length !== 1 || !isFields(document))
    throw new CodedError('AuditPolicy', `${file} holds ${documents.length} documents, one Policy is expected`);
  return document;
}

function readPolicy(fields: Fields, problems: string[]): AuditPolicy {
  unknownFields(fields, policyFields, '', problems);
  if (fields.kind !== 'Policy') problems.push(`kind: "${String(fields.kind)}", expected Policy`);
  if (!versions.includes(String(fields.apiVersion)))
    problems.push(`apiVersion: "${String(fields.apiVersion)}", expected ${versions.join(' or ')}`);
  const { rules } = fields;
  if (!Array.isArray(rules) || rules.length === 0)
    problems.push('rules: at least one is needed, or nothing is recorded');
  return {
    rules: (Array.isArray(rules) ? rules : []).map((one, index) => readRule(one, `rules[${index}]`, problems)),
    ...stagesOf(fields, '', problems),
    ...flagOf(fields, '', problems),
  };
}

function readRule(value: unknown, path: string, problems: string[]): AuditRule {
  const fields = isFields(value) ? value : {};
  if (!isFields(value)) problems.push(`${path}: expected fields`);
  unknownFields(fields, ruleFields, `${path}.`, problems);
  const level = auditLevels.find((one) => one === fields.level);
  if (level === undefined)
    problems.push(`${path}.level: "${String(fields.level)}", expected ${auditLevels.join(', ')}`);
  const list = (name: string): Record<string, readonly string[]> => textsOf(fields, name, path, problems);
  const urls = list('nonResourceURLs');
  const namespaces = list('namespaces');
  const resources = resourcesOf(fields, path, problems);
  for (const url of urls.nonResourceURLs ?? []) {
    const star = url.indexOf('*');
    if (url !== '*' && !url.startsWith('/')) problems.push(`${path}.nonResourceURLs: "${url}" does not begin with "/"`);
    if (star >= 0 && star !== url.length - 1)
      problems.push(`${path}.nonResourceURLs: "${url}" has a "*" before its end`);
  }
  const both =
    (urls.nonResourceURLs ?? []).length > 0 &&
    ((resources?.length ?? 0) > 0 || (namespaces.namespaces ?? []).length > 0);
  if (both) problems.push(`${path}: nonResourceURLs and resources or namespaces exclude each other`);
  return {
    level: level ?? 'None',
    ...list('users'),
    ...list('userGroups'),
    ...list('verbs'),
    ...namespaces,
    ...urls,
    ...(resources === undefined ? {} : { resources }),
    ...stagesOf(fields, `${path}.`, problems),
    ...flagOf(fields, `${path}.`, problems),
  };
}

function resourcesOf(fields: Fields, path: string, problems: string[]): AuditRule['resources'] {
  const { resources } = fields;
  if (resources === undefined || resources === null) return undefined;
  if (!Array.isArray(resources)) {
    problems.push(`${path}.resources: expected a list`);
    return undefined;
  }
  return resources.map((one: unknown, index) => {
    const at = `${path}.resources[${index}]`;
    const entry = isFields(one) ? one : {};
    if (!isFields(one)) problems.push(`${at}: expected fields`);
    unknownFields(entry, resourceFields, `${at}.`, problems);
    const { group } = entry;
    if (group !== undefined && (typeof group !== 'string' || group.includes('/')))
      problems.push(`${at}.group: "${String(group)}" is no name of a group (without a version)`);
    const names = textsOf(entry, 'resourceNames', at, problems);
    const plurals = textsOf(entry, 'resources', at, problems);
    if ((names.resourceNames ?? []).length > 0 && (plurals.resources ?? []).length === 0)
      problems.push(`${at}.resourceNames: names need resources that have them`);
    return { ...(typeof group === 'string' ? { group } : {}), ...plurals, ...names };
  });
}

function stagesOf(fields: Fields, path: string, problems: string[]): Pick<AuditRule, 'omitStages'> {
  const { omitStages } = textsOf(fields, 'omitStages', path.replace(/\.$/, ''), problems);
  if (omitStages === undefined) return {};
  const known = omitStages.flatMap((text) => auditStages.find((stage) => stage === text) ?? []);
  if (known.length < omitStages.length) problems.push(`${path}omitStages: expected some of ${auditStages.join(', ')}`);
  return { omitStages: known };
}

function flagOf(fields: Fields, path: string, problems: string[]): Pick<AuditRule, 'omitManagedFields'> {
  const { omitManagedFields } = fields;
  if (omitManagedFields === undefined || omitManagedFields === null) return {};
  if (typeof omitManagedFields === 'boolean') return { omitManagedFields };
  problems.push(`${path}omitManagedFields: expected true or false`);
  return {};
}

function textsOf(fields: Fields, name: string, path: string, problems: string[]): Record<string, readonly string[]> {
  const value = fields[name];
  if (value === undefined || value === null) return {};
  if (Array.isArray(value) && value.every((one): one is string => typeof one === 'string')) return { [name]: value };
  problems.push(`${path === '' ? '' : `${path}.`}${name}: expected a list of texts`);
  return {};
}

function unknownFields(fields: Fields, known: ReadonlySet<string>, path: string, problems: string[]): void {
  for (const name of Object.keys(fields)) if (!known.has(name)) problems.push(`${path}${name}: unknown field`);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
