/*
 * The little of protobuf's wire format that etcd's API needs, driven by tables: whole numbers are varints, everything else has a
 * length before it. Unknown fields are skipped, absent ones have their zero.
 */

const varint = 0;
const fixed64 = 1;
const delimited = 2;
const fixed32 = 5;
const empty = new Uint8Array(0);

/** One field of a message; `T` is its value once decoded, `W` what may be written. */
export interface Field<T, W = T> {
  readonly number: number;
  initial(): T;
  write(out: Pieces, value: W): void;
  read(from: Reader, before: T): T;
}

export type Fields = Readonly<Record<string, Field<unknown, unknown>>>;

/** A message as it is read: every field is there. */
export type Decoded<M> =
  M extends Message<infer F> ? { readonly [K in keyof F]: F[K] extends Field<infer T, never> ? T : never } : never;
/** A message as it is written: what is left out is zero. */
export type Encodable<M> =
  M extends Message<infer F>
    ? { readonly [K in keyof F]?: (F[K] extends Field<infer _, infer W> ? W : never) | undefined }
    : never;

/** The shape of a message. */
export class Message<F extends Fields> {
  readonly #fields: readonly (readonly [string, Field<unknown, unknown>])[];
  readonly #byNumber = new Map<number, readonly [string, Field<unknown, unknown>]>();

  constructor(fields: F) {
    this.#fields = Object.entries(fields);
    for (const entry of this.#fields) this.#byNumber.set(entry[1].number, entry);
  }

  encode(value: Encodable<Message<F>>): Buffer {
    const out = new Pieces();
    this.write(out, value);
    return out.concat();
  }

  write(out: Pieces, value: Encodable<Message<F>>): void {
    for (const [name, field] of this.#fields) {
      const one = (value as Readonly<Record<string, unknown>>)[name];
      if (one !== undefined) field.write(out, one);
    }
  }

  /** Throws RangeError for bytes that end too soon. Byte fields are views into `bytes`. */
  decode(bytes: Uint8Array): Decoded<Message<F>> {
    const from = new Reader(bytes);
    const value: Record<string, unknown> = {};
    for (const [name, field] of this.#fields) value[name] = field.initial();
    while (!from.done) {
      const tag = from.varint();
      const known = this.#byNumber.get(Math.floor(tag / 8));
      if (known === undefined) {
        from.skip(tag % 8);
        continue;
      }
      value[known[0]] = known[1].read(from, value[known[0]]);
    }
    return value as Decoded<Message<F>>;
  }
}

/** A whole number of at most 53 bits. */
export const int = (number: number): Field<number> => ({
  number,
  initial: () => 0,
  write: (out, value) => {
    out.varint(number * 8 + varint);
    out.varint(value);
  },
  read: (from) => from.varint(),
});

/** A whole number of 64 bits. */
export const id = (number: number): Field<bigint> => ({
  number,
  initial: () => 0n,
  write: (out, value) => {
    out.varint(number * 8 + varint);
    out.bigVarint(value);
  },
  read: (from) => from.bigVarint(),
});

export const flag = (number: number): Field<boolean> => ({
  number,
  initial: () => false,
  write: (out, value) => {
    out.varint(number * 8 + varint);
    out.varint(value ? 1 : 0);
  },
  read: (from) => from.varint() !== 0,
});

export const bytes = (number: number): Field<Uint8Array> => ({
  number,
  initial: () => empty,
  write: (out, value) => out.delimited(number, value),
  read: (from) => from.delimited(),
});

export const text = (number: number): Field<string> => ({
  number,
  initial: () => '',
  write: (out, value) => out.delimited(number, Buffer.from(value)),
  read: (from) => utf8(from.delimited()),
});

export const texts = (number: number): Field<readonly string[]> => ({
  number,
  initial: () => [],
  write: (out, value) => {
    for (const one of value) out.delimited(number, Buffer.from(one));
  },
  read: (from, before) => [...before, utf8(from.delimited())],
});

/** A message in a message; a value to be written may leave fields out. */
export const one = <F extends Fields>(
  number: number,
  message: Message<F>,
): Field<Decoded<Message<F>> | undefined, Encodable<Message<F>>> => ({
  number,
  initial: () => undefined,
  write: (out, value) => out.message(number, (inner) => message.write(inner, value)),
  read: (from) => message.decode(from.delimited()),
});

export const many = <F extends Fields>(
  number: number,
  message: Message<F>,
): Field<Decoded<Message<F>>[], readonly Encodable<Message<F>>[]> => ({
  number,
  initial: () => [],
  write: (out, value) => {
    for (const each of value) out.message(number, (inner) => message.write(inner, each));
  },
  read: (from, before) => {
    before.push(message.decode(from.delimited()));
    return before;
  },
});

/** What is to be sent, in pieces that are joined once: values are copied one time, however deep they lie. */
export class Pieces {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  varint(value: number): void {
    if (value < 0x80 && value >= 0) this.#push(Uint8Array.of(value));
    else this.bigVarint(BigInt(value));
  }

  bigVarint(value: bigint): void {
    const out: number[] = [];
    let left = BigInt.asUintN(64, value);
    for (; left >= 0x80n; left >>= 7n) out.push(Number(left & 0x7fn) | 0x80);
    out.push(Number(left));
    this.#push(Uint8Array.from(out));
  }

  delimited(number: number, value: Uint8Array): void {
    this.varint(number * 8 + delimited);
    this.varint(value.length);
    this.#push(value);
  }

  message(number: number, write: (inner: Pieces) => void): void {
    const inner = new Pieces();
    write(inner);
    this.varint(number * 8 + delimited);
    this.varint(inner.#length);
    for (const piece of inner.#pieces) this.#push(piece);
  }

  concat(): Buffer {
    return Buffer.concat(this.#pieces, this.#length);
  }

  #push(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
  }
}

export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(from: Uint8Array) {
    this.#bytes = from;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): number {
    const first = this.#bytes[this.#at];
    if (first !== undefined && first < 0x80) {
      this.#at++;
      return first;
    }
    let value = 0;
    let scale = 1;
    const start = this.#at;
    for (;;) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
      if (this.#at - start >= 10) throw new RangeError('a varint of more than ten bytes');
    }
    if (value <= Number.MAX_SAFE_INTEGER) return value;
    this.#at = start;
    return Number(BigInt.asIntN(64, this.bigVarint()));
  }

  bigVarint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
      if (shift > 63n) throw new RangeError('a varint of more than ten bytes');
    }
  }

  delimited(): Uint8Array {
    const length = this.varint();
    const end = this.#at + length;
    if (length < 0 || end > this.#bytes.length) throw new RangeError('a message ends too soon');
    const found = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return found;
  }

  skip(wire: number): void {
    if (wire === varint) this.bigVarint();
    else if (wire === delimited) this.delimited();
    else if (wire === fixed64 || wire === fixed32) this.#at += wire === fixed64 ? 8 : 4;
    else throw new RangeError(`a field of wire type ${wire}`);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError('a message ends too soon');
    return byte;
  }
}

function utf8(from: Uint8Array): string {
  return Buffer.from(from.buffer, from.byteOffset, from.length).toString('utf8');
}
