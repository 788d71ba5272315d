/** Randomness for the whole product; a simulation passes a seeded one. */
export interface Random {
  bytes(length: number): Uint8Array;
  uuid(): string;
  /** A whole number in [0, below). */
  int(below: number): number;
  /** `length` characters without vowels or look-alikes, as the names that generateName makes. */
  suffix(length: number): string;
}

const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
/** Loaded with the first number: a process that needs none (the supervisor) spares 3 MiB. */
let loaded: typeof import('node:crypto') | undefined;
function nodeCrypto(): typeof import('node:crypto') {
  loaded ??= process.getBuiltinModule('node:crypto');
  return loaded;
}

const pool = new Uint32Array(1024);
let poolUsed = pool.length;

function nextUint32(): number {
  if (poolUsed === pool.length) {
    nodeCrypto().randomFillSync(pool);
    poolUsed = 0;
  }
  return pool[poolUsed++] as number;
}

function intBelow(below: number): number {
  return Math.floor((nextUint32() / 2 ** 32) * below);
}

export const systemRandom: Random = {
  bytes: (length) => nodeCrypto().randomBytes(length),
  uuid: () => nodeCrypto().randomUUID(),
  int: intBelow,
  suffix(length) {
    let text = '';
    for (let i = 0; i < length; i++) text += suffixAlphabet[intBelow(suffixAlphabet.length)];
    return text;
  },
};

/** The same sequence for the same seed (mulberry32). For simulations: nothing here is secret. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (below: number): number => Math.floor(next() * below);
  const hex = (length: number): string => {
    let text = '';
    for (let i = 0; i < length; i++) text += '0123456789abcdef'[int(16)];
    return text;
  };
  return {
    int,
    bytes: (length) => Uint8Array.from({ length }, () => int(256)),
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-${'89ab'[int(4)]}${hex(3)}-${hex(12)}`,
    suffix: (length) => Array.from({ length }, () => suffixAlphabet[int(suffixAlphabet.length)]).join(''),
  };
}
