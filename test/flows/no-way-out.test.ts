import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '#base';
import { openLmdbStore, openMemoryStore } from '#store';

const room = (name: string): string => join(import.meta.dirname, '../../src', name);
const network =
  /from 'node:(?:http|https|http2|net|tls|dns|dgram)'|import\('node:(?:http|https|http2|net|tls|dns|dgram)'\)|\bfetch\(|nodeHttp|openHttpsTransport/;

/** Reading an address is no dialling. */
const reading = /^import \{ isIP(?:v\d)?(?:, isIP(?:v\d)?)* \} from 'node:net';$/gm;

/** Product files of a room that can open a connection by themselves. */
const dialling = (name: string): string[] =>
  readdirSync(room(name), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/\.(test|fixture)\.ts$/.test(file))
    .filter((file) => network.test(readFileSync(join(room(name), file), 'utf8').replace(reading, '')));

test('controllers and scheduler speak to the API alone: no object can send them elsewhere', () => {
  for (const name of ['controllers', 'scheduler']) assert.deepEqual(dialling(name), [], name);
  assert.ok(dialling('apiserver').length > 2, 'the search finds those that do');
});

test('an embedded store listens on no port', async () => {
  const listeners = (): number => process.getActiveResourcesInfo().filter((one) => /TCP/.test(one)).length;
  const dir = await mkdtemp(join(tmpdir(), 'k8ts-store-'));
  const before = listeners();
  const stores = [await openLmdbStore({ dir, clock: systemClock }), await openMemoryStore({ clock: systemClock })];
  assert.equal(listeners(), before);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  assert.equal(listeners(), before + 1, 'a listener would be seen');
  server.close();
  for (const store of stores) await store.close();
  await rm(dir, { recursive: true });
});
