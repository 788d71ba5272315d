import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, systemRandom } from '#base';
import { openMemoryStore } from '#store';
import { testServer } from '../test-server.ts';
import { aesGcmSeal } from './encryption.ts';

const key = (name: string, fill: number) => ({ name, key: Buffer.alloc(32, fill) });

test('secrets are sealed at rest, and read by whoever may', async () => {
  const clock = new ManualClock();
  const store = await openMemoryStore({ clock });
  const seal = aesGcmSeal({ keys: [key('a', 1)], random: systemRandom });
  const sealOf = (segment: string) => (segment === 'secrets' ? seal : undefined);
  const t = await testServer({ store, clock, sealOf });
  const made = await t.ask('POST', '/api/v1/namespaces/default/secrets', {
    metadata: { name: 's' },
    stringData: { p: 'hush' },
  });
  assert.equal(made.status, 201);
  const stored = await store.get('/registry/secrets/default/s');
  const text = Buffer.from(stored?.value ?? []).toString('latin1');
  assert.ok(text.startsWith('k8ts:enc:aesgcm:v1:a:'));
  assert.ok(!text.includes('hush') && !text.includes(Buffer.from('hush').toString('base64')));
  assert.deepEqual((await t.ask('GET', '/api/v1/namespaces/default/secrets/s')).body, made.body);
  await t.server.close();
  const rotated = aesGcmSeal({ keys: [key('b', 2), key('a', 1)], random: systemRandom });
  const again = await testServer({ store, clock, sealOf: (segment) => (segment === 'secrets' ? rotated : undefined) });
  assert.deepEqual((await again.ask('GET', '/api/v1/namespaces/default/secrets/s')).body, made.body);
  await again[Symbol.asyncDispose]();
});

test('a value moved to another key, changed, or sealed by a lost key does not open', () => {
  const seal = aesGcmSeal({ keys: [key('a', 1)], random: systemRandom });
  const sealed = seal.seal(Buffer.from('x'), '/k');
  assert.equal(Buffer.from(seal.unseal(sealed, '/k')).toString(), 'x');
  assert.throws(() => seal.unseal(sealed, '/other'), /cannot be decrypted/);
  const bent = Buffer.from(sealed);
  bent[bent.length - 1] = (bent[bent.length - 1] as number) ^ 1;
  assert.throws(() => seal.unseal(bent, '/k'), /cannot be decrypted/);
  assert.throws(
    () => aesGcmSeal({ keys: [key('b', 1)], random: systemRandom }).unseal(sealed, '/k'),
    /cannot be decrypted/,
  );
  assert.equal(seal.unseal(Buffer.from('{"clear":1}'), '/k').toString(), '{"clear":1}');
});
