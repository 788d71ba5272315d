import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { History, type Version, versionOf } from './history.ts';
import type { RecordHead } from './journal.ts';

const keys = ['a', 'b', 'c', 'd'];
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ key: fc.constantFrom(...keys), deleted: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ back: fc.nat(6), slice: fc.integer({ min: 1, max: 5 }) }) },
);

it('forgets each revision once, nothing that can still be named, and in an order that survives a cut', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const history = new History();
      const disk = new Map<number, RecordHead>();
      for (const one of steps) {
        if ('key' in one) write(history, disk, one.key, one.deleted);
        else forget(history, disk, one);
        const costs = [...disk.keys()].reduce((sum, revision) => sum + revision, 0);
        assert.equal(history.cost, costs, 'cost');
      }
    }),
    { numRuns: 300 },
  );
});

/** Each record costs its revision, so that a wrong one shows. */
function write(history: History, disk: Map<number, RecordHead>, key: string, deleted: boolean): void {
  const revision = history.revision + 1;
  const head = { revision, key, deleted, createRevision: revision, version: 1, lease: 0, valueLength: 0 };
  history.append(versionOf(head, revision));
  disk.set(revision, head);
}

function forget(
  history: History,
  disk: Map<number, RecordHead>,
  { back, slice }: { back: number; slice: number },
): void {
  const target = history.revision - back;
  if (target > history.compacted) history.compact(target);
  const before = picture(history);
  while (!history.pruned) {
    for (const revision of history.prune(slice)) {
      assert.ok(disk.delete(revision), `${revision} was forgotten twice`);
      const restarted = new History();
      restarted.load(history.compacted, disk.values(), (head) => head.revision);
      assert.deepEqual(picture(restarted), before, `after a cut at ${revision}`);
    }
    assert.deepEqual(picture(history), before);
  }
}

/** All that can be named: every key at every revision, and every change with what it replaced. */
function picture(history: History): unknown[] {
  const seen: unknown[] = [history.revision, history.compacted];
  for (let revision = history.compacted; revision <= history.revision; revision++) {
    seen.push(keys.map((key) => history.at(key, revision)?.revision));
    const logged = history.logged(revision);
    seen.push([logged?.key, logged?.deleted, replaced(logged?.older)]);
  }
  return seen;
}

function replaced(older: Version | undefined): number | undefined {
  return older === undefined || older.deleted ? undefined : older.revision;
}
