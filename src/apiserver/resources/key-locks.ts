/** One holder a key at a time, in order of asking. */
export class KeyLocks {
  readonly #last = new Map<string, Promise<void>>();

  /** Resolves, when the key is free, to the function that frees it again. */
  async acquire(key: string): Promise<() => void> {
    const before = this.#last.get(key);
    let free: () => void = () => {};
    const mine = new Promise<void>((resolve) => {
      free = resolve;
    });
    this.#last.set(key, mine);
    await before;
    return () => {
      if (this.#last.get(key) === mine) this.#last.delete(key);
      free();
    };
  }
}
