import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { anIngress, openBed, portOf, raw, serve } from './bed.fixture.ts';
import { ChunkedDecoder } from './chunked.ts';
import { BadMessage, parseRequestHead, parseResponseHead } from './heads.ts';

const seen: string[] = [];
const server = await serve((request, response) => {
  seen.push(request.url ?? '');
  let bytes = 0;
  request.on('data', (piece: Buffer) => {
    bytes += piece.length;
  });
  request.on('end', () => response.end(`<answer ${request.url} ${bytes}>`));
});
const bed = await openBed({
  ingresses: [anIngress({})],
  services: { web: { targets: [{ address: '127.0.0.1', port: portOf(server) }] } },
});
after(async () => {
  await bed.close();
  server.closeAllConnections();
  server.close();
});

const pieces = [
  'GET /a HTTP/1.1\r\n',
  'POST /b HTTP/1.1\r\n',
  'POST /c HTTP/1.0\r\n',
  'host: h\r\n',
  'Host: h\r\n',
  '\r\n',
  '\n',
  '\r',
  ' ',
  '\t',
  'content-length: 5\r\n',
  'Content-Length: 0\r\n',
  'content-length: 35\r\n',
  'content-length : 5\r\n',
  'Content-Length:\t5\r\n',
  'transfer-encoding: chunked\r\n',
  'Transfer-Encoding: Chunked\r\n',
  'transfer-encoding:\x0bchunked\r\n',
  'transfer-encoding: x\r\n',
  'connection: content-length\r\n',
  'connection: transfer-encoding, keep-alive\r\n',
  'connection: close\r\n',
  'expect: 100-continue\r\n',
  'upgrade: h2c\r\nconnection: upgrade\r\n',
  '5\r\nhello\r\n',
  '0\r\n\r\n',
  '00\r\n\r\n',
  '5;x="\r\n"\r\nhello\r\n',
  'hello',
  '0',
  'x: y\r\n',
  ': z\r\n',
  '\0',
  'é',
  'GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n',
];

const some = (from: readonly string[], most: number) =>
  fc.array(fc.constantFrom(...from), { maxLength: most }).map((parts) => parts.join(''));
const isField = (one: string): boolean => /^[a-z-]+ ?:.*\r\n$/is.test(one);
const anything = some(pieces, 14);
/** Well-formed but for what makes two readers differ. */
const likely = fc
  .tuple(
    fc.constantFrom('GET /a HTTP/1.1\r\n', 'POST /b HTTP/1.1\r\n', 'POST /c HTTP/1.0\r\n'),
    some(
      pieces.filter((one) => isField(one) && !/^host/i.test(one)),
      2,
    ),
    some(
      pieces.filter((one) => !isField(one)),
      4,
    ),
  )
  .map(([line, fields, body]) => `${line}host: h\r\n${fields}\r\n${body}`);

test('for every request that a backend sees, the client has one answer', { timeout: 120_000 }, async () => {
  let answered = 0;
  await fc.assert(
    fc.asyncProperty(fc.oneof(likely, anything), async (parts) => {
      seen.length = 0;
      const text = `${parts}\r\n\r\nGET /last HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n`;
      // Ends with an answer that closes, or with a body that never comes: then nothing more happens.
      const answer = await Promise.race([
        raw(bed.http, text),
        new Promise<string>((resolve) => setTimeout(resolve, 400, 'open')),
      ]);
      if (answer === 'open') return;
      const answers = [...answer.matchAll(/<answer (\S+) \d+>/g)].map((one) => one[1]);
      answered += answers.length;
      assert.deepEqual(seen.slice(0, answers.length), answers);
      assert.ok(
        seen.length - answers.length <= 1,
        `the backend saw ${seen.join(' ')}, the client has ${answers.join(' ')}`,
      );
    }),
    { numRuns: 400 },
  );
  assert.ok(answered > 100, `only ${answered} requests were answered: the test shows nothing`);
});

test('heads and bodies of any bytes are read or refused, never anything else', () => {
  const bytes = fc.oneof(
    fc.array(fc.constantFrom(...pieces)).map((parts) => parts.join('')),
    fc.uint8Array({ maxLength: 200 }).map((some) => Buffer.from(some).toString('latin1')),
  );
  const refusedOrRead = (act: () => unknown): void => {
    try {
      act();
    } catch (error) {
      assert.ok(error instanceof BadMessage, String(error));
    }
  };
  fc.assert(
    fc.property(bytes, fc.boolean(), (text, toHead) => {
      refusedOrRead(() => parseRequestHead(text));
      refusedOrRead(() => parseResponseHead(text, toHead));
      refusedOrRead(() => new ChunkedDecoder().decode(Buffer.from(text, 'latin1'), 0, () => {}));
    }),
    { numRuns: 5000 },
  );
});

test('a chunked body is the same however it is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 }),
      fc.integer({ min: 1, max: 9 }),
      (chunks, size) => {
        const whole = Buffer.concat([
          ...chunks.flatMap((one) => [Buffer.from(`${one.length.toString(16)};a=b\r\n`), one, Buffer.from('\r\n')]),
          Buffer.from('0\r\nx: y\r\n\r\nrest'),
        ]);
        const decoder = new ChunkedDecoder();
        const got: Buffer[] = [];
        let used = 0;
        for (let at = 0; at < whole.length && !decoder.done; at += size) {
          const part = whole.subarray(at, at + size);
          used = at + decoder.decode(part, 0, (data) => got.push(Buffer.from(data)));
        }
        assert.deepEqual(Buffer.concat(got), Buffer.concat(chunks));
        assert.equal(whole.subarray(used).toString(), 'rest');
      },
    ),
  );
});
