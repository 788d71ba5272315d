import type { Issue } from './errors.ts';

export type TokenKind =
  | 'ident'
  | 'quoted'
  | 'int'
  | 'uint'
  | 'double'
  | 'string'
  | 'bytes'
  | 'operator'
  | 'end'
  | 'keyword';

export interface Token {
  readonly kind: TokenKind;
  /** As written. */
  readonly text: string;
  readonly offset: number;
  readonly value?: bigint | number | string | Uint8Array;
}

export const reserved: ReadonlySet<string> = new Set([
  'as',
  'break',
  'const',
  'continue',
  'else',
  'for',
  'function',
  'if',
  'import',
  'let',
  'loop',
  'package',
  'namespace',
  'return',
  'var',
  'void',
  'while',
]);

const operators = [
  '==',
  '!=',
  '<=',
  '>=',
  '&&',
  '||',
  '[',
  ']',
  '{',
  '}',
  '(',
  ')',
  '.',
  ',',
  '-',
  '!',
  '?',
  ':',
  '+',
  '*',
  '/',
  '%',
  '<',
  '>',
];
const numberAt = /0x[0-9a-fA-F]+[uU]?|(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)|\d+[uU]?/y;
const identAt = /[A-Za-z_][A-Za-z0-9_]*/y;
const blankAt = /(?:[ \t\r\n\f]+|\/\/[^\n]*)+/y;
const stringAt = /([bB][rR]?|[rR][bB]?)?("""|'''|"|')/y;

/** Thrown at the first thing that is no token. */
export class LexError extends Error {
  readonly issue: Issue;

  constructor(offset: number, message: string) {
    super(message);
    this.issue = { offset, message };
  }
}

/** Splits an expression into tokens, the last of kind `end`. Throws LexError. Linear in the source. */
export function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  while (true) {
    const blank = match(blankAt);
    if (blank !== null) at += blank[0].length;
    if (at >= source.length) break;
    const quote = match(stringAt);
    if (quote !== null) {
      const token = stringToken(source, at, (quote[1] ?? '').toLowerCase(), quote[2] as string);
      tokens.push(token);
      at += token.text.length;
      continue;
    }
    const number = match(numberAt);
    if (number !== null) {
      tokens.push(numberToken(number[0], at));
      at += number[0].length;
      continue;
    }
    const ident = match(identAt);
    if (ident !== null) {
      const [text] = ident;
      const kind = ['true', 'false', 'null', 'in'].includes(text) ? 'keyword' : 'ident';
      tokens.push({ kind, text, offset: at });
      at += text.length;
      continue;
    }
    if (source[at] === '`') {
      const end = source.indexOf('`', at + 1);
      const name = source.slice(at + 1, end);
      if (end < 0 || !/^[A-Za-z0-9_.\-/ ]+$/.test(name)) throw unknownToken(source, at);
      tokens.push({ kind: 'quoted', text: name, offset: at });
      at = end + 1;
      continue;
    }
    const operator = operators.find((one) => source.startsWith(one, at));
    if (operator === undefined) throw unknownToken(source, at);
    tokens.push({ kind: 'operator', text: operator, offset: at });
    at += operator.length;
  }
  tokens.push({ kind: 'end', text: '<EOF>', offset: source.length });
  return tokens;
}

function unknownToken(source: string, at: number): LexError {
  const [first = ''] = source.slice(at, at + 2);
  return new LexError(at, `Syntax error: token recognition error at: '${first}'`);
}

function numberToken(text: string, offset: number): Token {
  if (/^0x/i.test(text) || /^\d+[uU]?$/.test(text)) {
    const unsigned = /[uU]$/.test(text);
    const value = BigInt(unsigned ? text.slice(0, -1) : text);
    return { kind: unsigned ? 'uint' : 'int', text, offset, value };
  }
  return { kind: 'double', text, offset, value: Number(text) };
}

function stringToken(source: string, offset: number, prefix: string, quote: string): Token {
  const raw = prefix.includes('r');
  const bytes = prefix.includes('b');
  const start = offset + prefix.length + quote.length;
  const long = quote.length === 3;
  let at = start;
  while (true) {
    if (at >= source.length || (!long && (source[at] === '\n' || source[at] === '\r')))
      throw unknownToken(source, offset);
    if (source.startsWith(quote, at)) break;
    at += !raw && source[at] === '\\' ? 2 : 1;
  }
  const body = source.slice(start, at).replaceAll('\r\n', '\n').replaceAll('\r', '\n');
  const text = source.slice(offset, at + quote.length);
  if (bytes) return { kind: 'bytes', text, offset, value: bytesOf(body, raw, offset) };
  return { kind: 'string', text, offset, value: raw ? body : unescaped(body, offset) };
}

const simpleEscapes: ReadonlyMap<string, string> = new Map([
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['\\', '\\'],
  ['?', '?'],
  ['"', '"'],
  ["'", "'"],
  ['`', '`'],
]);
const escapeAt =
  /\\(?:([abfnrtv\\?"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([\s\S]|$))/g;

function unescaped(body: string, offset: number): string {
  if (!body.includes('\\')) return body;
  return body.replace(escapeAt, (whole, simple, hex, short, long, octal) => {
    if (simple !== undefined) return simpleEscapes.get(simple) as string;
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
    const digits: string | undefined = hex ?? short ?? long;
    const code = digits === undefined ? Number.NaN : Number.parseInt(digits, 16);
    if (!(code <= 0x10ffff) || (code >= 0xd800 && code <= 0xdfff)) throw badEscape(whole, offset);
    return String.fromCodePoint(code);
  });
}

/** In bytes, \x and octal escapes are single bytes; everything else is UTF-8. */
function bytesOf(body: string, raw: boolean, offset: number): Uint8Array {
  if (raw || !body.includes('\\')) return Buffer.from(body, 'utf8');
  const parts: Uint8Array[] = [];
  let last = 0;
  for (const found of body.matchAll(escapeAt)) {
    const [whole, simple, hex, short, long, octal] = found;
    parts.push(Buffer.from(body.slice(last, found.index), 'utf8'));
    last = found.index + whole.length;
    if (short !== undefined || long !== undefined) throw badEscape(whole, offset);
    if (simple !== undefined) parts.push(Buffer.from(simpleEscapes.get(simple) as string));
    else if (hex !== undefined) parts.push(Uint8Array.of(Number.parseInt(hex, 16)));
    else if (octal !== undefined) parts.push(Uint8Array.of(Number.parseInt(octal, 8)));
    else throw badEscape(whole, offset);
  }
  parts.push(Buffer.from(body.slice(last), 'utf8'));
  return Buffer.concat(parts);
}

function badEscape(whole: string, offset: number): LexError {
  return new LexError(offset, `Syntax error: invalid escape sequence '${whole}'`);
}
