import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareKeys, keyInRange, prefixEnd } from '../keys.ts';
import { KeyIndex } from './key-index.ts';

const bytewise = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
const key = fc.oneof(
  fc.string({
    unit: fc.constantFrom('a', 'b', '/', '0', 'é', '\ud7ff', '\ue000', '\uffff', '\u{1f600}', '\u{10ffff}'),
    maxLength: 5,
  }),
  fc.nat(3000).map((n) => `/registry/pods/ns/pod-${n}`),
);

describe('keys', () => {
  it('are compared by their bytes', () => {
    fc.assert(fc.property(key, key, (a, b) => assert.equal(compareKeys(a, b), bytewise(a, b))));
  });

  it('with a prefix are those before its end', () => {
    fc.assert(
      fc.property(key, key, (prefix, other) => {
        assert.equal(keyInRange(other, prefix, prefixEnd(prefix)), other.startsWith(prefix));
      }),
    );
    assert.equal(prefixEnd('/registry/pods/'), '/registry/pods0');
    assert.equal(prefixEnd(''), '');
    assert.equal(prefixEnd('\u{10ffff}'), '');
  });
});

describe('key index', () => {
  it('walks ranges as a sorted list would', () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('add', 'add', 'remove', 'visit'), key, key), { maxLength: 80 });
    fc.assert(
      fc.property(steps, (all) => {
        const index = new KeyIndex<{ key: string }>();
        const model = new Set<string>();
        for (const [step, one, other] of all) {
          if (step === 'add' && !model.has(one)) index.add({ key: one });
          if (step === 'add') model.add(one);
          if (step === 'remove') assert.equal(index.remove(one), model.delete(one));
          if (step === 'visit') assert.deepEqual(visited(index, one, other), expected(model, one, other));
        }
        assert.equal(index.size, model.size);
        assert.deepEqual(visited(index, '', ''), expected(model, '', ''));
      }),
    );
  });

  it('stays in order through many chunks, whatever the order of insertion', () => {
    for (const step of [1, 7919, 9999]) {
      const index = new KeyIndex<{ key: string }>();
      const model = new Set<string>();
      for (let i = 0; i < 10_000; i++) {
        const one = `k${String((i * step) % 10_000).padStart(5, '0')}`;
        index.add({ key: one });
        model.add(one);
      }
      assert.deepEqual(visited(index, 'k02', 'k07'), expected(model, 'k02', 'k07'));
      for (let i = 0; i < 10_000; i += 3) {
        const one = `k${String(i).padStart(5, '0')}`;
        assert.equal(index.remove(one), true);
        model.delete(one);
      }
      assert.deepEqual(visited(index, '', ''), expected(model, '', ''));
      assert.equal(index.remove('absent'), false);
    }
  });
});

function visited(index: KeyIndex<{ key: string }>, start: string, end: string): string[] {
  const keys: string[] = [];
  index.visit(start, end, (item) => keys.push(item.key));
  return keys;
}

function expected(model: Set<string>, start: string, end: string): string[] {
  const inside = (one: string): boolean => bytewise(one, start) >= 0 && (end === '' || bytewise(one, end) < 0);
  return [...model].filter(inside).sort(bytewise);
}
