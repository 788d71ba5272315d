import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Json, type TestServer, testServer } from '../test-server.ts';

// What real servers answered (1.20.2) or do by their rules of 1.36, in their words.
const configMaps = '/api/v1/namespaces/default/configmaps';

let t: TestServer;
before(async () => {
  t = await testServer();
  for (const name of ['a', 'b', 'c']) await t.ask('POST', configMaps, { metadata: { name } });
});
after(() => t[Symbol.asyncDispose]());

const names = (body: Json): string[] => body.items.map((one: Json) => one.metadata.name);
const token = (fields: object): string => Buffer.from(JSON.stringify(fields)).toString('base64url');

test('whoever takes any state gets all of it: no pages with resourceVersion=0', async () => {
  for (const more of ['', '&resourceVersionMatch=NotOlderThan']) {
    const { body } = await t.ask('GET', `${configMaps}?resourceVersion=0&limit=1${more}`);
    assert.deepEqual([names(body), body.metadata.continue], [['a', 'b', 'c'], undefined]);
  }
  const { body } = await t.ask('GET', `${configMaps}?limit=1`);
  assert.deepEqual([names(body), body.metadata.remainingItemCount], [['a'], 2]);
});

test('tokens to go on with that the server did not make', async () => {
  const head = 'invalid continue token: continue key is not valid';
  const rows: [string, string | RegExp][] = [
    ['!!', `${head}: illegal base64 data at input byte 0`],
    ['abc', head],
    [
      token({ v: 'meta.k8s.io/v2', rv: 1, start: 'a' }),
      `${head}: server does not recognize this encoded version meta.k8s.io/v2`,
    ],
    [
      token({ v: 'meta.k8s.io/v1', rv: 0, start: 'a' }),
      `${head}: incorrect encoded start resourceVersion (version meta.k8s.io/v1)`,
    ],
    [token({ v: 'meta.k8s.io/v1', rv: 1, start: '' }), `${head}: encoded start key empty (version meta.k8s.io/v1)`],
    [token({ v: 'meta.k8s.io/v1', rv: 1, start: '../a' }), `${head}: ../a`],
    [token({ v: 'meta.k8s.io/v1', rv: 1, start: 'a//b' }), `${head}: a//b`],
    [token({ v: 'meta.k8s.io/v1', rv: 1, start: 'a/' }), `${head}: a/`],
    [token({ v: 'meta.k8s.io/v1', rv: 'x', start: 'a' }), head],
  ];
  for (const [text, message] of rows) {
    const answer = await t.ask('GET', `${configMaps}?continue=${encodeURIComponent(text)}`);
    assert.deepEqual([answer.status, answer.body.message], [400, message]);
  }
  const rest = await t.ask(
    'GET',
    `${configMaps}?continue=${token({ v: 'meta.k8s.io/v1', rv: -1, start: 'default/b' })}`,
  );
  assert.deepEqual(names(rest.body), ['b', 'c'], '-1: on over the newest state');
});

test('numbers that are none, and a watch that is no list', async () => {
  for (const option of ['limit', 'timeoutSeconds']) {
    const { status, body } = await t.ask('GET', `${configMaps}?${option}=x`);
    assert.deepEqual([status, body.message], [400, 'strconv.ParseInt: parsing "x": invalid syntax']);
  }
  const one = await t.ask('GET', `${configMaps}/a?watch=1`);
  assert.deepEqual([one.body.kind, one.body.metadata.name], ['ConfigMap', 'a'], 'an object is got, not watched');
});

test('deletions: what is asked of the object first, and bodies that are no options', async () => {
  const { body } = await t.ask('GET', `${configMaps}/a`);
  const { uid, resourceVersion } = body.metadata;
  const rows: [object | string, number, string | RegExp][] = [
    [
      { preconditions: { uid: 'x' } },
      409,
      `Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (x) does not match the UID in record (${uid}). The object might have been deleted and then recreated`,
    ],
    [
      { preconditions: { resourceVersion: '1' } },
      409,
      `Operation cannot be fulfilled on ConfigMap "a": the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (${resourceVersion}). The object might have been modified`,
    ],
    [{ kind: 'Foo' }, 400, /^no kind "Foo" is registered/],
    ['[]', 400, /cannot unmarshal array/],
    ['{', 400, /unexpected end of JSON input/],
  ];
  for (const [sent, status, message] of rows) {
    const answer = await t.ask('DELETE', `${configMaps}/a`, sent);
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    if (typeof message === 'string') assert.equal(answer.body.message, message);
    else assert.match(answer.body.message, message);
  }
  const groupVersion = { kind: 'DeleteOptions', apiVersion: 'apps/v1', preconditions: { uid } };
  assert.equal((await t.ask('DELETE', `${configMaps}/a`, groupVersion)).status, 200);
  const many = await t.ask('DELETE', '/api/v1/namespaces');
  assert.deepEqual(
    [many.status, many.body.message],
    [405, 'the server does not allow this method on the requested resource'],
  );
});
