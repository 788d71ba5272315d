import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, silentLog } from '#base';
import { mergeSwagger } from './merge-swagger.ts';
import { type OtherServer, RemoteDocuments } from './remote-documents.ts';

const documentOf = (description: string): object => ({
  swagger: '2.0',
  paths: { '/apis/g/v1/things': { get: { responses: { 200: { schema: { $ref: '#/definitions/T' } } } } } },
  definitions: { T: { type: 'object', description } },
});

/** A server whose document has one ETag until it is changed, and which can be out of order. */
function imitation() {
  const state = { text: 'one', broken: false, asked: [] as string[] };
  const server: OtherServer = {
    ...{ name: 'default/s:443', available: true, groupVersions: [{ group: 'g', version: 'v1' }] },
    async ask(target, _limits, headers) {
      if (target !== '/openapi/v2') return { status: 404, headers: {}, body: new Uint8Array() };
      state.asked.push(headers?.['if-none-match'] ?? 'anew');
      if (state.broken) throw new Error('it is gone');
      const etag = `"${state.text}"`;
      if (headers?.['if-none-match'] === etag) return { status: 304, headers: {}, body: new Uint8Array() };
      return { status: 200, headers: { etag }, body: Buffer.from(JSON.stringify(documentOf(state.text))) };
    },
  };
  return { state, server };
}

test('documents are asked for again by ETag, changed ones taken, the last one shown while the server is out of order', async () => {
  const clock = new ManualClock();
  const { state, server } = imitation();
  let servers: readonly OtherServer[] = [server];
  const documents = new RemoteDocuments({ others: { servers: () => servers }, clock, log: silentLog });
  const shown = (): unknown =>
    (documents.parts()[0]?.definitions.T as { description: string } | undefined)?.description;
  const refreshLater = async (): Promise<void> => {
    await clock.advance(31_000);
    await documents.refresh();
    await new Promise((resolve) => setImmediate(resolve));
  };
  await documents.refresh();
  await documents.refresh();
  assert.deepEqual([shown(), state.asked], ['one', ['anew']]);
  const before = documents.generation;
  await refreshLater();
  assert.deepEqual([documents.generation, state.asked], [before, ['anew', '"one"']]);
  state.text = 'two';
  await refreshLater();
  assert.deepEqual([shown(), documents.generation > before], ['two', true]);
  state.broken = true;
  await refreshLater();
  assert.equal(shown(), 'two');
  servers = [];
  await documents.refresh();
  assert.equal(shown(), undefined);
});

test('names of other documents never reach a prototype; equal shapes are one definition', () => {
  const hostile = JSON.parse('{"__proto__":{"type":"object"},"constructor":{"type":"object"},"T":{"type":"string"}}');
  const base = { paths: {}, definitions: { T: { type: 'string', description: 'ours' } } };
  const merged = mergeSwagger(base, [{ paths: {}, definitions: hostile }]);
  assert.deepEqual(Object.keys(merged.definitions as object), ['T', '__proto__', 'constructor']);
  assert.deepEqual((merged.definitions as { T: object }).T, { type: 'string', description: 'ours' });
  assert.equal(({} as { type?: string }).type, undefined);
});
