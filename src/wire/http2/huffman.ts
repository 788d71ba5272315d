/** Lengths in bits of the codes of bytes 0 … 255 and of the end mark (RFC 7541, appendix B). The code is canonical: lengths say it all. */
const lengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
];
const endMark = 256;

/**
 * A decoder that reads four bits at a step. States are the inner nodes of the code's tree; `table[state * 16 + nibble]` holds the next
 * state, and a byte to emit if one was completed (at most one: no code is shorter than five bits).
 */
const emits = 1 << 16;
const fails = 1 << 17;
/** States in which the text may end: at most seven bits of padding, all ones. */
let acceptable: Uint8Array = new Uint8Array();
let table: Uint32Array | undefined;

function build(): Uint32Array {
  const children: [number, number][] = [[-1, -1]];
  const symbols = [...lengths.keys()].sort((a, b) => (lengths[a] as number) - (lengths[b] as number) || a - b);
  let code = 0;
  let previous = 0;
  const leaf = (symbol: number): number => -2 - symbol;
  for (const symbol of symbols) {
    const length = lengths[symbol] as number;
    code = code * 2 ** (length - previous);
    previous = length;
    let node = 0;
    for (let bit = length - 1; bit >= 0; bit--) {
      const side = Math.floor(code / 2 ** bit) % 2;
      const pair = children[node] as [number, number];
      if (bit === 0) pair[side] = leaf(symbol);
      else {
        if (pair[side] === -1) {
          pair[side] = children.length;
          children.push([-1, -1]);
        }
        node = pair[side] as number;
      }
    }
    code++;
  }
  const made = new Uint32Array(children.length * 16);
  for (let state = 0; state < children.length; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = state;
      let emitted = 0;
      for (let bit = 3; bit >= 0; bit--) {
        const next = (children[node] as [number, number])[(nibble >> bit) & 1] as number;
        if (next >= 0) node = next;
        else {
          const symbol = -2 - next;
          emitted = symbol === endMark ? fails : emits | (symbol << 18);
          if (emitted === fails) break;
          node = 0;
        }
      }
      made[state * 16 + nibble] = emitted | node;
    }
  }
  acceptable = new Uint8Array(children.length);
  let node = 0;
  acceptable[0] = 1;
  for (let ones = 1; ones <= 7; ones++) {
    node = (children[node] as [number, number])[1] as number;
    if (node < 0) break;
    acceptable[node] = 1;
  }
  return made;
}

/** Decodes bytes [start, end) as latin-1 text; undefined when they are not well formed. */
export function decodeHuffman(bytes: Buffer, start: number, end: number): string | undefined {
  table ??= build();
  const out = Buffer.allocUnsafe(Math.ceil(((end - start) * 8) / 5));
  let used = 0;
  let state = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    let step = table[state * 16 + (byte >> 4)] as number;
    if ((step & fails) !== 0) return undefined;
    if ((step & emits) !== 0) out[used++] = step >>> 18;
    state = step & 0xffff;
    step = table[state * 16 + (byte & 15)] as number;
    if ((step & fails) !== 0) return undefined;
    if ((step & emits) !== 0) out[used++] = step >>> 18;
    state = step & 0xffff;
  }
  if (acceptable[state] !== 1) return undefined;
  return out.toString('latin1', 0, used);
}
