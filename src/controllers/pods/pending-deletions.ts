import type { Clock } from '#base';
import type { KubeObject } from '#api';
import type { Informer } from '#client';

/**
 * Objects this controller has deleted but whose event has not come yet: a second reconcile must not count them as alive and
 * delete others in their place. Forgotten after 5 minutes, should the deletion have been lost.
 */
export class PendingDeletions {
  readonly #clock: Clock;
  readonly #since = new Map<string, number>();

  constructor(clock: Clock, informer: Informer<KubeObject>) {
    this.#clock = clock;
    informer.onChange(({ type, object }) => {
      if (type === 'deleted' || object.metadata.deletionTimestamp !== undefined)
        this.#since.delete(object.metadata.uid);
    });
  }

  has(object: KubeObject): boolean {
    const since = this.#since.get(object.metadata.uid);
    if (since === undefined) return false;
    if (this.#clock.monotonicMs() - since < 300_000) return true;
    this.#since.delete(object.metadata.uid);
    return false;
  }

  /** Runs the deletion with the object marked; a failed one is unmarked. */
  async during(object: KubeObject, act: () => Promise<void>): Promise<void> {
    this.#since.set(object.metadata.uid, this.#clock.monotonicMs());
    try {
      await act();
    } catch (error) {
      this.#since.delete(object.metadata.uid);
      throw error;
    }
  }
}
