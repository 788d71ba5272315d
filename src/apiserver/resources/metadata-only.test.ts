import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resource } from '#api';
import { ManualClock } from '#base';
import { openClient } from '#client';
import { openMemoryStore } from '#store';
import { openApiServer } from '../server.ts';

const configMaps = resource('v1', 'configmaps');

test('a reader in this process gets metadata alone, of a list and of a watch', async () => {
  const store = await openMemoryStore({ clock: new ManualClock() });
  const server = await openApiServer({ store });
  await server.ready;
  const client = openClient({ transport: server.objects.transport() });
  const metadata = { namespace: 'default', name: 'one', labels: { a: 'b' } };
  await client.create(configMaps, { metadata, data: { some: 'thing' } } as never);
  const { items, metadata: listed } = await client.list(configMaps, { namespace: 'default', metadataOnly: true });
  const one = items.find((item) => item.metadata.name === 'one') as unknown as Record<string, unknown>;
  assert.equal(one.kind, 'PartialObjectMetadata');
  assert.equal(one.data, undefined);
  const closing = new AbortController();
  const { resourceVersion } = listed;
  const events = client.watch(configMaps, { metadataOnly: true, resourceVersion, signal: closing.signal });
  const iterator = events[Symbol.asyncIterator]();
  const next = iterator.next();
  await client.create(configMaps, { metadata: { ...metadata, name: 'two' }, data: { some: 'thing' } } as never);
  const { object } = (await next).value as { object: Record<string, unknown> };
  assert.equal((object.metadata as { name: string }).name, 'two');
  assert.equal(object.data, undefined);
  closing.abort();
  await iterator.return?.(undefined);
  await server.close();
  await store.close();
});
