import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { duplicateKeys } from './duplicate-keys.ts';
import { decodeJson, encodeJson } from './json.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

test('any JSON value comes back as it was', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      assert.equal(encodeJson(decodeJson(bytes(text))).toString(), text);
    }),
  );
});

test('int64 is exact both ways, other numbers are doubles', () => {
  const text = '{"a":9007199254740993,"b":-9223372036854775808,"c":12,"d":1.5,"e":9223372036854775808,"f":[1e3]}';
  const value = decodeJson(bytes(text)) as Record<string, unknown>;
  assert.equal(value.a, 9007199254740993n);
  assert.equal(value.b, -9223372036854775808n);
  assert.equal(value.c, 12);
  assert.equal(value.e, 9223372036854775808);
  assert.deepEqual(value.f, [1000]);
  assert.equal(
    encodeJson({ a: value.a, b: [value.b] }).toString(),
    '{"a":9007199254740993,"b":[-9223372036854775808]}',
  );
});

test('depth is bounded before parsing, quickly', () => {
  assert.throws(() => decodeJson(bytes('['.repeat(3_000_000))), { code: 'TooDeep', message: 'exceeded max depth' });
  assert.throws(() => decodeJson(bytes('{"a":'.repeat(600_000))), { code: 'TooDeep' });
  const nested = '['.repeat(1000) + ']'.repeat(1000);
  assert.ok(decodeJson(bytes(nested)));
  assert.throws(() => decodeJson(bytes(`[${nested}]`)), { code: 'TooDeep' });
  assert.equal(decodeJson(bytes('"[[[["'), { maxDepth: 1 }), '[[[[');
  assert.deepEqual(decodeJson(bytes('["\\"[[[["]'), { maxDepth: 1 }), ['"[[[[']);
});

test('ill-formed text is refused', () => {
  assert.throws(() => decodeJson(Buffer.from([0x22, 0xff, 0x22])), { code: 'InvalidJson' });
  assert.throws(() => decodeJson(bytes('"\\ud800"')), { code: 'InvalidJson' });
  assert.throws(() => decodeJson(bytes('{"\\udc00":1}')), { code: 'InvalidJson' });
  assert.equal(decodeJson(bytes('"\\ud83d\\ude00"')), '😀');
  assert.throws(() => decodeJson(bytes('[1e400]')), {
    message: 'json: cannot unmarshal number 1e400 into Go value of type float64',
  });
});

test('__proto__ is data', () => {
  const value = decodeJson(bytes('{"__proto__":{"x":1},"n":12345678901234567}')) as object;
  assert.deepEqual(Object.keys(value), ['__proto__', 'n']);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
});

test('errors are in the words of Go', () => {
  const golden: [string, string][] = [
    ['', 'unexpected end of JSON input'],
    ['{', 'unexpected end of JSON input'],
    ['{"a"', 'unexpected end of JSON input'],
    ['[1,', 'unexpected end of JSON input'],
    ['}', "invalid character '}' looking for beginning of value"],
    ['[1,]', "invalid character ']' looking for beginning of value"],
    ['{a:1}', "invalid character 'a' looking for beginning of object key string"],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b":2}', "invalid character '\"' after object key:value pair"],
    ['[1 2]', "invalid character '2' after array element"],
    ['{} x', "invalid character 'x' after top-level value"],
    ['"a\nb"', "invalid character '\\n' in string literal"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u00g0"', "invalid character 'g' in \\u hexadecimal character escape"],
    ['-a', "invalid character 'a' in numeric literal"],
    ['1.x', "invalid character 'x' after decimal point in numeric literal"],
    ['1e+x', "invalid character 'x' in exponent of numeric literal"],
    ['01', "invalid character '1' after top-level value"],
    ['trux', "invalid character 'x' in literal true (expecting 'e')"],
    ["'a'", "invalid character '\\'' looking for beginning of value"],
    ['\u00ef', "invalid character 'Ã' looking for beginning of value"],
    ['apiVersion: v1', "invalid character 'a' looking for beginning of value"],
  ];
  for (const [text, message] of golden)
    assert.throws(() => decodeJson(bytes(text)), { code: 'InvalidJson', message }, text);
});

test('damaged JSON always ends in a DecodeError with a reason', () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(), fc.constantFrom(...'{}[],:"\\x1-.'), (text, where, char) => {
      const at = where % (text.length + 1);
      const damaged = text.slice(0, at) + char + text.slice(at + 1);
      try {
        decodeJson(bytes(damaged));
      } catch (error) {
        assert.match((error as Error).message, /^(invalid (character|surrogate)|unexpected end|json: cannot)/, damaged);
      }
    }),
  );
});

test('duplicate keys are found with their paths', () => {
  const text = '{"a":1,"b":[{"c":1,"c":2},["x",{"d":{"e":1,"\\u0065":2}}]],"a":"b","f":{"a":1}}';
  assert.deepEqual(duplicateKeys(bytes(text)), ['b[0].c', 'b[1][1].d.e', 'a']);
  assert.deepEqual(duplicateKeys(bytes('{"a": ":", "b": {"a" : "\\"a\\":"}}')), []);
});

test('malformed texts do not upset the look for duplicate keys', () => {
  for (const text of ['{"a\\x":1,"a\\x":2}', '{"a', '{"a":1,"a', ']]', ',', '{"a":1}}{"a":', '{"\\u":']) {
    assert.ok(Array.isArray(duplicateKeys(bytes(text))), text);
  }
  assert.deepEqual(duplicateKeys(bytes('{"\\u0061":'.repeat(300_000))), []);
});

test('duplicate keys are found among many and by a naive model', () => {
  const many = Array.from({ length: 500 }, (_, i) => `"k${i}":{"x":${i}}`).join(',');
  assert.deepEqual(duplicateKeys(bytes(`{${many}}`)), []);
  assert.deepEqual(duplicateKeys(bytes(`{${many},"k77":1}`)), ['k77']);
  const tree = fc.letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('1', '"a,b{"', '"\\""', 'null', '{}', '[]'),
      fc.array(tie('value'), { maxLength: 4 }).map((items) => `[${items.join(', ')}]`),
      fc
        .array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'), tie('value')), { maxLength: 4 })
        .map((entries) => `{ ${entries.map(([key, value]) => `"${key}" : ${value}`).join(',')} }`),
    ),
  })).value;
  fc.assert(
    fc.property(tree, (text) => {
      assert.deepEqual(
        duplicateKeys(bytes(text)).length > 0,
        countKeys(text) !== countKeys(JSON.stringify(JSON.parse(text))),
        text,
      );
    }),
    { numRuns: 300 },
  );
});

/** Keys in a text without colons in its strings. A key that vanishes in parsing was there twice. */
function countKeys(text: string): number {
  return text.split(':').length;
}
