import { errBadRequest } from './errors.ts';

/** A number, or a percentage of `total` ("25%") rounded as asked. Throws ApiError 400 on other strings. */
export function resolveIntOrPercent(value: number | string | undefined, total: number, roundUp: boolean): number {
  if (value === undefined) return 0;
  if (typeof value === 'number') return value;
  const match = /^([+-]?[0-9]+)%$/.exec(value);
  if (match === null) {
    throw errBadRequest(
      `invalid value for IntOrString: invalid type: ${value.endsWith('%') ? 'strconv.Atoi' : 'string is not a percentage'}`,
    );
  }
  const share = (Number(match[1]) * total) / 100;
  return roundUp ? Math.ceil(share) : Math.floor(share);
}

/** The 32-bit FNV-1a hash of a text's UTF-8 bytes. */
export function fnv32a(text: string): number {
  let hash = 0x811c9dc5;
  const bytes = Buffer.from(text);
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash >>> 0;
}

const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** Maps each byte into the alphabet of generated names (no vowels, no look-alikes). */
export function safeEncode(text: string): string {
  let result = '';
  for (const byte of Buffer.from(text)) result += alphabet[byte % alphabet.length];
  return result;
}
