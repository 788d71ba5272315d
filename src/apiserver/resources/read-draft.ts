import { type AnyObject, builtinSchema, type SchemaNode } from '#api';
import { DecodeError, decodeEnvelope, decodeJson, decodeProtobuf, decodeYaml, duplicateKeys } from '#codec';
import {
  applySchemaDefaults,
  cloneObject,
  errBadRequest,
  errInvalid,
  errUnsupportedMediaType,
  goQuote,
  invalidError,
  jsonTypeOf,
  normalizeScalars,
  pruneUnknown,
  validateAgainstSchema,
} from '#machinery';
import type { ServerRequest } from '../contract.ts';
import type { KindResource } from './kind-resource.ts';
import type { WriteOptions } from './write-options.ts';

const bodyTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];

/** What a draft is read as: a kind of the catalogue, or a message of its own like Binding. */
export interface DraftType {
  readonly apiVersion: string;
  readonly kind: string;
  readonly node: SchemaNode;
  /** Custom resources: types are checked by their own schema, with everything else. */
  readonly custom?: boolean;
  /** Versions of the same form that are taken too. */
  readonly olderVersions?: readonly string[];
}

export function draftTypeOf(kind: KindResource): DraftType {
  const custom = kind.definition.schema !== undefined;
  return { apiVersion: kind.apiVersion, kind: kind.info.kind, node: kind.node, custom };
}

/** A draft type for a built-in message: `builtinDraft('policy/v1', 'Eviction', 'policy/v1.Eviction')`. */
export function builtinDraft(
  apiVersion: string,
  kind: string,
  typeName: string,
  olderVersions: readonly string[] = [],
): DraftType {
  return { apiVersion, kind, node: builtinSchema.type(typeName), olderVersions };
}

/** The decoded body and what strict validation has to say about it. */
export interface RawBody {
  readonly value: unknown;
  /** `duplicate field "…"`. */
  readonly findings: readonly string[];
  /** How to say what does not fit the type, when it was not sent like this: the outcome of a patch. */
  readonly refused?: (why: string) => Error;
}

/** Decodes a request's body by its Content-Type, or takes the in-process object (copied: parts of it may be shared). */
export async function readBody(
  request: ServerRequest,
  type: DraftType,
  validation: WriteOptions['fieldValidation'],
): Promise<RawBody> {
  if (request.objectBody !== undefined) return { value: cloneObject(request.objectBody), findings: [] };
  const bytes = await request.body();
  const mediaType = mediaTypeOf(request.headers['content-type']);
  try {
    switch (mediaType) {
      case '':
      case 'application/json':
      case 'text/json': {
        const findings =
          validation === 'Ignore' ? [] : duplicateKeys(bytes).map((path) => `duplicate field ${goQuote(path)}`);
        return { value: decodeJson(bytes), findings };
      }
      case 'application/yaml':
        return { value: decodeYaml(bytes), findings: [] };
      case 'application/vnd.kubernetes.protobuf': {
        // Custom kinds have no message to be read as.
        if (type.custom === true) throw errUnsupportedMediaType(mediaType, bodyTypes.slice(0, 2));
        const { apiVersion, kind, raw } = decodeEnvelope(bytes);
        const value = decodeProtobuf(raw, type.node, { apiVersion, kind });
        return { value, findings: [] };
      }
      default:
        throw errUnsupportedMediaType(mediaType, bodyTypes);
    }
  } catch (error) {
    if (error instanceof DecodeError) throw unrecognized(type, bytes, error.message, mediaType);
    throw error;
  }
}

export function mediaTypeOf(header: string | undefined): string {
  if (header === undefined) return '';
  const semicolon = header.indexOf(';');
  return (semicolon < 0 ? header : header.slice(0, semicolon)).trim().toLowerCase();
}

/**
 * Makes a draft of decoded data: apiVersion and kind checked and filled in, types checked, unknown fields reported as the request
 * asks and removed, values canonical. Defaults are the caller's next step.
 */
export function checkDraft(raw: RawBody, type: DraftType, request: ServerRequest, options: WriteOptions): AnyObject {
  const draft = checkSent(raw, type, request, options);
  if (!type.custom) normalizeScalars(draft, type.node);
  return draft;
}

/** The same without canonical values: for a configuration to apply, where what was not said must stay unsaid. */
export function checkSent(raw: RawBody, type: DraftType, request: ServerRequest, options: WriteOptions): AnyObject {
  const { value } = raw;
  const refused = raw.refused ?? ((why: string) => cannotHandle(type, type.kind, why));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const body = request.objectBody === undefined ? JSON.stringify(value) : '';
    throw raw.refused?.(wrongShape(value)) ?? unrecognized(type, Buffer.from(body), wrongShape(value));
  }
  const draft = value as AnyObject;
  if (type.custom === true) checkCustomType(draft, type, raw.refused);
  else checkType(draft, type, raw.refused);
  draft.apiVersion = type.apiVersion;
  draft.kind = type.kind;
  if (type.custom) checkMeta(draft, refused);
  else {
    const [wrong] = validateAgainstSchema(draft, type.node);
    if (wrong !== undefined) throw refused(wrong.detail);
  }
  const unknown = pruneUnknown(draft, type.node);
  report([...raw.findings, ...unknown.map((path) => `unknown field ${goQuote(path)}`)], refused, request, options);
  draft.metadata ??= {} as AnyObject['metadata'];
  return draft;
}

