import { type AnyObject, builtinSchema, type SchemaNode, type Status } from '#api';
import {
  encodeEnvelope,
  encodeJson,
  encodeObjectProtobuf,
  encodeWatchEventJson,
  encodeWatchEventProtobuf,
  encodeYaml,
  partialMetadataOf,
  tableOf,
} from '#codec';
import type { ServerRequest } from '../contract.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';
import type { Change } from '../watchcache/change.ts';
import type { ResourceContext } from './context.ts';
import type { Form } from './form.ts';
import type { KindResource } from './kind-resource.ts';
import { includeObjectOf } from './respond-object.ts';
import type { ChangeType } from './watch-session.ts';

export interface EventEncoder {
  event(type: ChangeType, object: CachedObject, change: Change | undefined): Uint8Array;
  bookmark(object: AnyObject): Uint8Array;
  error(status: Status): Uint8Array;
}

type EventType = ChangeType | 'BOOKMARK' | 'ERROR';

/** Encodes one watch's events; events of a change are made once for all watches of the same form. */
export function eventEncoder(
  context: ResourceContext,
  kind: KindResource,
  request: ServerRequest,
  form: Form,
): EventEncoder {
  const { definition, apiVersion, info } = kind;
  const frame = (type: EventType, object: object, node: SchemaNode): Uint8Array => {
    if (form.encoding === 'protobuf')
      return encodeWatchEventProtobuf(type, encodeObjectProtobuf(object as AnyObject, node));
    if (form.encoding === 'yaml') return Buffer.from(`---\n${encodeYaml({ type, object })}`);
    return encodeWatchEventJson(type, encodeJson(object));
  };
  const error = (status: Status): Uint8Array => frame('ERROR', status, builtinSchema.type('meta/v1.Status'));
  if (form.as !== undefined) {
    const node = builtinSchema.type(form.as.kind === 'Table' ? 'meta/v1.Table' : 'meta/v1.PartialObjectMetadata');
    const { version } = form.as;
    const includeObject = includeObjectOf(request);
    let first = true;
    const transformed = (object: AnyObject, isBookmark: boolean): object => {
      if (form.as?.kind !== 'Table') return partialMetadataOf(object, version);
      const withColumns = first;
      first = false;
      const { resourceVersion = '' } = object.metadata;
      const { columns } = definition;
      const objects = isBookmark ? [] : [object];
      const { nowMs } = { nowMs: context.clock.nowMs() };
      return tableOf({ columns, objects, nowMs, includeObject, version, listMeta: { resourceVersion }, withColumns });
    };
    return {
      event: (type, object) => frame(type, transformed(object.objectAs(definition), false), node),
      bookmark: (object) => frame('BOOKMARK', transformed(object, true), node),
      error,
    };
  }
  const name = `${form.encoding} ${apiVersion} `;
  const make = (type: ChangeType, object: CachedObject): Uint8Array => {
    if (form.encoding === 'json') return encodeWatchEventJson(type, object.jsonAs(definition));
    if (form.encoding === 'protobuf') {
      const raw = object.protobufAs(definition, kind.node);
      return encodeWatchEventProtobuf(type, encodeEnvelope({ apiVersion, kind: info.kind, raw }));
    }
    return frame(type, object.objectAs(definition), kind.node);
  };
  return {
    event: (type, object, change) =>
      change === undefined ? make(type, object) : change.frame(name + type, () => make(type, object)),
    bookmark: (object) => frame('BOOKMARK', object, kind.node),
    error,
  };
}
