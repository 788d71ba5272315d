import ipaddr from 'ipaddr.js';
import type { Random } from '#base';
import { type AddressRange, parseAddressRange, reservedForRequests } from './address-range.ts';

interface RangeUse {
  readonly range: AddressRange;
  /** How many different addresses of the range are held. */
  used: number;
}

/** Addresses in use, each with how often, and free ones of the ranges that there are now. Ranges may overlap. */
export class AddressPools {
  readonly #random: Random;
  readonly #held = new Map<string, number>();
  readonly #ranges: RangeUse[] = [];

  constructor(ranges: readonly string[], random: Random) {
    this.#random = random;
    for (const one of ranges) this.add(one);
  }

  get ranges(): readonly AddressRange[] {
    return this.#ranges.map(({ range }) => range);
  }

  add(cidr: string): void {
    if (this.#ranges.some(({ range }) => range.cidr === cidr)) return;
    const range = parseAddressRange(cidr);
    let used = 0;
    for (const address of this.#held.keys()) if (range.offsetOf(address) !== undefined) used++;
    this.#ranges.push({ range, used });
  }

  remove(cidr: string): void {
    const index = this.#ranges.findIndex(({ range }) => range.cidr === cidr);
    if (index >= 0) this.#ranges.splice(index, 1);
  }

  isInRange(address: string): boolean {
    return this.#ranges.some(({ range }) => range.offsetOf(address) !== undefined);
  }

  holders(address: string): number {
    return this.#held.get(canonical(address)) ?? 0;
  }

  take(address: string): void {
    const key = canonical(address);
    const before = this.#held.get(key) ?? 0;
    this.#held.set(key, before + 1);
    if (before === 0) this.#count(key, 1);
  }

  give(address: string): void {
    const key = canonical(address);
    const left = (this.#held.get(key) ?? 0) - 1;
    if (left > 0) this.#held.set(key, left);
    else if (this.#held.delete(key)) this.#count(key, -1);
  }

  /** A free address of the family, taken; undefined when there is none. Low ones, which people ask for by name, come last. */
  next(family: string): string | undefined {
    for (const { range, used } of this.#ranges) {
      if (range.family !== family || used >= range.size) continue;
      const upper = 1 + reservedForRequests(range.size, 16, 16);
      const found = this.#free(range, upper, range.size) ?? this.#free(range, 1, upper - 1);
      if (found === undefined) continue;
      this.take(found);
      return found;
    }
    return undefined;
  }

  #count(address: string, by: 1 | -1): void {
    for (const one of this.#ranges) if (one.range.offsetOf(address) !== undefined) one.used += by;
  }

  #free(range: AddressRange, from: number, to: number): string | undefined {
    const count = to - from + 1;
    if (count <= 0) return undefined;
    const start = this.#random.int(count);
    for (let i = 0; i < count; i++) {
      const address = range.addressAt(from + ((start + i) % count));
      if (!this.#held.has(address)) return address;
    }
    return undefined;
  }
}

function canonical(address: string): string {
  if (!address.includes(':') || !ipaddr.isValid(address)) return address;
  return (ipaddr.parse(address) as ipaddr.IPv6).toRFC5952String();
}
