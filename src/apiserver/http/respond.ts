import { builtinResources, builtinSchema, type Status } from '#api';
import { type Encoding, encodeJson, encodeObjectProtobuf, encodeYaml, mediaTypes, negotiate } from '#codec';
import type { ServerRequest, ServerResponse } from '../contract.ts';

const json = 'application/json';

/** A small JSON answer. */
export function jsonResponse(status: number, body: object): ServerResponse {
  return { status, headers: { 'content-type': json }, body: encodeJson(body), object: body };
}

export function textResponse(status: number, text: string): ServerResponse {
  return {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
    body: Buffer.from(text),
  };
}

/** A Status as the body, with the header that a retry needs. */
export function statusResponse(status: Status, request?: ServerRequest): ServerResponse {
  const code = status.code ?? (status.status === 'Success' ? 200 : 500);
  const headers: Record<string, string> = { 'content-type': json };
  const retry = status.details?.retryAfterSeconds;
  if (retry !== undefined && retry > 0) headers['retry-after'] = String(retry);
  if (code === 401) headers['www-authenticate'] = 'Bearer realm="kubernetes-master"';
  const encoding = request === undefined ? 'json' : encodingOf(request);
  if (encoding === 'json') return { status: code, headers, body: encodeJson(status), object: status };
  headers['content-type'] = mediaTypes[encoding];
  const body =
    encoding === 'yaml'
      ? Buffer.from(encodeYaml(status))
      : encodeObjectProtobuf({ ...status, apiVersion: 'v1', kind: 'Status' }, builtinSchema.type('meta/v1.Status'));
  return { status: code, headers, body, object: status };
}

let builtinGroups: ReadonlySet<string> | undefined;

/** In which of its encodings a client of built-in kinds is told what went wrong: as it asked for objects. Whatever else: JSON. */
function encodingOf({ headers, info, objects }: ServerRequest): Encoding {
  const { accept } = headers;
  if (objects || info.isResource !== true || accept === undefined || !/protobuf|yaml/.test(accept)) return 'json';
  builtinGroups ??= new Set(builtinResources.map(({ group }) => group));
  if (!builtinGroups.has(info.group)) return 'json';
  return negotiate(accept, { encodings: ['json', 'yaml', 'protobuf'], transforms: [] })?.encoding ?? 'json';
}
