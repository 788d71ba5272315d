/**
 * One pass over JSON bytes before anything parses them. `plain`: JSON.parse may take it as it is. `exact`: there are long
 * digit runs, exponents or surrogate escapes, so numbers and strings need a second look. `tooDeep`: refuse it.
 * Syntax is not judged here: on malformed input any answer but `tooDeep` leads to the parser's error.
 */
export function scanJson(bytes: Uint8Array, maxDepth: number): 'plain' | 'exact' | 'tooDeep' {
  const length = bytes.length;
  let depth = 0;
  let digits = 0;
  let exact = false;
  for (let at = 0; at < length; at++) {
    const byte = bytes[at] as number;
    if (byte === 0x22) {
      digits = 0;
      for (at++; at < length; at++) {
        const inside = bytes[at] as number;
        if (inside === 0x22) break;
        if (inside !== 0x5c) continue;
        at++;
        if (bytes[at] === 0x75 && ((bytes[at + 1] as number) | 0x20) === 0x64 && (bytes[at + 2] as number) >= 0x38)
          exact = true;
      }
    } else if (byte >= 0x30 && byte <= 0x39) {
      if (++digits === 16) exact = true;
    } else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > maxDepth) return 'tooDeep';
    } else if (byte === 0x7d || byte === 0x5d) {
      depth--;
      digits = 0;
    } else {
      if (digits > 0 && (byte | 0x20) === 0x65) exact = true;
      digits = 0;
    }
  }
  return exact ? 'exact' : 'plain';
}
