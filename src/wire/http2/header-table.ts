/** The static table of RFC 7541, appendix A: index 1 is the first. */
export const staticTable: readonly (readonly [name: string, value: string])[] = (
  ':authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204|:status 206|' +
  ':status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|accept-language|accept-ranges|accept|' +
  'access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|content-language|' +
  'content-length|content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|' +
  'if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|' +
  'referer|refresh|retry-after|server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate'
)
  .split('|')
  .map((row) => {
    const space = row.indexOf(' ');
    return space < 0 ? [row, ''] : [row.slice(0, space), row.slice(space + 1)];
  });

/** A dynamic table: newest first. Sizes as the RFC counts them: name and value and 32. */
export class DynamicTable {
  /** Oldest first; index 62 is the last. */
  #entries: (readonly [name: string, value: string])[] = [];
  #first = 0;
  #size = 0;
  #limit: number;
  /** Counts up with each change. */
  generation = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get length(): number {
    return this.#entries.length - this.#first;
  }

  /** `index` counts from 0 at the newest. */
  at(index: number): readonly [name: string, value: string] | undefined {
    return index < this.length ? this.#entries[this.#entries.length - 1 - index] : undefined;
  }

  add(name: string, value: string): void {
    this.generation++;
    this.#size += name.length + value.length + 32;
    this.#entries.push([name, value]);
    this.#evict();
  }

  resize(limit: number): void {
    this.generation++;
    this.#limit = limit;
    this.#evict();
  }

  #evict(): void {
    while (this.#size > this.#limit) {
      const [name, value] = this.#entries[this.#first] as readonly [string, string];
      this.#first++;
      this.#size -= name.length + value.length + 32;
    }
    if (this.#first > 64 && this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }
}
