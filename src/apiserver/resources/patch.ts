import type { AnyObject } from '#api';
import { type PatchType, DecodeError, decodeJson, decodeYaml, patchMediaTypes, patchType } from '#codec';
import {
  applyJsonPatch,
  applyMergePatch,
  applyServerSide,
  applyStrategicMergePatch,
  cloneObject,
  errBadRequest,
  errConflict,
  errInvalid,
  errNotFound,
  errUnsupportedMediaType,
  type FieldError,
  forbiddenError,
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
import { updateObject } from './update.ts';
import { managerOf, type WriteOptions, writeOptions } from './write-options.ts';

/** PATCH of an object or its status, in all four forms. */
export const patch: Verb = async (context, kind, request) => {
  const type = acceptedPatchType(request, kind);
  const options = writeOptions(request, 'PatchOptions');
  checkOptions(request, type, options);
  const body = await patchBody(request, type);
  const { result, created } = await patchObject({
    context,
    kind,
    request,
    type,
    body,
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

export async function patchBody(request: ServerRequest, type: PatchType): Promise<unknown> {
  const body = await decodedPatch(request, type);
  if (request.audited !== undefined && typeof body === 'object' && body !== null)
    request.audited.requestObject ??= cloneObject(body);
  return body;
}

async function decodedPatch(request: ServerRequest, type: PatchType): Promise<unknown> {
  if (request.objectBody !== undefined) return cloneObject(request.objectBody);
  const bytes = await request.body();
  try {
    return type === 'apply' ? decodeYaml(bytes) : decodeJson(bytes);
  } catch (error) {
    if (error instanceof DecodeError) {
      throw errBadRequest(
        type === 'apply' ? `error decoding YAML: ${error.message}` : `error decoding patch: ${error.message}`,
      );
    }
    throw error;
  }
}

export interface PatchOptions {
  readonly context: ResourceContext;
  readonly kind: KindResource;
  readonly request: ServerRequest;
  readonly type: PatchType;
  readonly body: unknown;
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
  const value = cloneObject(outcome);
  const draft = checkDraft({ value, findings: [] }, draftTypeOf(kind), request, options);
  applyDefaults(draft, kind);
  if (draft.metadata.name !== name) throw renamed(draft, name);
  placeInNamespace(draft, kind, request);
  return draft;
}

function renamed(draft: AnyObject, name: string): Error {
  return errBadRequest(
    `the name of the object (${draft.metadata.name ?? ''}) does not match the name on the URL (${name})`,
  );
}

/** The body of an apply as a checked configuration of this very object. */
function applyConfiguration({ kind, request, body, options }: PatchOptions): AnyObject {
  const { name } = request.info;
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw errBadRequest('error decoding YAML: the body is not an object');
  const { apiVersion, kind: kindName } = body as { apiVersion?: unknown; kind?: unknown };
  if (typeof apiVersion !== 'string' || apiVersion === '' || typeof kindName !== 'string' || kindName === '') {
    throw errBadRequest('invalid object type: /, Kind=');
  }
  const config = checkSent({ value: cloneObject(body), findings: [] }, draftTypeOf(kind), request, options);
  config.metadata.name ||= name;
  if (config.metadata.name !== name) {
    throw errBadRequest(
      `metadata.name: Invalid value: ${JSON.stringify(config.metadata.name)}: name must match the name in the URL`,
    );
  }
  placeInNamespace(config, kind, request);
  if (config.metadata.managedFields !== undefined && config.metadata.managedFields.length > 0) {
    throw errBadRequest('metadata.managedFields must be nil');
  }
  return config;
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
  recordLastApplied(draft, patching.body as object, options.fieldManager);
  return draft;
}
