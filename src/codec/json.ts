import { isUtf8 } from 'node:buffer';
import { DecodeError } from './errors.ts';
import { scanJson } from './json-scan.ts';
import { jsonSyntaxError } from './json-syntax.ts';

/** Deeper nesting than this is refused: recursive walks of an object that passed it cannot exhaust the stack. */
export const defaultMaxDepth = 1000;

/** ECMAScript's JSON.parse with source text access, which Node has since 21 and the compiler's library not yet. */
const json = JSON as unknown as {
  rawJSON(text: string): object;
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
};

const printBigInt = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? json.rawJSON(value.toString()) : value;

/** An object as compact JSON. BigInt prints as a number; `undefined` fields are left out. */
export function encodeJson(value: unknown): Buffer {
  return Buffer.from(jsonText(value));
}

/** The same as text. */
export function jsonText(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    text = JSON.stringify(value, printBigInt);
  }
  return text ?? 'null';
}

/** The bytes as a Buffer over the same memory. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * JSON bytes as a value. Integers that a double cannot hold but an int64 can come out as BigInt. Throws DecodeError, with
 * the words of Go's parser, on bad syntax, ill-formed UTF-8, numbers beyond a double, or nesting beyond `maxDepth`.
 */
export function decodeJson(bytes: Uint8Array, options: { readonly maxDepth?: number } = {}): unknown {
  const { maxDepth = defaultMaxDepth } = options;
  const scan = scanJson(bytes, maxDepth);
  if (scan === 'tooDeep') throw new DecodeError('TooDeep', 'exceeded max depth');
  if (!isUtf8(bytes)) throw new DecodeError('InvalidJson', 'invalid UTF-8 in JSON input');
  const text = asBuffer(bytes).toString('utf8');
  try {
    return scan === 'plain' ? JSON.parse(text) : json.parse(text, exactly);
  } catch (error) {
    if (error instanceof SyntaxError) throw new DecodeError('InvalidJson', jsonSyntaxError(bytes));
    throw error;
  }
}

const smallestInt64 = -(2n ** 63n);
const largestInt64 = 2n ** 63n - 1n;

function exactly(key: string, value: unknown, context: { readonly source?: string }): unknown {
  if (!key.isWellFormed() || (typeof value === 'string' && !value.isWellFormed())) {
    throw new DecodeError('InvalidJson', 'invalid surrogate pair in JSON string');
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) {
      throw new DecodeError(
        'InvalidJson',
        `json: cannot unmarshal number ${context.source} into Go value of type float64`,
      );
    }
    if (Number.isSafeInteger(value) || context.source === undefined || !/^-?\d+$/.test(context.source)) return value;
    if (context.source.length > 20) return value;
    const exact = BigInt(context.source);
    return exact >= smallestInt64 && exact <= largestInt64 ? exact : value;
  }
  return value;
}
