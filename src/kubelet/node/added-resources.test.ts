import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addedResources, amountsPatch } from './added-resources.ts';

const own = { cpu: '2', 'example.com/own': '1' };

test('resources that others added to the capacity', () => {
  const capacity = { cpu: '8', gpu: '1', 'example.com/own': '3', 'scheduling.k8s.io/foo': '3' };
  assert.deepEqual(addedResources(capacity, own), { 'scheduling.k8s.io/foo': '3' });
  assert.deepEqual(addedResources(undefined, own), {});
});

test('a patch takes away what is gone', () => {
  assert.deepEqual(amountsPatch({ cpu: '1', 'x.io/foo': '3' }, { cpu: '2' }), { cpu: '2', 'x.io/foo': null });
  assert.deepEqual(amountsPatch(undefined, { cpu: '2' }), { cpu: '2' });
});
