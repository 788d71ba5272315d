import { type AnyObject, apiVersionOf, builtinSchema } from '#api';
import { encodeProtobuf, partialMetadataOf, protobufList, tableOf } from '#codec';
import { errMethodNotSupported, errNotFound } from '#machinery';
import type { Verb } from './context.ts';
import { formOf } from './form.ts';
import { encoded, includeObjectOf, respondObject, respondPlain } from './respond-object.ts';

/** One part of the control plane as `kubectl get componentstatuses` shows it. */
export interface ComponentHealth {
  readonly name: string;
  readonly healthy: boolean;
  /** What it says of itself, or what is wrong. */
  readonly message: string;
}

/** The deprecated ComponentStatus: made when it is asked for, never stored. */
export function componentStatuses(components: () => readonly ComponentHealth[]): Verb {
  return async (context, kind, request) => {
    const objects = components().map((one) => statusOfComponent(one));
    const { verb, name } = request.info;
    if (verb === 'get') {
      const object = objects.find((one) => one.metadata.name === name);
      if (object === undefined) throw errNotFound(kind.groupResource, name);
      return respondObject(context, kind, request, { object });
    }
    if (verb !== 'list') throw errMethodNotSupported(kind.groupResource, verb);
    const shown = name === '' ? objects : objects.filter((one) => one.metadata.name === name);
    const metadata = { resourceVersion: '' };
    const list = { kind: 'ComponentStatusList', apiVersion: apiVersionOf(kind.info), metadata };
    if (request.objects) return respondPlain(request, { ...list, items: shown }, undefined);
    const form = formOf(request, 'list', kind);
    if (form.as?.kind === 'Table') {
      const { columns } = kind.definition;
      const { version } = form.as;
      const options = { nowMs: context.clock.nowMs(), includeObject: includeObjectOf(request), version };
      const table = tableOf({ columns, objects: shown, listMeta: metadata, ...options });
      return encoded(200, table, form, builtinSchema.type('meta/v1.Table'));
    }
    if (form.as !== undefined) {
      const { version } = form.as;
      const items = shown.map((one) => partialMetadataOf(one, version));
      const partial = { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${version}`, metadata, items };
      return encoded(200, partial, form, builtinSchema.type('meta/v1.PartialObjectMetadataList'));
    }
    if (form.encoding !== 'protobuf') return encoded(200, { ...list, items: shown }, form, undefined);
    const items = shown.map((one) => encodeProtobuf(one, kind.node));
    const body = Buffer.concat([...protobufList({ ...list, items }).chunks()]);
    return { status: 200, headers: { 'content-type': form.contentType }, body };
  };
}

function statusOfComponent({ name, healthy, message }: ComponentHealth): AnyObject {
  return {
    apiVersion: 'v1',
    kind: 'ComponentStatus',
    metadata: { name } as AnyObject['metadata'],
    conditions: [{ type: 'Healthy', status: healthy ? 'True' : 'False', message }],
  };
}
