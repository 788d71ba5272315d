import type { AnyObject } from '#api';
import { type PatchType, DecodeError, decodeJson, decodeYaml, duplicateKeys, patchMediaTypes, patchType } from '#codec';
import {
  applyJsonPatch,
  applyMergePatch,
  applyServerSide,
  applyStrategicMergePatch,
  checkConfiguration,
  cloneObject,
  errBadRequest,
  errConflict,
  errInvalid,
  errNotFound,
  errUnsupportedMediaType,
  type FieldError,
  forbiddenError,
  goQuote,
  goValueText,
  invalidError,
  jsonTypeOf,
  recordLastApplied,
  requiredError,
} from '#machinery';
import type { ServerRequest } from '../contract.ts';
import type { ResourceContext, Verb } from './context.ts';
import { createObject, placeInNamespace } from './create.ts';
import type { KindResource } from './kind-resource.ts';
import { resetFields } from './ownership.ts';
import { applyDefaults, checkDraft, checkSent, completeDraft, draftTypeOf } from './read-draft.ts';
import { respondObject, type Result } from './respond-object.ts';
import { checkName, updateObject } from './update.ts';
import { managerOf, type WriteOptions, writeOptions } from './write-options.ts';

/** PATCH of an object or its status, in all four forms. */
export const patch: Verb = async (context, kind, request) => {
  const type = acceptedPatchType(request, kind);
  const options = writeOptions(request, 'PatchOptions');
  checkOptions(request, type, options);
  const findings: string[] = [];
  const body = await patchBody(request, type, options.fieldValidation === 'Ignore' ? undefined : findings);
  const { result, created } = await patchObject({
    context,
    kind,
    request,
    type,
    body,
    findings,
    options,
    subresource: request.info.subresource,
  });
  return respondObject(context, kind, request, result, created ? 201 : 200);
};

/** 415 for a patch that the kind does not take: custom resources have no strategic merge. */
export function acceptedPatchType(request: ServerRequest, kind: KindResource | undefined): PatchType {
  const custom = kind?.definition.schema !== undefined;
  const type = patchType(request.headers['content-type']);
  const accepted = (Object.keys(patchMediaTypes) as PatchType[]).filter((one) => !(custom && one === 'strategic'));
  if (type === undefined || !accepted.includes(type)) {
    throw errUnsupportedMediaType(
      request.headers['content-type'] ?? '',
      accepted.map((one) => patchMediaTypes[one]),
    );
  }
  return type;
}

function checkOptions(request: ServerRequest, type: PatchType, options: WriteOptions): void {
  const errors: FieldError[] = [];
  if (type === 'apply') {
    if (options.fieldManager === '') errors.push(requiredError('fieldManager', 'is required for apply patch'));
  } else if (request.info.options.has('force')) {
    errors.push(forbiddenError('force', 'may not be specified for non-apply patch'));
  }
  if (errors.length > 0) throw errInvalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', errors);
}

/** The decoded patch. `findings` collects what strict validation has to say about its text. */
export async function patchBody(request: ServerRequest, type: PatchType, findings?: string[]): Promise<unknown> {
  const body = await decodedPatch(request, type, findings);
  if (request.audited !== undefined && typeof body === 'object' && body !== null)
    request.audited.requestObject ??= cloneObject(body);
  return body;
}

async function decodedPatch(request: ServerRequest, type: PatchType, findings?: string[]): Promise<unknown> {
  if (request.objectBody !== undefined) return cloneObject(request.objectBody);
  const bytes = await request.body();
  try {
    if (type === 'apply') return decodeYaml(bytes) ?? {};
    const body = decodeJson(bytes);
    findings?.push(...textFindings(bytes, body, type));
    return body;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw errBadRequest(`${decodingHead[type]}${error.message}`);
  }
}

const decodingHead: Readonly<Record<PatchType, string>> = {
  apply: 'error decoding YAML: ',
  json: 'error decoding patch: ',
  merge: 'error decoding patch: ',
  strategic: '',
};

const operationFields = new Set(['op', 'path', 'from', 'value']);

function textFindings(bytes: Uint8Array, body: unknown, type: PatchType): string[] {
  const head = type === 'json' ? 'json patch ' : '';
  const found = duplicateKeys(bytes).map((path) => `${head}duplicate field ${goQuote(path)}`);
  if (type !== 'json' || !Array.isArray(body)) return found;
  for (const [index, one] of body.entries()) {
    if (typeof one !== 'object' || one === null || found.length > mostFindings) continue;
    for (const field of Object.keys(one)) {
      if (!operationFields.has(field)) found.push(`${head}unknown field ${goQuote(`[${index}].${field}`)}`);
    }
  }
  return found;
}

const mostFindings = 100;

