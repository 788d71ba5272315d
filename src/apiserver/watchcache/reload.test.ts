import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '#base';
import { Compacted, openMemoryStore, type Store, type StoreWatch, type WatchOptions } from '#store';
import { openApiServer } from '../server.ts';

/** A store whose open watches can be made to fail as if their history had been compacted, and that is silent until then. */
function interruptible(store: Store): Store & { interrupt(): void } {
  const failures = new Set<(error: Error) => void>();
  const watch = (options: WatchOptions): StoreWatch => {
    const inner = store.watch(options);
    const failure = Promise.withResolvers<never>();
    failure.promise.catch(() => {});
    failures.add(failure.reject);
    return {
      close: () => inner.close(),
      async *[Symbol.asyncIterator]() {
        const batches = inner[Symbol.asyncIterator]();
        for (;;) {
          const next = await Promise.race([batches.next(), failure.promise]);
          if (next.done) return;
          yield next.value;
        }
      },
    };
  };
  return new Proxy(store, {
    get(target, name) {
      if (name === 'watch') return watch;
      if (name === 'interrupt') {
        return () => {
          for (const fail of failures) fail(new Compacted(1));
          failures.clear();
        };
      }
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  }) as Store & { interrupt(): void };
}

test("after a reload the server's own views were told of every difference", async () => {
  const memory = await openMemoryStore({ clock: new ManualClock() });
  const store = interruptible(memory);
  const server = await openApiServer({ store });
  await server.ready;
  const view = server.objects.view('v1', 'configmaps');
  await view.ready;
  const names = new Set<string>();
  view.onChange(({ object, old }) => {
    if (object === undefined) names.delete(old?.metadata.name ?? '');
    else names.add(object.metadata.name);
  });
  const transport = server.objects.transport();
  const send = (method: 'POST' | 'DELETE', name: string) =>
    transport.request({
      method,
      target: `/api/v1/namespaces/default/configmaps${method === 'DELETE' ? `/${name}` : ''}`,
      ...(method === 'POST' ? { objectBody: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } } } : {}),
      objects: true,
    });
  await send('POST', 'kept');
  await view.current();
  const before = view.generation;
  const writing = [send('POST', 'fresh'), send('DELETE', 'kept')];
  store.interrupt();
  await Promise.all(writing);
  await view.current();
  assert.deepEqual([...names], ['fresh']);
  assert.equal(view.get('default', 'kept'), undefined);
  assert.ok(view.generation > before);
  await server.close();
  await memory.close();
});