/** Canonical values, then static defaults, then those of the definition: the form in which an object is stored. */
export function completeDraft(draft: AnyObject, kind: KindResource): void {
  if (kind.definition.schema === undefined) normalizeScalars(draft, kind.node);
  applyDefaults(draft, kind);
}

/** Refuses data of another kind or version than the address serves. */
function checkType(draft: AnyObject, type: DraftType, refused: RawBody['refused']): void {
  const { apiVersion, kind } = draft as { apiVersion?: unknown; kind?: unknown };
  const sentKind = typeof kind === 'string' && kind !== '' ? kind : type.kind;
  const sentVersion = typeof apiVersion === 'string' && apiVersion !== '' ? apiVersion : type.apiVersion;
  if (sentKind !== type.kind) {
    const why = `no kind ${goQuote(sentKind)} is registered for version ${goQuote(sentVersion)} at this address`;
    throw (
      refused?.(why) ??
      errBadRequest(
        `${sentKind} in version ${goQuote(versionOf(sentVersion))} cannot be handled as a ${type.kind}: ${why}`,
      )
    );
  }
  if (sentVersion !== type.apiVersion && type.olderVersions?.includes(sentVersion) !== true) {
    const why = `the API version in the data (${sentVersion}) does not match the expected API version (${type.apiVersion})`;
    throw refused?.(why) ?? errBadRequest(why);
  }
}

/** Custom resources of another kind or version are refused by their own rules; what they do not say is taken from the address. */
function checkCustomType(draft: AnyObject, type: DraftType, refused: RawBody['refused']): void {
  const { metadata } = draft as { metadata?: { name?: unknown } | null };
  const kind = String(draft.kind || type.kind);
  const apiVersion = String(draft.apiVersion || type.apiVersion);
  const groupKind = { group: type.apiVersion.slice(0, type.apiVersion.indexOf('/')), kind };
  const name = String(metadata?.name ?? '');
  if (apiVersion !== type.apiVersion && type.olderVersions?.includes(apiVersion) !== true) {
    if (refused !== undefined) {
      throw errInvalid(groupKind, name, [invalidError('apiVersion', apiVersion, `must be ${type.apiVersion}`)]);
    }
    throw errBadRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${type.apiVersion})`,
    );
  }
  if (kind !== type.kind) throw errInvalid(groupKind, name, [invalidError('kind', kind, `must be ${type.kind}`)]);
}

function checkMeta(draft: AnyObject, refused: (why: string) => Error): void {
  if (draft.metadata === undefined || draft.metadata === null) draft.metadata = {} as AnyObject['metadata'];
  const node = builtinSchema.type('meta/v1.ObjectMeta');
  const [wrong] = validateAgainstSchema(draft.metadata, node);
  if (wrong !== undefined) throw refused(wrong.detail);
  normalizeScalars(draft.metadata, node);
}

function report(
  findings: readonly string[],
  refused: (why: string) => Error,
  request: ServerRequest,
  options: WriteOptions,
): void {
  if (findings.length === 0 || options.fieldValidation === 'Ignore') return;
  if (options.fieldValidation === 'Strict') {
    throw refused(`strict decoding error: ${findings.join(', ')}`);
  }
  for (const finding of findings) request.warnings.push(finding);
}

/** Body to draft with static defaults. */
export async function readDraft(request: ServerRequest, type: DraftType, options: WriteOptions): Promise<AnyObject> {
  const raw = await readBody(request, type, options.fieldValidation);
  const draft = checkDraft(raw, type, request, options);
  if (request.audited !== undefined) request.audited.requestObject ??= cloneObject(draft);
  if (request.auditId !== undefined) {
    const { name, uid, resourceVersion } = draft.metadata;
    request.objectMeta ??= { name, uid, resourceVersion };
  }
  applySchemaDefaults(draft, type.node);
  return draft;
}

/** Static defaults, then those of the definition. May run again after admission changed something. */
export function applyDefaults(draft: AnyObject, kind: KindResource): void {
  applySchemaDefaults(draft, kind.node);
  kind.definition.applyDefaults?.(draft);
}

const wrongShape = (value: unknown): string =>
  `json: cannot unmarshal ${jsonTypeOf(value)} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`;

const longestSummary = 30;

/** A body that is not even an object: with its first bytes, as text where it might be JSON, else in hexadecimal. */
function unrecognized(type: DraftType, bytes: Uint8Array, why: string, mediaType = ''): Error {
  const start = Buffer.from(bytes.subarray(0, longestSummary)).toString(bytes[0] === 0x7b ? 'utf8' : 'hex');
  const summary = bytes.length === 0 ? '<empty>' : bytes.length > longestSummary ? `${start} ...` : start;
  const isJson = mediaType === '' || mediaType.endsWith('/json');
  const reason = isJson
    ? `couldn't get version/kind; json parse error: ${why}`
    : why.replace(/^invalid protobuf: /, '');
  return errBadRequest(`the object provided is unrecognized (must be of type ${type.kind}): ${reason} (${summary})`);
}

function cannotHandle(type: DraftType, kind: string, why: string): Error {
  return errBadRequest(
    `${kind} in version ${goQuote(versionOf(type.apiVersion))} cannot be handled as a ${type.kind}: ${why}`,
  );
}

const versionOf = (apiVersion: string): string => apiVersion.slice(apiVersion.indexOf('/') + 1);
