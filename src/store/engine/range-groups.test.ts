import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { keyInRange } from '../keys.ts';
import { RangeGroups } from './range-groups.ts';

it('finds exactly the groups that hold a key', () => {
  const bound = fc.constantFrom('', 'a', 'b', 'ba', 'bb', 'c', 'd', 'e', '\u{1f600}');
  const ranges = fc.array(fc.tuple(bound, bound, fc.boolean()), { maxLength: 20 });
  fc.assert(
    fc.property(ranges, bound, (all, key) => {
      const groups = new RangeGroups<number>();
      for (const [i, [start, end]] of all.entries()) groups.add(start, end, i);
      for (const [i, [start, end, stays]] of all.entries()) if (!stays) groups.remove(start, end, i);
      const found: number[] = [];
      groups.visit(key, ({ members }) => found.push(...members));
      const wanted = all.flatMap(([start, end, stays], i) => (stays && keyInRange(key, start, end) ? [i] : []));
      assert.deepEqual(
        found.sort((x, y) => x - y),
        wanted,
      );
    }),
  );
});
