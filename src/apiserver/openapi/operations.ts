import { descriptionsOf } from './descriptions.ts';
import type { Json } from './style.ts';

/** One operation before it is written in a style. */
export interface Operation {
  readonly method: 'get' | 'put' | 'post' | 'delete' | 'patch';
  readonly action?: string;
  readonly id: string;
  readonly description: string;
  readonly query: readonly QueryParameter[];
  /** What the body is: a reference, or undefined for none. */
  readonly body?: Json;
  readonly bodyRequired?: boolean;
  /** `custom`: of custom resources, which have no strategic merge. */
  readonly patch?: boolean | 'custom';
  readonly response: Json;
  readonly status: readonly string[];
}

export interface QueryParameter {
  readonly name: string;
  readonly type: 'string' | 'boolean' | 'integer';
  readonly description: string;
}

const option = (name: string, type: QueryParameter['type'], message: string): QueryParameter => ({
  name,
  type,
  get description() {
    return descriptionsOf(message)[1][name] ?? own[name] ?? '';
  },
});

/** Options that no published declaration describes. */
const own: Readonly<Record<string, string>> = {
  allowWatchBookmarks: 'Whether the watch also sends BOOKMARK events, which carry only a resource version.',
  continue: 'Where to go on with a list: the value that the page before gave.',
  dryRun: 'All: the request is checked in full and nothing is stored.',
  fieldManager: 'Name of the program or person whose changes these are.',
  fieldSelector: 'Only objects whose fields have these values.',
  fieldValidation: 'What happens to unknown and duplicate fields: Ignore, Warn or Strict.',
  force: 'Take over fields that others manage. Only for apply.',
  labelSelector: 'Only objects whose labels match.',
  limit: 'The longest list to return at once.',
  pretty: 'If true, the output is indented.',
  resourceVersion: 'The version that the answer must be as new as, or that a watch begins at.',
  resourceVersionMatch: 'How resourceVersion is meant in a list: Exact or NotOlderThan.',
  sendInitialEvents: 'Whether a watch begins with the objects that are there.',
  timeoutSeconds: 'How long the request may last.',
  watch: 'Send changes as they happen instead of a list.',
};

const pretty = option('pretty', 'string', '');
export const listQuery: readonly QueryParameter[] = [
  option('allowWatchBookmarks', 'boolean', ''),
  option('continue', 'string', ''),
  option('fieldSelector', 'string', ''),
  option('labelSelector', 'string', ''),
  option('limit', 'integer', ''),
  pretty,
  option('resourceVersion', 'string', ''),
  option('resourceVersionMatch', 'string', ''),
  option('sendInitialEvents', 'boolean', ''),
  option('timeoutSeconds', 'integer', ''),
  option('watch', 'boolean', ''),
];
export const readQuery: readonly QueryParameter[] = [pretty];
export const writeQuery: readonly QueryParameter[] = [
  option('dryRun', 'string', ''),
  option('fieldManager', 'string', ''),
  option('fieldValidation', 'string', ''),
  pretty,
];
export const patchQuery: readonly QueryParameter[] = [...writeQuery, option('force', 'boolean', '')];
export const deleteQuery: readonly QueryParameter[] = [
  option('dryRun', 'string', ''),
  option('gracePeriodSeconds', 'integer', 'meta/v1.DeleteOptions'),
  option('orphanDependents', 'boolean', 'meta/v1.DeleteOptions'),
  pretty,
  option('propagationPolicy', 'string', 'meta/v1.DeleteOptions'),
];

const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];
const customPatchTypes = patchTypes.filter((one) => !one.includes('strategic'));
const bodyTypes = ({ patch }: Operation): readonly string[] =>
  patch === true ? patchTypes : patch === 'custom' ? customPatchTypes : ['*/*'];
const mediaTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const watchTypes = [...mediaTypes, 'application/json;stream=watch', 'application/vnd.kubernetes.protobuf;stream=watch'];

export interface OperationContext {
  readonly tag: string;
  readonly kind?: Json;
}

const extensions = (operation: Operation, { kind }: OperationContext): Json => ({
  ...(operation.action === undefined ? {} : { 'x-kubernetes-action': operation.action }),
  ...(kind === undefined ? {} : { 'x-kubernetes-group-version-kind': kind }),
});

const answers = (operation: Operation): Readonly<Record<string, string>> => {
  const texts: Readonly<Record<string, string>> = { '200': 'OK', '201': 'Created', '202': 'Accepted' };
  return Object.fromEntries(
    [...operation.status, '401'].map((code) => [code, code === '401' ? 'Unauthorized' : (texts[code] ?? 'OK')]),
  );
};

/** An operation of an OpenAPI 2 document. */
export function operation2(operation: Operation, context: OperationContext): Json {
  const parameters: Json[] = operation.query.map(({ name, type, description }) => ({
    uniqueItems: true,
    type,
    description,
    name,
    in: 'query',
  }));
  if (operation.body !== undefined)
    parameters.unshift({
      name: 'body',
      in: 'body',
      ...(operation.bodyRequired === false ? {} : { required: true }),
      schema: operation.body,
    });
  return {
    description: operation.description,
    consumes: bodyTypes(operation),
    produces: operation.action === 'list' ? watchTypes : mediaTypes,
    schemes: ['https'],
    tags: [context.tag],
    operationId: operation.id,
    parameters,
    responses: Object.fromEntries(
      Object.entries(answers(operation)).map(([code, text]) => [
        code,
        { description: text, ...(code === '401' ? {} : { schema: operation.response }) },
      ]),
    ),
    ...extensions(operation, context),
  };
}

/** An operation of an OpenAPI 3 document. */
export function operation3(operation: Operation, context: OperationContext): Json {
  const content = (types: readonly string[], schema: Json): Json =>
    Object.fromEntries(types.map((type) => [type, { schema }]));
  return {
    tags: [context.tag],
    description: operation.description,
    operationId: operation.id,
    parameters: operation.query.map(({ name, type, description }) => ({
      name,
      in: 'query',
      description,
      schema: { type, uniqueItems: true },
    })),
    ...(operation.body === undefined
      ? {}
      : {
          requestBody: {
            content: content(bodyTypes(operation), operation.body),
            ...(operation.bodyRequired === false ? {} : { required: true }),
          },
        }),
    responses: Object.fromEntries(
      Object.entries(answers(operation)).map(([code, text]) => [
        code,
        {
          description: text,
          ...(code === '401'
            ? {}
            : { content: content(operation.action === 'list' ? watchTypes : mediaTypes, operation.response) }),
        },
      ]),
    ),
    ...extensions(operation, context),
  };
}

/** A parameter in the path, for every operation below it. */
export function pathParameter(name: string, description: string, version: 2 | 3): Json {
  return version === 2
    ? { uniqueItems: true, type: 'string', description, name, in: 'path', required: true }
    : { name, in: 'path', description, required: true, schema: { type: 'string', uniqueItems: true } };
}
