import { builtinSchema, type SchemaNode } from '#api';
import { decodeProtobuf } from './protobuf-decode.ts';
import { encodeProtobuf } from './protobuf-encode.ts';
import { ReverseWriter } from './reverse-writer.ts';
import { invalidProtobuf, WireReader } from './wire-reader.ts';

/** The four bytes that every Kubernetes protobuf document starts with: k8s and a zero. */
export const protobufMagic: Uint8Array = Uint8Array.of(0x6b, 0x38, 0x73, 0x00);

export interface Envelope {
  readonly apiVersion: string;
  readonly kind: string;
  /** The message of the object, or what `contentType` says when it says something else. */
  readonly raw: Uint8Array;
  readonly contentEncoding: string;
  readonly contentType: string;
}

/** A message as a document of application/vnd.kubernetes.protobuf. */
export function encodeEnvelope(options: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly raw: Uint8Array;
  readonly contentType?: string;
}): Buffer {
  const { raw } = options;
  return Buffer.concat([envelopeHead(options, raw.length), raw, envelopeTail(options.contentType)]);
}

/** All that comes before `length` bytes of raw. */
function envelopeHead(type: { readonly apiVersion: string; readonly kind: string }, length: number): Buffer {
  const writer = new ReverseWriter(128);
  writer.varint(length);
  writer.varint(0x12);
  const before = writer.written;
  writer.string(type.kind);
  writer.varint(0x12);
  writer.string(type.apiVersion);
  writer.varint(0x0a);
  writer.varint(writer.written - before);
  writer.varint(0x0a);
  writer.bytes(protobufMagic);
  return writer.take();
}

function envelopeTail(contentType = ''): Buffer {
  const writer = new ReverseWriter(64);
  writer.string(contentType);
  writer.varint(0x22);
  writer.string('');
  writer.varint(0x1a);
  return writer.take();
}

export function isEnvelope(bytes: Uint8Array): boolean {
  return protobufMagic.every((byte, index) => bytes[index] === byte);
}

/** What a document of application/vnd.kubernetes.protobuf holds. Throws DecodeError without the magic or when malformed. */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  if (!isEnvelope(bytes)) {
    throw invalidProtobuf('provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]');
  }
  const reader = new WireReader(bytes.subarray(protobufMagic.length));
  const text = { apiVersion: '', kind: '', contentEncoding: '', contentType: '' };
  let raw: Uint8Array = new Uint8Array();
  reader.message(reader.buffer.length, (number, wireType) => {
    if (wireType !== 2) reader.skip(wireType);
    else if (number === 1) {
      reader.message(reader.length(), (inner, innerType) => {
        if (innerType === 2 && inner === 1) text.apiVersion = reader.string();
        else if (innerType === 2 && inner === 2) text.kind = reader.string();
        else reader.skip(innerType);
      });
    } else if (number === 2) raw = reader.bytes();
    else if (number === 3) text.contentEncoding = reader.string();
    else if (number === 4) text.contentType = reader.string();
    else reader.skip(wireType);
  });
  return { ...text, raw };
}

/** An object as a protobuf document. The few that have no apiVersion in JSON (APIVersions of /api) are of v1. */
export function encodeObjectProtobuf(
  object: { readonly apiVersion?: string; readonly kind: string },
  node: SchemaNode,
): Buffer {
  return encodeEnvelope({
    apiVersion: object.apiVersion ?? 'v1',
    kind: object.kind,
    raw: encodeProtobuf(object, node),
  });
}

/** A protobuf document as an object; `nodeOf` names the schema of its kind. */
export function decodeObjectProtobuf(
  bytes: Uint8Array,
  nodeOf: (apiVersion: string, kind: string) => SchemaNode,
): Record<string, unknown> {
  const { apiVersion, kind, raw } = decodeEnvelope(bytes);
  return decodeProtobuf(raw, nodeOf(apiVersion, kind), { apiVersion, kind });
}

const chunkBytes = 1 << 16;

/**
 * A `*List` document spliced from items that are encoded already (messages without envelope), so that each object is
 * encoded once however many lists it is in. `chunks` may be written as they come; together they are `bytes` long.
 */
export function protobufList(list: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: object;
  readonly items: readonly Uint8Array[];
}): { readonly bytes: number; chunks(): Generator<Uint8Array> } {
  const metadata = encodeProtobuf(list.metadata, builtinSchema.type('meta/v1.ListMeta'));
  const writer = new ReverseWriter(metadata.length + 16);
  writer.bytes(metadata);
  writer.varint(metadata.length);
  writer.varint(0x0a);
  const first = writer.take();
  let raw = first.length;
  for (const item of list.items) raw += 1 + varintBytes(item.length) + item.length;
  const head = envelopeHead(list, raw);
  const tail = envelopeTail();
  function* chunks(): Generator<Uint8Array> {
    let chunk = Buffer.allocUnsafe(Math.min(chunkBytes, raw) + head.length + first.length);
    let used = head.copy(chunk);
    used += first.copy(chunk, used);
    for (const item of list.items) {
      if (used + item.length + 6 > chunk.length) {
        if (used > 0) yield chunk.subarray(0, used);
        chunk = Buffer.allocUnsafe(Math.max(chunkBytes, item.length + 6));
        used = 0;
      }
      chunk[used++] = 0x12;
      let length = item.length;
      for (; length >= 0x80; length >>>= 7) chunk[used++] = (length & 0x7f) | 0x80;
      chunk[used++] = length;
      chunk.set(item, used);
      used += item.length;
    }
    yield chunk.subarray(0, used);
    yield tail;
  }
  return { bytes: head.length + raw + tail.length, chunks };
}

/** The same in one piece. */
export function encodeListProtobuf(list: Parameters<typeof protobufList>[0]): Buffer {
  return Buffer.concat([...protobufList(list).chunks()]);
}

function varintBytes(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest >>>= 7) size++;
  return size;
}
