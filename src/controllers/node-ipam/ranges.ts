import { CodedError } from '#base';

/** An IPv4 or IPv6 range as numbers. */
export interface Range {
  readonly bits: 32 | 128;
  readonly start: bigint;
  readonly prefix: number;
}

/** Reads `10.244.0.0/16` or `fd00::/48`. Throws CodedError `InvalidCidr`. */
export function parseCidr(text: string): Range {
  const [address = '', length = ''] = text.split('/');
  const groups = address.includes(':') ? ipv6Groups(address) : ipv4Groups(address);
  const bits = address.includes(':') ? 128 : 32;
  const prefix = Number(length);
  if (groups === undefined || !/^\d{1,3}$/.test(length) || prefix > bits)
    throw new CodedError('InvalidCidr', `${text} is not an address range`);
  const width = bits === 32 ? 8n : 16n;
  const number = groups.reduce((sum, group) => (sum << width) | BigInt(group), 0n);
  const hostBits = BigInt(bits - prefix);
  return { bits, prefix, start: (number >> hostBits) << hostBits };
}

function ipv4Groups(address: string): number[] | undefined {
  const parts = address.split('.');
  const fine = parts.length === 4 && parts.every((one) => /^(0|[1-9]\d{0,2})$/.test(one) && Number(one) < 256);
  return fine ? parts.map(Number) : undefined;
}

function ipv6Groups(address: string): number[] | undefined {
  const halves = address.split('::');
  if (halves.length > 2) return undefined;
  const part = (text: string | undefined): string[] => (text ? text.split(':') : []);
  const [head, tail] = [part(halves[0]), part(halves[1])];
  const zeros = 8 - head.length - tail.length;
  if (halves.length === 1 ? zeros !== 0 : zeros < 1) return undefined;
  const all = [...head, ...Array.from({ length: zeros }, () => '0'), ...tail];
  return all.every((one) => /^[0-9a-f]{1,4}$/i.test(one)) ? all.map((one) => Number.parseInt(one, 16)) : undefined;
}

export function formatCidr({ bits, start, prefix }: Range): string {
  const count = bits === 32 ? 4 : 8;
  const width = bits / count;
  const groups = Array.from({ length: count }, (_, i) =>
    Number((start >> BigInt(width * (count - 1 - i))) & ((1n << BigInt(width)) - 1n)),
  );
  if (bits === 32) return `${groups.join('.')}/${prefix}`;
  return `${shortenIpv6(groups)}/${prefix}`;
}

/** The longest run of two or more zero groups becomes `::`. */
function shortenIpv6(groups: readonly number[]): string {
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  const text = (some: readonly number[]): string => some.map((one) => one.toString(16)).join(':');
  return best.at === -1
    ? text(groups)
    : `${text(groups.slice(0, best.at))}::${text(groups.slice(best.at + best.length))}`;
}

/** Hands out equal parts of a range, each once, going round so that a part freed a moment ago comes last. */
export class RangePool {
  readonly #whole: Range;
  readonly #prefix: number;
  readonly #count: number;
  readonly #used = new Set<number>();
  #next = 0;

  constructor(cidr: string, partPrefix: number) {
    this.#whole = parseCidr(cidr);
    if (partPrefix < this.#whole.prefix || partPrefix > this.#whole.bits) {
      throw new CodedError('InvalidCidr', `${cidr} cannot be cut into parts of /${partPrefix}`);
    }
    this.#prefix = partPrefix;
    this.#count = 2 ** Math.min(30, partPrefix - this.#whole.prefix);
  }

  /** Marks a part as in use; one outside the pool is no concern of it. */
  occupy(cidr: string): void {
    const index = this.#indexOf(cidr);
    if (index !== undefined) this.#used.add(index);
  }

  release(cidr: string): void {
    const index = this.#indexOf(cidr);
    if (index !== undefined) this.#used.delete(index);
  }

  /** The next free part; undefined when all are in use. */
  take(): string | undefined {
    for (let tried = 0; tried < this.#count; tried++) {
      const index = (this.#next + tried) % this.#count;
      if (this.#used.has(index)) continue;
      this.#used.add(index);
      this.#next = (index + 1) % this.#count;
      const { bits, start } = this.#whole;
      return formatCidr({ bits, prefix: this.#prefix, start: start + (BigInt(index) << BigInt(bits - this.#prefix)) });
    }
    return undefined;
  }

  #indexOf(cidr: string): number | undefined {
    const { bits, start } = this.#whole;
    const part = parseCidr(cidr);
    if (part.bits !== bits) return undefined;
    const index = Number((part.start - start) >> BigInt(bits - this.#prefix));
    return index >= 0 && index < this.#count ? index : undefined;
  }
}
