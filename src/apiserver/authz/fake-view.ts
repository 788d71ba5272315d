import type { AnyObject } from '#api';
import type { ObjectView } from '../contract.ts';

/** For this room's tests: a view over a table, filled at once or when told. */
export class FakeView implements ObjectView {
  readonly ready: Promise<void>;
  isReady = false;
  generation = 0;
  readonly #objects = new Map<string, AnyObject>();
  readonly #callbacks = new Set<(change: { object?: AnyObject; old?: AnyObject }) => void>();
  #fill: () => void = () => {};

  constructor(objects: readonly object[] = [], later = false) {
    for (const object of objects) this.#objects.set(key(object as AnyObject), object as AnyObject);
    this.ready = new Promise((resolve) => {
      this.#fill = () => {
        this.isReady = true;
        resolve();
      };
    });
    if (!later) this.#fill();
  }

  fill(): void {
    this.#fill();
  }

  put(object: object): void {
    const made = object as AnyObject;
    const old = this.#objects.get(key(made));
    this.#objects.set(key(made), made);
    this.#tell({ object: made, ...(old === undefined ? {} : { old }) });
  }

  remove(namespace: string | undefined, name: string): void {
    const old = this.#objects.get(`${namespace ?? ''}/${name}`);
    this.#objects.delete(`${namespace ?? ''}/${name}`);
    if (old !== undefined) this.#tell({ old });
  }

  get(namespace: string | undefined, name: string): AnyObject | undefined {
    return this.isReady ? this.#objects.get(`${namespace ?? ''}/${name}`) : undefined;
  }

  list(namespace?: string): readonly AnyObject[] {
    if (!this.isReady) return [];
    return [...this.#objects.values()].filter((one) => namespace === undefined || one.metadata.namespace === namespace);
  }

  onChange(callback: (change: { object?: AnyObject; old?: AnyObject }) => void): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  async current(): Promise<void> {}

  #tell(change: { object?: AnyObject; old?: AnyObject }): void {
    this.generation++;
    for (const callback of this.#callbacks) callback(change);
  }
}

const key = (object: AnyObject): string => `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
