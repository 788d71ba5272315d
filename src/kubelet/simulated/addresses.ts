import { CodedError } from '#base';

/** Numbers of an IPv4 range, lowest free first, freed ones again. */
export class AddressPool {
  readonly #first: number;
  readonly #size: number;
  readonly #held = new Map<string, number>();
  readonly #used = new Set<number>();
  #next = 0;

  /** `skip` addresses at the start are never given out (network, gateway). */
  constructor(cidr: string, skip = 2) {
    const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(cidr);
    if (match === null) throw new CodedError('InvalidCidr', `${cidr} is not an IPv4 range`);
    const [a, b, c, d, prefix] = match.slice(1).map(Number) as [number, number, number, number, number];
    this.#first = ((a << 24) | (b << 16) | (c << 8) | d) + skip;
    this.#size = 2 ** (32 - prefix) - skip - 1;
  }

  /** The holder's address, the same each time it asks. */
  take(holder: string): string {
    const held = this.#held.get(holder);
    if (held !== undefined) return this.#text(held);
    for (let tried = 0; tried < this.#size; tried++) {
      const number = (this.#next + tried) % this.#size;
      if (this.#used.has(number)) continue;
      this.#used.add(number);
      this.#held.set(holder, number);
      this.#next = (number + 1) % this.#size;
      return this.#text(number);
    }
    throw new CodedError('AddressesUsedUp', 'no address is left in the range');
  }

  release(holder: string): void {
    const number = this.#held.get(holder);
    if (number === undefined) return;
    this.#held.delete(holder);
    this.#used.delete(number);
  }

  #text(number: number): string {
    const value = (this.#first + number) >>> 0;
    return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
  }
}
