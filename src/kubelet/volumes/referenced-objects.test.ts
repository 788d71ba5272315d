import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConfigMap, KubeObject } from '#api';
import type { Client, Informer, Informers } from '#client';
import { errNotFound } from '#machinery';
import { openReferencedObjects } from './referenced-objects.ts';

function edge(objects: Record<string, { immutable?: boolean; data: string } | undefined>) {
  const asked: string[] = [];
  const watched = new Map<string, () => void>();
  const closed: string[] = [];
  const client = {
    async get(_: unknown, name: string) {
      asked.push(name);
      const found = objects[name];
      if (found === undefined) throw errNotFound({ group: '', plural: 'configmaps' }, name);
      const { immutable, data } = found;
      return { metadata: { name, namespace: 'n', resourceVersion: data }, immutable, data: { data } };
    },
  } as unknown as Client;
  const informers = {
    of(_: unknown, { fieldSelector = '' }: { fieldSelector?: string }) {
      const name = fieldSelector.split('=')[1] as string;
      return {
        hasSynced: false,
        get: () => undefined,
        onChange(handler: (change: { type: string; object: KubeObject }) => void) {
          watched.set(name, () =>
            handler({
              type: 'updated',
              object: { metadata: { resourceVersion: String(Math.random()) } } as KubeObject,
            }),
          );
          return () => {};
        },
        close: () => closed.push(name),
      } as unknown as Informer<KubeObject>;
    },
  } as unknown as Informers;
  const told: string[] = [];
  const held = openReferencedObjects({ client, informers, onChange: (uid) => told.push(uid) });
  const read = async (uid: string, name: string): Promise<string | undefined> =>
    ((await held.forPod(uid).configMap('n', name)) as ConfigMap | undefined)?.data?.data;
  return { asked, watched, closed, told, held, read };
}

test('an object is watched while a pod uses it, and each of its pods is told of changes', async () => {
  const { watched, closed, told, held, read } = edge({ a: { data: '1' } });
  assert.deepEqual([await read('p', 'a'), await read('q', 'a'), await read('p', 'absent')], ['1', '1', undefined]);
  assert.deepEqual([...watched.keys()], ['a', 'absent']);
  watched.get('a')?.();
  assert.deepEqual(told, ['p', 'q']);
  held.release('p');
  assert.deepEqual(closed, ['absent']);
  held.release('q');
  assert.deepEqual(closed, ['absent', 'a']);
});

test('an immutable object is read once a pod and never watched; a new pod sees a new object of the name', async () => {
  const objects = { a: { immutable: true, data: '1' } };
  const { asked, watched, held, read } = edge(objects);
  assert.deepEqual([await read('p', 'a'), await read('p', 'a')], ['1', '1']);
  objects.a = { immutable: true, data: '2' };
  assert.deepEqual([await read('q', 'a'), asked.length, watched.size], ['2', 2, 0]);
  held.release('p');
  held.release('q');
  assert.equal(await read('r', 'a'), '2');
});
