import type { Status } from '#api';
import { encodeJson } from '#codec';
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
  void request;
  return { status: code, headers, body: encodeJson(status), object: status };
}
