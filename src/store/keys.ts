/**
 * The end of the range that holds every key with `prefix`: use as `{ start: prefix, end: prefixEnd(prefix) }`.
 * '' means "no end" and is what an empty prefix gives. Works on whole code points, which is the same as on UTF-8 bytes.
 */
export function prefixEnd(prefix: string): string {
  const points = Array.from(prefix, (one) => one.codePointAt(0) as number);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last < 0x10ffff) return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
  }
  return '';
}

/** Orders keys by their UTF-8 bytes: -1, 0 or 1. JavaScript's `<` differs where a surrogate meets U+E000 to U+FFFF. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    return weight(x) < weight(y) ? -1 : 1;
  }
  return a.length < b.length ? -1 : 1;
}

/** Surrogates moved above the rest of the plane, where their code points belong. */
function weight(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}

/** Whether `key` lies in [start, end), '' being no end. */
export function keyInRange(key: string, start: string, end: string): boolean {
  return compareKeys(key, start) >= 0 && (end === '' || compareKeys(key, end) < 0);
}