export interface PatchOptions {
  readonly context: ResourceContext;
  readonly kind: KindResource;
  readonly request: ServerRequest;
  readonly type: PatchType;
  readonly body: unknown;
  readonly findings?: readonly string[];
  readonly options: WriteOptions;
  readonly subresource: string;
}

export async function patchObject(patching: PatchOptions): Promise<{ result: Result; created: boolean }> {
  const { context, kind, request, type, options, subresource } = patching;
  const { name, namespace } = request.info;
  const current = await kind.find(namespace, name);
  if (current === undefined) {
    if (type !== 'apply' || subresource !== '') throw errNotFound(kind.groupResource, name);
    const config = applyConfiguration(patching);
    if ((config.metadata.uid ?? '') !== '') {
      throw errConflict(
        kind.groupResource,
        name,
        'uid mismatch: the provided object specified uid ' + config.metadata.uid + ', and no existing object was found',
      );
    }
    const draft = applied(patching, undefined, config);
    const result = await createObject({ context, kind, request, draft, options, managed: true });
    return { result, created: true };
  }
  const result = await updateObject({
    context,
    kind,
    request,
    options,
    subresource,
    current,
    conditional: namesRevision(patching),
    managed: type === 'apply',
    change: (old) => patched(patching, old),
  });
  return { result, created: false };
}

/** A patch that names a resourceVersion fails when it is not the current one; others are made again after a lost race. */
function namesRevision({ body, type }: PatchOptions): boolean {
  if (type === 'json') {
    return Array.isArray(body) && body.some((one: { path?: unknown }) => one?.path === '/metadata/resourceVersion');
  }
  const version = (body as { metadata?: { resourceVersion?: unknown } } | null)?.metadata?.resourceVersion;
  return typeof version === 'string' && version !== '';
}

/** The patch's outcome as a complete draft. */
export function patched(patching: PatchOptions, old: AnyObject): AnyObject {
  const { kind, request, type, body, options } = patching;
  const { name } = request.info;
  let outcome: AnyObject;
  switch (type) {
    case 'json':
      outcome = applyJsonPatch(old, body as object[]) as AnyObject;
      break;
    case 'merge':
      outcome = applyMergePatch(old, body as object) as AnyObject;
      break;
    case 'strategic':
      outcome = applyStrategicMergePatch(old, body as object, kind.node) as AnyObject;
      break;
    case 'apply':
      return applied(patching, old, applyConfiguration(patching));
  }
  const shown = (): string => patchText(type === 'strategic' ? goValueText(body) : JSON.stringify(outcome));
  const refused = (why: string): Error =>
    errInvalid({ group: '', kind: '' }, '', [invalidError('patch', shown(), why)]);
  const raw = { value: cloneObject(outcome), findings: patching.findings ?? [], refused };
  const draft = checkDraft(raw, draftTypeOf(kind), request, options);
  applyDefaults(draft, kind);
  placeInNamespace(draft, kind, request);
  checkName(draft, name);
  return draft;
}

const longestShown = 65_536;

const patchText = (text: string): string => (text.length > longestShown ? `${text.slice(0, longestShown)}…` : text);

/** The body of an apply as a checked configuration of this kind. */
function applyConfiguration({ kind, request, body, options }: PatchOptions): AnyObject {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw errBadRequest(
      `error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${jsonTypeOf(body)} into Go value of type map[string]interface {}`,
    );
  }
  const { apiVersion, kind: kindName } = body as { apiVersion?: unknown; kind?: unknown };
  if (apiVersion !== kind.apiVersion || kindName !== kind.info.kind) {
    const version = typeof apiVersion === 'string' ? apiVersion : '';
    const name = typeof kindName === 'string' ? kindName : '';
    throw errBadRequest(`invalid object type: ${version.includes('/') ? '' : '/'}${version}, Kind=${name}`);
  }
  const config = cloneObject(body) as unknown as AnyObject;
  config.metadata ??= {} as AnyObject['metadata'];
  checkConfiguration(config, kind.node);
  return checkSent({ value: config, findings: [] }, draftTypeOf(kind), request, options);
}

function applied(patching: PatchOptions, live: AnyObject | undefined, config: AnyObject): AnyObject {
  const { context, kind, request, options, subresource } = patching;
  const { object } = applyServerSide({
    live,
    config,
    manager: managerOf(request, options),
    force: options.force,
    node: kind.node,
    apiVersion: kind.apiVersion,
    subresource,
    reset: resetFields(kind.definition, subresource),
    nowMs: context.clock.nowMs(),
  });
  // Parts of it may be the live object's own.
  const draft = cloneObject(object);
  completeDraft(draft, kind);
  placeInNamespace(draft, kind, request);
  checkName(draft, request.info.name);
  recordLastApplied(draft, patching.body as object, options.fieldManager);
  return draft;
}
