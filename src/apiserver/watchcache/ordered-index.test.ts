import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { OrderedIndex } from './ordered-index.ts';

const key = fc.integer({ min: 0, max: 3000 }).map((n) => String(n).padStart(4, '0'));
const step = fc.oneof(
  { weight: 6, arbitrary: key.map((k) => ({ set: k })) },
  { weight: 2, arbitrary: key.map((k) => ({ delete: k })) },
  { weight: 1, arbitrary: fc.constant({ snapshot: true }) },
);

test('an ordered index behaves as a sorted map, and snapshots never change', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 3000, size: 'max' }), key, key, (steps, a, b) => {
      const index = new OrderedIndex<{ key: string; n: number }>();
      const model = new Map<string, number>();
      const snapshots: { taken: ReturnType<typeof index.snapshot>; expected: [string, number][] }[] = [];
      let n = 0;
      for (const one of steps) {
        n++;
        if ('set' in one) {
          assert.equal(index.set({ key: one.set, n })?.n, model.get(one.set));
          model.set(one.set, n);
        } else if ('delete' in one) {
          assert.equal(index.delete(one.delete)?.n, model.get(one.delete));
          model.delete(one.delete);
        } else if (snapshots.length < 5) snapshots.push({ taken: index.snapshot(), expected: sorted(model) });
      }
      snapshots.push({ taken: index.snapshot(), expected: sorted(model) });
      const [low, high] = a < b ? [a, b] : [b, a];
      for (const { taken, expected } of snapshots) {
        assert.deepEqual(
          taken.slice('', '').map((v) => [v.key, v.n]),
          expected,
        );
        const inRange = expected.filter(([k]) => k >= low && k < high);
        assert.deepEqual(
          [...taken.range(low, high)].map((v) => v.key),
          inRange.map(([k]) => k),
        );
        assert.deepEqual(
          taken.slice(low, high, 3).map((v) => v.key),
          inRange.slice(0, 3).map(([k]) => k),
        );
        assert.equal(taken.count(low, high), inRange.length);
        assert.equal(taken.size, expected.length);
      }
    }),
    { numRuns: 30 },
  );
});

function sorted(model: Map<string, number>): [string, number][] {
  return [...model].sort(([a], [b]) => (a < b ? -1 : 1));
}
