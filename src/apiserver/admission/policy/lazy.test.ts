import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import { test } from 'node:test';

const loaded: string[] = [];
registerHooks({
  load(url, context, next) {
    loaded.push(url);
    return next(url, context);
  },
});
const isLanguage = (url: string): boolean => url.includes('/src/cel/');

test('the language is loaded with the first expression, and not before', async () => {
  const { testServer } = await import('../../test-server.ts');
  const { openAuthorizer } = await import('../../authz/index.ts');
  const { admissionPlugins } = await import('../index.ts');
  const { seededRandom, silentLog, systemClock } = await import('#base');
  await using t = await testServer({
    authorizer: (objects) => openAuthorizer({ objects }),
    admission: (objects, authorizer) =>
      admissionPlugins({
        objects,
        authorizer: authorizer as ReturnType<typeof openAuthorizer>,
        clock: systemClock,
        random: seededRandom(3),
        log: silentLog,
      }),
  });
  const definition = (rules: object[]): object => ({
    metadata: { name: 'things.lazy.example.com' },
    spec: {
      group: 'lazy.example.com',
      scope: 'Cluster',
      names: { plural: 'things', kind: 'Thing' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-validations': rules } },
        },
      ],
    },
  });
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  assert.equal((await t.ask('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: 'a' } })).status, 201);
  assert.equal((await t.ask('POST', `${definitions}?dryRun=All`, definition([]))).status, 201);
  assert.deepEqual(loaded.filter(isLanguage), []);
  assert.equal((await t.ask('POST', `${definitions}?dryRun=All`, definition([{ rule: 'true' }]))).status, 201);
  assert.ok(loaded.some(isLanguage));
});
