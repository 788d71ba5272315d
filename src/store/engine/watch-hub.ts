import type { StoreBatch, StoreEvent, StoreWatch, WatchOptions } from '../contract.ts';
import { Compacted } from '../errors.ts';
import { keyInRange } from '../keys.ts';
import type { History, Version } from './history.ts';
import { type RangeGroup, RangeGroups } from './range-groups.ts';
import { Watcher, type WatcherSource, type WatchLimits } from './watcher.ts';

const catchUpEvents = 500;
const catchUpBytes = 1 << 20;
const catchUpRevisions = 20_000;

/**
 * Carries commits to watchers.
 *
 *   watch(from the past) ─► behind ── reads history, batch by batch, as the consumer asks ──► live ─► cut off (SlowWatcher)
 *   watch(from now, or the future) ─────────────────────────────────────────────────────────► live ─► ended
 *
 * Going from behind to live happens in the same turn as the last look into history, and commits are published in one turn:
 * nothing falls between.
 */
export class WatchHub implements WatcherSource {
  readonly #history: History;
  readonly #eventOf: (version: Version) => StoreEvent;
  readonly #limits: WatchLimits;
  readonly #live = new RangeGroups<Watcher>();
  readonly #all = new Set<Watcher>();
  #progressDue = false;

  constructor(options: { history: History; eventOf: (version: Version) => StoreEvent; limits: WatchLimits }) {
    this.#history = options.history;
    this.#eventOf = options.eventOf;
    this.#limits = options.limits;
  }

  /** Watchers that are open. */
  get size(): number {
    return this.#all.size;
  }

  open(options: WatchOptions): StoreWatch {
    const from = options.fromRevision ?? this.#history.revision + 1;
    const watcher = new Watcher(this, { ...options, fromRevision: from, limits: this.#limits });
    this.#all.add(watcher);
    if (from > this.#history.revision) this.#join(watcher);
    return watcher;
  }

  /** Hands the events of one commit, which ended with `revision`, to every live watcher they concern. */
  publish(events: readonly StoreEvent[], revision: number): void {
    const touched = new Map<RangeGroup<Watcher>, StoreEvent[]>();
    for (const event of events) {
      this.#live.visit(event.key, (group) => {
        const list = touched.get(group);
        if (list === undefined) touched.set(group, [event]);
        else list.push(event);
      });
    }
    for (const [group, list] of touched) {
      const batch = { revision, events: list };
      for (const watcher of [...group.members]) watcher.take(batch);
    }
    this.#scheduleProgress();
  }

  /** Ends every watcher with `error`. */
  end(error: Error): void {
    for (const watcher of [...this.#all]) watcher.fail(error);
  }

  get revision(): number {
    return this.#history.revision;
  }

  forget(watcher: Watcher): void {
    this.#all.delete(watcher);
    this.#live.remove(watcher.start, watcher.end, watcher);
  }

  /** A slice of history for a watcher that is behind; makes it live when that was the last. */
  catchUp(watcher: Watcher): StoreBatch | undefined {
    const { compacted, revision: newest } = this.#history;
    if (watcher.wanted < compacted) throw new Compacted(compacted);
    const events: StoreEvent[] = [];
    let bytes = 0;
    let revision = watcher.wanted;
    const until = Math.min(newest, revision + catchUpRevisions - 1);
    for (; revision <= until && events.length < catchUpEvents && bytes < catchUpBytes; revision++) {
      const version = this.#history.logged(revision);
      if (version === undefined || !keyInRange(version.key, watcher.start, watcher.end)) continue;
      const event = this.#eventOf(version);
      events.push(event);
      bytes += event.entry.value.length;
    }
    watcher.wanted = revision;
    if (watcher.wanted > newest) this.#join(watcher);
    return events.length === 0 ? undefined : { revision: revision - 1, events };
  }

  #join(watcher: Watcher): void {
    watcher.live = true;
    this.#live.add(watcher.start, watcher.end, watcher);
  }

  #scheduleProgress(): void {
    if (this.#progressDue) return;
    this.#progressDue = true;
    setImmediate(() => {
      this.#progressDue = false;
      for (const watcher of this.#all) watcher.offerProgress();
    });
  }
}
