import type { RevisionTime } from '../contract.ts';

const stepMs = 100;

/** When revisions were committed, noted at most every 100 ms: an entry stands for all revisions up to the next one's. */
export class TimeIndex {
  #times: RevisionTime[] = [];

  get all(): readonly RevisionTime[] {
    return this.#times;
  }

  load(times: readonly RevisionTime[]): void {
    this.#times = [...times];
  }

  /** What the index gains and loses by a commit that begins with `first` (absent: it writes nothing) and compacts at `compacted`. */
  plan(commit: {
    readonly first: number | undefined;
    readonly compacted: number | undefined;
    readonly nowMs: number;
  }): ReadonlyMap<number, number | undefined> | undefined {
    const { first, compacted, nowMs } = commit;
    const last = this.#times.at(-1);
    const due = first !== undefined && (last === undefined || Math.abs(nowMs - last.atMs) >= stepMs);
    const gone = compacted === undefined ? 0 : this.#countBefore(compacted);
    if (!due && gone === 0) return undefined;
    const changes = new Map<number, number | undefined>();
    for (const { revision } of this.#times.slice(0, gone)) changes.set(revision, undefined);
    if (due) changes.set(first, nowMs);
    return changes;
  }

  apply(changes: ReadonlyMap<number, number | undefined>): void {
    let gone = 0;
    for (const [revision, atMs] of changes) {
      if (atMs === undefined) gone++;
      else this.#times.push({ revision, atMs });
    }
    if (gone > 0) this.#times.splice(0, gone);
  }

  /** Entries that stand only for revisions below `revision`. */
  #countBefore(revision: number): number {
    let count = 0;
    while (count + 1 < this.#times.length && (this.#times[count + 1] as RevisionTime).revision <= revision) count++;
    return count;
  }
}
