import ipaddr from 'ipaddr.js';
import type { Random } from '#base';

/** Addresses of one Service range as numbers from its first one; at most 2^20 of them are used. */
export interface AddressRange {
  readonly family: 'IPv4' | 'IPv6';
  readonly cidr: string;
  /** Usable addresses are offsets 1 … size; 1 is the `kubernetes` Service's. */
  readonly size: number;
  addressAt(offset: number): string;
  /** Undefined when the address lies outside. */
  offsetOf(address: string): number | undefined;
}

const mostAddresses = 2 ** 20;

export function parseAddressRange(cidr: string): AddressRange {
  const [address, bits] = ipaddr.parseCIDR(cidr);
  const v4 = address.kind() === 'ipv4';
  const width = v4 ? 32 : 128;
  const base = number(address) & ~((1n << BigInt(width - bits)) - 1n);
  const all = 1n << BigInt(width - bits);
  // The network's own address is left out, and the broadcast address of an IPv4 network.
  const usable = all > BigInt(mostAddresses) ? BigInt(mostAddresses) : all - (v4 ? 2n : 1n);
  const size = Number(usable);
  return {
    family: v4 ? 'IPv4' : 'IPv6',
    cidr,
    size,
    addressAt: (offset) => text(base + BigInt(offset), v4),
    offsetOf(one) {
      if (!ipaddr.isValid(one)) return undefined;
      const parsed = ipaddr.parse(one);
      if ((parsed.kind() === 'ipv4') !== v4) return undefined;
      const offset = number(parsed) - base;
      return offset >= 1n && offset <= usable ? Number(offset) : undefined;
    },
  };
}

function number(address: ipaddr.IPv4 | ipaddr.IPv6): bigint {
  return address.toByteArray().reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function text(value: bigint, v4: boolean): string {
  const bytes = Array.from({ length: v4 ? 4 : 16 }, (_, i, length = v4 ? 4 : 16) =>
    Number((value >> BigInt((length - 1 - i) * 8)) & 0xffn),
  );
  return v4 ? bytes.join('.') : (ipaddr.fromByteArray(bytes) as ipaddr.IPv6).toRFC5952String();
}

/** How many of the lowest numbers are only given to those who ask for them by name: between 16 and 256, a sixteenth of the range. */
export function reservedForRequests(size: number, least: number, step: number): number {
  const sixteenth = Math.floor(size / step);
  return size <= least ? 0 : Math.min(256, Math.max(least, sixteenth));
}

/** Numbers in use, each with how often, and a way to find a free one without scanning. */
export class NumberPool {
  readonly #first: number;
  readonly #last: number;
  readonly #reserved: number;
  readonly #random: Random;
  readonly #used = new Map<number, number>();

  constructor(options: { first: number; last: number; reserved: number; random: Random }) {
    this.#first = options.first;
    this.#last = options.last;
    this.#reserved = options.reserved;
    this.#random = options.random;
  }

  has(value: number): boolean {
    return this.#used.has(value);
  }

  holders(value: number): number {
    return this.#used.get(value) ?? 0;
  }

  inRange(value: number): boolean {
    return value >= this.#first && value <= this.#last;
  }

  take(value: number): void {
    this.#used.set(value, (this.#used.get(value) ?? 0) + 1);
  }

  give(value: number): void {
    const left = (this.#used.get(value) ?? 0) - 1;
    if (left > 0) this.#used.set(value, left);
    else this.#used.delete(value);
  }

  /** A free one, taken; undefined when there is none. Low ones, which people ask for by name, come last. */
  next(): number | undefined {
    const upper = this.#first + this.#reserved;
    const found = this.#free(upper, this.#last) ?? this.#free(this.#first, upper - 1);
    if (found !== undefined) this.take(found);
    return found;
  }

  #free(from: number, to: number): number | undefined {
    const count = to - from + 1;
    if (count <= 0) return undefined;
    const start = this.#random.int(count);
    for (let i = 0; i < count; i++) {
      const value = from + ((start + i) % count);
      if (!this.#used.has(value)) return value;
    }
    return undefined;
  }
}
