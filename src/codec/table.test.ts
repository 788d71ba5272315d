import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnyObject } from '#api';
import { tableOf } from './table.ts';

const columns = [
  {
    name: 'Name',
    type: 'string',
    format: 'name',
    description: 'its name',
    value: (object: AnyObject) => object.metadata.name,
  },
  {
    name: 'Age',
    type: 'string',
    description: 'its age',
    priority: 1,
    value: (_: AnyObject, { nowMs }: { nowMs: number }) => `${nowMs}ms`,
  },
  { name: 'Nothing', type: 'integer', description: '', value: () => undefined },
] as const;
const metadata = {
  name: 'a',
  namespace: 'n',
  uid: 'u',
  resourceVersion: '1',
  creationTimestamp: '2026-01-01T00:00:00Z',
};
const objects: AnyObject[] = [{ apiVersion: 'v1', kind: 'Pod', metadata, spec: {} }];

test('a table has a definition a column and a row an object', () => {
  assert.deepEqual(tableOf({ columns, objects, nowMs: 5, listMeta: { resourceVersion: '7' } }), {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { resourceVersion: '7' },
    columnDefinitions: [
      { name: 'Name', type: 'string', format: 'name', description: 'its name', priority: 0 },
      { name: 'Age', type: 'string', format: '', description: 'its age', priority: 1 },
      { name: 'Nothing', type: 'integer', format: '', description: '', priority: 0 },
    ],
    rows: [
      { cells: ['a', '5ms', null], object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata } },
    ],
  });
});

test('rows carry the object that was asked for', () => {
  const row = (includeObject: 'None' | 'Object' | 'Metadata') =>
    tableOf({ columns, objects, nowMs: 0, includeObject, version: 'v1beta1' }).rows[0];
  assert.equal(row('None')?.object, undefined);
  assert.equal(row('Object')?.object, objects[0]);
  assert.equal((row('Metadata')?.object as AnyObject).apiVersion, 'meta.k8s.io/v1beta1');
  assert.deepEqual(tableOf({ columns, objects, nowMs: 0, withColumns: false }).columnDefinitions, []);
});
