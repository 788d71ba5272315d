/** Thrown, and caught in `decodeYaml`, when a text is not of the plain kind that is read here: the library takes it. */
export const notPlainYaml: unique symbol = Symbol('not plain YAML');

const escapes: Readonly<Record<string, string>> = {
  '0': '\0',
  a: '\x07',
  b: '\b',
  t: '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  e: '\x1b',
  ' ': ' ',
  '"': '"',
  '/': '/',
  '\\': '\\',
};

/** Where the quoted scalar that opens at `start` closes, in one line; -1 when it does not. */
export function closingQuote(line: string, start: number): number {
  if (line[start] === '"') {
    for (let at = start + 1; at < line.length; at++) {
      const char = line[at];
      if (char === '\\') at++;
      else if (char === '"') return at;
    }
    return -1;
  }
  for (let at = line.indexOf("'", start + 1); at >= 0; at = line.indexOf("'", at + 2)) {
    if (line[at + 1] !== "'") return at;
  }
  return -1;
}

/** The text between the quotes, lines already folded, as the value it spells. */
export function unquote(quote: string, inner: string): string {
  if (quote === "'") return inner.includes("''") ? inner.replaceAll("''", "'") : inner;
  if (!inner.includes('\\')) return inner;
  return inner.replaceAll(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[^])/g, (_, escape: string) => {
    if (escape.length > 1) {
      const code = Number.parseInt(escape.slice(1), 16);
      if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw notPlainYaml;
      return String.fromCodePoint(code);
    }
    const plain = escapes[escape];
    if (plain === undefined) throw notPlainYaml;
    return plain;
  });
}

/** Sets a key of a mapping, `__proto__` like any other. */
export function defineOwn(target: Record<string, unknown>, name: string, value: unknown): void {
  if (name === '__proto__') {
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  } else target[name] = value;
}
