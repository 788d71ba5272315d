import { type AnyObject, apiVersionOf } from '#api';
import { encodeJson } from '#codec';

/**
 * The stored form of an object: JSON that starts with `{"apiVersion":…,"kind":…,"metadata":{` and has no resourceVersion. That
 * head is the same for every object of a kind, so that the resourceVersion is spliced in behind it, and another version of
 * the same kind is another head: bytes are made once and never parsed to be sent.
 */
export function headOf(info: { readonly group: string; readonly version: string; readonly kind: string }): Buffer {
  return Buffer.from(
    `{"apiVersion":${JSON.stringify(apiVersionOf(info))},"kind":${JSON.stringify(info.kind)},"metadata":{`,
  );
}

/** Encodes `object` in its stored form under `head` (whatever apiVersion and kind it carries). metadata must not be empty. */
export function encodeStored(object: AnyObject, head: Buffer): Buffer {
  return encodeInOrder(object, head) ?? encodeParts(object, head);
}

const headTexts = new WeakMap<Buffer, string>();

/** Nearly every object comes with its head's fields first and in this order: then its JSON is the stored form. */
function encodeInOrder(object: AnyObject, head: Buffer): Buffer | undefined {
  if (object.metadata.resourceVersion !== undefined) return undefined;
  let headText = headTexts.get(head);
  if (headText === undefined) headTexts.set(head, (headText = head.toString()));
  let text: string;
  try {
    text = JSON.stringify(object);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return undefined;
  }
  return text.startsWith(headText) ? Buffer.from(text) : undefined;
}

function encodeParts(object: AnyObject, head: Buffer): Buffer {
  const { apiVersion: _version, kind: _kind, metadata, ...rest } = object;
  let meta: string;
  let tail: string;
  try {
    meta =
      metadata.resourceVersion === undefined
        ? JSON.stringify(metadata)
        : JSON.stringify({ ...metadata, resourceVersion: undefined });
    tail = JSON.stringify(rest);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    meta = Buffer.from(encodeJson({ ...metadata, resourceVersion: undefined })).toString();
    tail = Buffer.from(encodeJson(rest)).toString();
  }
  const text = tail === '{}' ? `${meta.slice(1)}}` : `${meta.slice(1)},${tail.slice(1)}`;
  const length = head.length + Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(length);
  head.copy(bytes);
  bytes.write(text, head.length);
  return bytes;
}

/** The stored form with the resourceVersion in its place: what clients get. */
export function spliceRevision(stored: Uint8Array, headLength: number, revision: number): Buffer {
  const field = `"resourceVersion":"${revision}",`;
  const bytes = Buffer.allocUnsafeSlow(stored.length + field.length);
  bytes.set(stored.subarray(0, headLength));
  bytes.write(field, headLength, 'latin1');
  bytes.set(stored.subarray(headLength), headLength + field.length);
  return bytes;
}

/** `json` (spliced at `revision`) under another revision and another head. */
export function respliced(
  json: Uint8Array,
  from: { readonly headLength: number; readonly revision: number },
  to: { readonly head: Uint8Array; readonly revision: number },
): Buffer {
  const tail = json.subarray(from.headLength + revisionFieldLength(from.revision));
  const field = `"resourceVersion":"${to.revision}",`;
  const bytes = Buffer.allocUnsafeSlow(to.head.length + field.length + tail.length);
  bytes.set(to.head);
  bytes.write(field, to.head.length, 'latin1');
  bytes.set(tail, to.head.length + field.length);
  return bytes;
}

/** How `stored` compares with what `json` was spliced from; of equal length it may be the same data with its fields in another order. */
export function comparison(
  stored: Buffer,
  json: Uint8Array,
  headLength: number,
  revision: number,
): 'same' | 'reordered' | 'different' {
  const field = revisionFieldLength(revision);
  if (json.length !== stored.length + field) return 'different';
  const equal = stored.compare(json, headLength + field, json.length, headLength) === 0;
  return equal ? 'same' : 'reordered';
}

function revisionFieldLength(revision: number): number {
  return `"resourceVersion":"${revision}",`.length;
}
