import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, silentLog } from '#base';
import type { Client } from '#client';
import { openTokenAuthenticator } from './bearer-token.ts';

function openTokens(answer: (token: string) => object | Promise<never>) {
  const asked: string[] = [];
  const client = {
    async create(_resource: unknown, { spec }: { spec: { token: string } }) {
      asked.push(spec.token);
      return { status: await answer(spec.token) };
    },
  } as never as Client;
  const clock = new ManualClock();
  return { asked, clock, identityOf: openTokenAuthenticator({ client, clock, log: silentLog }) };
}

test('a token is who the API server says, remembered for two minutes', async () => {
  const user = { username: 'system:serviceaccount:m:prometheus', uid: 'u1', groups: ['system:serviceaccounts'] };
  const { asked, clock, identityOf } = openTokens((token) => (token === 'good' ? { authenticated: true, user } : {}));
  const identity = { user: user.username, uid: 'u1', groups: user.groups };
  assert.deepEqual(await Promise.all([identityOf('Bearer good'), identityOf('bearer good')]), [identity, identity]);
  assert.deepEqual(await identityOf('Bearer good'), identity);
  assert.equal(await identityOf('Bearer bad'), undefined);
  assert.equal(await identityOf('Bearer bad'), undefined);
  assert.deepEqual(asked, ['good', 'bad']);
  await clock.advance(10_000);
  await identityOf('Bearer bad');
  await clock.advance(110_000);
  await identityOf('Bearer good');
  assert.deepEqual(asked, ['good', 'bad', 'bad', 'good']);
});

test('what is no token is nobody, and nobody is asked; nor about too many at a time', async () => {
  const { asked, identityOf } = openTokens(() => new Promise<never>(() => {}));
  for (const one of [undefined, '', 'Basic YTpi', 'Bearer', 'Bearer a b', `Bearer ${'x'.repeat(20_000)}`])
    assert.equal(await identityOf(one), undefined);
  assert.deepEqual(asked, []);
  for (let i = 0; i < 16; i++) void identityOf(`Bearer ${i}`);
  assert.equal(await identityOf('Bearer more'), undefined);
  assert.equal(asked.length, 16);
});

test('an API server that does not answer is nobody’s word, and asked again', async () => {
  const { asked, identityOf } = openTokens(() => Promise.reject(new Error('connection refused')));
  assert.equal(await identityOf('Bearer good'), undefined);
  assert.equal(await identityOf('Bearer good'), undefined);
  assert.equal(asked.length, 2);
});
