import { type AnyObject, builtinSchema, type SchemaNode } from '#api';
import {
  encodeEnvelope,
  encodeJson,
  encodeObjectProtobuf,
  encodeYaml,
  type IncludeObject,
  partialMetadataOf,
  tableOf,
} from '#codec';
import { errBadRequest } from '#machinery';
import type { ServerRequest, ServerResponse } from '../contract.ts';
import { compressed } from '../http/compress.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';
import type { ResourceContext } from './context.ts';
import { type Form, formOf } from './form.ts';
import type { KindResource } from './kind-resource.ts';

/** What a verb came to: an object of the cache, or one that is not stored (dry run). */
export type Result =
  | { readonly cached: CachedObject; readonly object?: undefined }
  | { readonly object: AnyObject; readonly cached?: undefined };

/** One object of a kind as the answer, in the form that the client accepts. */
export function respondObject(
  context: ResourceContext,
  kind: KindResource,
  request: ServerRequest,
  result: Result,
  status = 200,
): ServerResponse | Promise<ServerResponse> {
  const { definition } = kind;
  if (request.audited !== undefined) request.audited.responseObject = resultObject(result, kind);
  if (request.objects) {
    const object = resultObject(result, kind);
    return { status, headers: { 'content-type': 'application/json' }, object };
  }
  const form = formOf(request, 'object', kind);
  if (form.as === undefined && result.cached !== undefined) {
    if (form.encoding === 'json' && form.pretty !== true) {
      return compressed(request, {
        status,
        headers: { 'content-type': form.contentType },
        body: result.cached.jsonAs(definition),
      });
    }
    if (form.encoding === 'protobuf') {
      const raw = result.cached.protobufAs(definition, kind.node);
      const body = encodeEnvelope({ apiVersion: kind.apiVersion, kind: kind.info.kind, raw });
      return compressed(request, { status, headers: { 'content-type': form.contentType }, body });
    }
  }
  const object = resultObject(result, kind);
  if (form.as?.kind === 'Table') {
    const { resourceVersion = '' } = object.metadata;
    const table = tableOf({
      columns: definition.columns,
      objects: [object],
      nowMs: context.clock.nowMs(),
      includeObject: includeObjectOf(request),
      version: form.as.version,
      listMeta: { resourceVersion },
    });
    return compressed(request, encoded(status, table, form, builtinSchema.type('meta/v1.Table')));
  }
  if (form.as !== undefined) {
    const partial = partialMetadataOf(object, form.as.version);
    return compressed(request, encoded(status, partial, form, builtinSchema.type('meta/v1.PartialObjectMetadata')));
  }
  return compressed(request, encoded(status, object, form, kind.node));
}

export function resultObject(result: Result, kind: KindResource): AnyObject {
  return result.cached === undefined ? result.object : result.cached.objectAs(kind.definition);
}

/** Any object whose schema is known as the answer. */
export function respondPlain(
  request: ServerRequest,
  object: object,
  node: SchemaNode | undefined,
  status = 200,
): ServerResponse | Promise<ServerResponse> {
  if (request.audited !== undefined) request.audited.responseObject ??= object;
  if (request.objects) return { status, headers: { 'content-type': 'application/json' }, object };
  return compressed(request, encoded(status, object, formOf(request, 'plain'), node));
}

/** An object under its form's encoding. */
export function encoded(status: number, object: object, form: Form, node: SchemaNode | undefined): ServerResponse {
  return { status, headers: { 'content-type': form.contentType }, body: encodeAs(object, form, node) };
}

export function encodeAs(object: object, form: Form, node: SchemaNode | undefined): Uint8Array {
  switch (form.encoding) {
    case 'yaml':
      return Buffer.from(encodeYaml(object));
    case 'protobuf':
      if (node !== undefined) return encodeObjectProtobuf(object as AnyObject, node);
      return encodeJson(object);
    default:
      return form.pretty === true ? prettyJson(object) : encodeJson(object);
  }
}

function prettyJson(object: object): Uint8Array {
  try {
    return Buffer.from(`${JSON.stringify(object, undefined, 2)}\n`);
  } catch {
    return encodeJson(object);
  }
}

export function includeObjectOf(request: ServerRequest): IncludeObject {
  const asked = request.info.options.get('includeObject');
  if (asked === null || asked === '') return 'Metadata';
  if (asked === 'None' || asked === 'Metadata' || asked === 'Object') return asked;
  throw errBadRequest(`unrecognized includeObject value: ${JSON.stringify(asked)}`);
}
