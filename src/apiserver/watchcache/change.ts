import type { CachedObject } from './cached-object.ts';

/** One committed write of one object, as every watcher of its resource sees it. */
export class Change {
  readonly revision: number;
  readonly key: string;
  /** Absent: deleted. */
  readonly object: CachedObject | undefined;
  /** Absent: created. */
  readonly previous: CachedObject | undefined;
  #last: CachedObject | undefined;
  #frames: Map<string, Uint8Array> | undefined;

  constructor(options: {
    revision: number;
    key: string;
    object: CachedObject | undefined;
    previous: CachedObject | undefined;
  }) {
    this.revision = options.revision;
    this.key = options.key;
    this.object = options.object;
    this.previous = options.previous;
  }

  /** The state before, under this change's revision: what a DELETED event carries. */
  get last(): CachedObject {
    this.#last ??= (this.previous as CachedObject).atRevision(this.revision);
    return this.#last;
  }

  /** The encoded event of that name, made once for all watchers who want the same. */
  frame(name: string, make: () => Uint8Array): Uint8Array {
    this.#frames ??= new Map();
    let bytes = this.#frames.get(name);
    if (bytes === undefined) {
      bytes = make();
      this.#frames.set(name, bytes);
    }
    return bytes;
  }

  /** Forgets encoded events: all watchers of the moment have them. */
  forgetFrames(): void {
    this.#frames = undefined;
  }
}
