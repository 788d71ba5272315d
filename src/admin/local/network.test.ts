import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseLink } from './network.ts';

test('a link is the first range that meets no route and no other cluster', () => {
  assert.equal(chooseLink([], new Set()), 0);
  assert.equal(chooseLink(['172.29.0.0/24', '10.0.0.0/8'], new Set([1])), 2);
  assert.equal(chooseLink(['172.29.3.7'], new Set([0, 1, 2])), 4);
  assert.equal(chooseLink(['172.16.0.0/12'], new Set()), undefined);
  assert.equal(chooseLink(['0.0.0.0/0'], new Set()), 0);
});
