import { type AnyObject, builtinSchema, type KubeList } from '#api';
import { encodeJson, encodeYaml, partialMetadataOf, protobufList, tableOf } from '#codec';
import type { ServerRequest, ServerResponse } from '../contract.ts';
import { compressed } from '../http/compress.ts';
import { nextTurn } from '../http/turn.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';
import type { ResourceContext } from './context.ts';
import { type Form, formOf } from './form.ts';
import type { KindResource } from './kind-resource.ts';
import { streamJsonArray, streamJsonList } from './list-stream.ts';
import type { ListResult } from './list.ts';
import { encoded, includeObjectOf } from './respond-object.ts';

type ListMetadata = KubeList<AnyObject>['metadata'];

interface ListAnswer {
  readonly context: ResourceContext;
  readonly kind: KindResource;
  readonly request: ServerRequest;
  readonly objects: readonly CachedObject[];
  readonly metadata: ListMetadata;
}

const partialListHead = { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' };

/** Objects whose making of an answer costs more than copying bytes are worked on in turns of this many. */
const perTurn = 200;

/** A list as the answer, in the form that the client accepts. */
export function respondList(
  context: ResourceContext,
  kind: KindResource,
  request: ServerRequest,
  found: ListResult,
): ServerResponse | Promise<ServerResponse> {
  const { definition, info } = kind;
  const { objects } = found;
  const metadata: ListMetadata = {
    ...(found.continue === undefined ? {} : { continue: found.continue }),
    ...(found.remaining === undefined ? {} : { remainingItemCount: found.remaining }),
    resourceVersion: String(found.revision),
  };
  const head = { kind: `${info.kind}List`, apiVersion: kind.apiVersion, metadata };
  const form = formOf(request, 'list', kind);
  const answer = { context, kind, request, objects, metadata };
  if (request.objects && form.as?.kind === 'PartialObjectMetadataList') {
    const items = objects.map((one) => decodedOnce(answer, one, (object) => partialMetadataOf(object)));
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      object: { ...partialListHead, metadata, items },
    };
  }
  if (request.objects) {
    const object = { ...head, items: objects.map((one) => one.objectAs(definition)) };
    return { status: 200, headers: { 'content-type': 'application/json' }, object };
  }
  if (request.audited?.withResponse === true) request.audited.responseObject = listForAudit(answer, form, head);
  if (form.as?.kind === 'Table') return respondTable(answer, form, form.as.version);
  if (form.as !== undefined) return respondPartial(answer, form, form.as.version);
  if (form.encoding === 'json' && form.pretty !== true) return streamJsonList({ request, head, objects, definition });
  if (form.encoding === 'protobuf') return respondProtobuf(answer, form, head);
  const object = { ...head, items: objects.map((one) => one.objectAs(definition)) };
  if (form.encoding !== 'yaml') return compressed(request, encoded(200, object, form, undefined));
  const body = Buffer.from(encodeYaml(object));
  return compressed(request, { status: 200, headers: { 'content-type': form.contentType }, body });
}

/** The answer as one object, for the audit log. */
function listForAudit({ context, kind, request, objects, metadata }: ListAnswer, form: Form, head: object): object {
  const items = objects.map((one) => one.objectAs(kind.definition));
  if (form.as === undefined) return { ...head, items };
  const { version } = form.as;
  if (form.as.kind === 'Table')
    return tableOf({
      columns: kind.definition.columns,
      objects: items,
      nowMs: context.clock.nowMs(),
      includeObject: includeObjectOf(request),
      version,
      listMeta: metadata,
    });
  const partial = items.map((one) => partialMetadataOf(one, version));
  return { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${version}`, metadata, items: partial };
}

/** Looks at one object decoded, without keeping what was decoded for this alone. */
function decodedOnce<T>({ kind }: ListAnswer, one: CachedObject, look: (object: AnyObject) => T): T {
  const keep = one.isDecoded || kind.storage.cache.objectReaders > 0;
  const result = look(one.objectAs(kind.definition));
  if (!keep) one.forgetDecoded();
  return result;
}

function respondTable(
  answer: ListAnswer,
  form: Form,
  version: 'v1' | 'v1beta1',
): ServerResponse | Promise<ServerResponse> {
  const { context, kind, request, objects, metadata } = answer;
  const options = {
    columns: kind.definition.columns,
    nowMs: context.clock.nowMs(),
    includeObject: includeObjectOf(request),
    version,
    listMeta: metadata,
  };
  if (form.encoding !== 'json' || form.pretty === true) {
    const table = tableOf({ ...options, objects: objects.map((one) => one.objectAs(kind.definition)) });
    return compressed(request, encoded(200, table, form, builtinSchema.type('meta/v1.Table')));
  }
  const { rows: _rows, ...head } = tableOf({ ...options, objects: [] });
  const row = (one: CachedObject): Uint8Array =>
    decodedOnce(answer, one, (object) => encodeJson(tableOf({ ...options, objects: [object] }).rows[0]));
  return streamJsonArray({ request, head, field: 'rows', objects, piece: row, perTurn });
}

function respondPartial(
  answer: ListAnswer,
  form: Form,
  version: 'v1' | 'v1beta1',
): ServerResponse | Promise<ServerResponse> {
  const { request, objects, metadata } = answer;
  const head = { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${version}`, metadata };
  const partial = (one: CachedObject) => decodedOnce(answer, one, (object) => partialMetadataOf(object, version));
  if (form.encoding === 'json' && form.pretty !== true) {
    return streamJsonArray({
      request,
      head,
      field: 'items',
      objects,
      piece: (one) => encodeJson(partial(one)),
      perTurn,
    });
  }
  const list = { ...head, items: objects.map(partial) };
  return compressed(request, encoded(200, list, form, builtinSchema.type('meta/v1.PartialObjectMetadataList')));
}

async function respondProtobuf(
  answer: ListAnswer,
  form: Form,
  head: { kind: string; apiVersion: string; metadata: object },
): Promise<ServerResponse> {
  const { kind, request, objects } = answer;
  const { definition, node } = kind;
  const items: Uint8Array[] = [];
  for (const one of objects) {
    const keep = one.isDecoded || kind.storage.cache.objectReaders > 0;
    items.push(one.protobufAs(definition, node));
    if (!keep) one.forgetDecoded();
    if (items.length % perTurn === 0) await nextTurn();
  }
  const body = Buffer.concat([...protobufList({ ...head, items }).chunks()]);
  return compressed(request, { status: 200, headers: { 'content-type': form.contentType }, body });
}
