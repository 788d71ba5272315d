/**
 * What is wrong with bytes that JSON.parse refused, in the words that Go's parser uses and kubectl's users know.
 * Slow and exact: runs only after a parser has said no.
 */
export function jsonSyntaxError(bytes: Uint8Array): string {
  const finder = new SyntaxFinder(bytes);
  return finder.find() ?? 'unexpected end of JSON input';
}

const literals: Readonly<Record<number, string>> = { 0x74: 'true', 0x66: 'false', 0x6e: 'null' };
const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39;
const isHex = (byte: number): boolean => isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);

class SyntaxFinder {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The first error, `undefined` when the input ends too early. */
  find(): string | undefined {
    const open: number[] = [];
    let error = this.#value(open);
    while (error === undefined) {
      const byte = this.#next();
      const inside = open.at(-1);
      if (inside === undefined)
        return byte === undefined ? 'invalid JSON input' : this.#invalid(byte, 'after top-level value');
      if (byte === undefined) return undefined;
      this.#at++;
      if (inside === 0x7b) {
        if (byte === 0x2c) error = this.#key() ?? this.#value(open);
        else if (byte === 0x7d) open.pop();
        else return this.#invalid(byte, 'after object key:value pair');
      } else if (byte === 0x2c) error = this.#value(open);
      else if (byte === 0x5d) open.pop();
      else return this.#invalid(byte, 'after array element');
    }
    return error === 'end' ? undefined : error;
  }

  #next(): number | undefined {
    while (isSpace(this.#bytes[this.#at])) this.#at++;
    return this.#bytes[this.#at];
  }

  #invalid(byte: number, where: string): string {
    return `invalid character ${quoted(byte)} ${where}`;
  }

  /** A scalar, or the opening of containers down to their first scalar. */
  #value(open: number[]): string | undefined {
    for (;;) {
      const byte = this.#next();
      if (byte === undefined) return 'end';
      this.#at++;
      if (byte === 0x7b) {
        if (this.#next() === 0x7d) {
          this.#at++;
          return undefined;
        }
        const error = this.#key();
        if (error !== undefined) return error;
        open.push(0x7b);
      } else if (byte === 0x5b) {
        if (this.#next() === 0x5d) {
          this.#at++;
          return undefined;
        }
        open.push(0x5b);
      } else if (byte === 0x22) return this.#string();
      else if (byte === 0x2d || isDigit(byte)) return this.#number(byte);
      else if (byte in literals) return this.#literal(literals[byte] as string);
      else return this.#invalid(byte, 'looking for beginning of value');
    }
  }

  #key(): string | undefined {
    const byte = this.#next();
    if (byte === undefined) return 'end';
    if (byte !== 0x22) return this.#invalid(byte, 'looking for beginning of object key string');
    this.#at++;
    const error = this.#string();
    if (error !== undefined) return error;
    const colon = this.#next();
    if (colon === undefined) return 'end';
    this.#at++;
    return colon === 0x3a ? undefined : this.#invalid(colon, 'after object key');
  }

  #string(): string | undefined {
    for (;;) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) return 'end';
      if (byte === 0x22) return undefined;
      if (byte < 0x20) return this.#invalid(byte, 'in string literal');
      if (byte !== 0x5c) continue;
      const escape = this.#bytes[this.#at++];
      if (escape === undefined) return 'end';
      if (escape === 0x75) {
        for (let i = 0; i < 4; i++) {
          const hex = this.#bytes[this.#at++];
          if (hex === undefined) return 'end';
          if (!isHex(hex)) return this.#invalid(hex, 'in \\u hexadecimal character escape');
        }
      } else if (!'"\\/bfnrt'.includes(String.fromCharCode(escape)))
        return this.#invalid(escape, 'in string escape code');
    }
  }

  #number(first: number): string | undefined {
    let digit: number | undefined = first;
    if (first === 0x2d) {
      digit = this.#bytes[this.#at++];
      if (digit === undefined) return 'end';
      if (!isDigit(digit)) return this.#invalid(digit, 'in numeric literal');
    }
    if (digit !== 0x30) this.#digits();
    if (this.#bytes[this.#at] === 0x2e) {
      this.#at++;
      const error = this.#someDigits('after decimal point in numeric literal');
      if (error !== undefined) return error;
    }
    if (((this.#bytes[this.#at] ?? 0) | 0x20) === 0x65) {
      this.#at++;
      if (this.#bytes[this.#at] === 0x2b || this.#bytes[this.#at] === 0x2d) this.#at++;
      return this.#someDigits('in exponent of numeric literal');
    }
    return undefined;
  }

  #digits(): void {
    while (isDigit(this.#bytes[this.#at])) this.#at++;
  }

  #someDigits(where: string): string | undefined {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) return 'end';
    if (!isDigit(byte)) return this.#invalid(byte, where);
    this.#digits();
    return undefined;
  }

  #literal(word: string): string | undefined {
    for (const letter of word.slice(1)) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) return 'end';
      if (byte !== letter.charCodeAt(0)) return this.#invalid(byte, `in literal ${word} (expecting '${letter}')`);
    }
    return undefined;
  }
}

const named: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  0x27: "\\'",
  0x5c: '\\\\',
};

function quoted(byte: number): string {
  const hex = byte.toString(16).padStart(2, '0');
  if (byte in named) return `'${named[byte]}'`;
  if (byte < 0x20 || byte === 0x7f) return `'\\x${hex}'`;
  if ((byte >= 0x80 && byte <= 0xa0) || byte === 0xad) return `'\\u00${hex}'`;
  return `'${String.fromCharCode(byte)}'`;
}
