import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { builtinResources, builtinSchema, type SchemaNode } from '#api';
import { arbitraryObject, arbitraryResource } from '../testkit/arbitrary-object.ts';
import { decodeObjectProtobuf, encodeObjectProtobuf } from './envelope.ts';
import { decodeJson, encodeJson } from './json.ts';
import { decodeProtobuf } from './protobuf-decode.ts';
import { encodeProtobuf } from './protobuf-encode.ts';
import { decodeYaml, encodeYaml } from './yaml.ts';

const options = { bigIntegers: true };

for (const info of builtinResources) {
  const apiVersion = info.group === '' ? info.version : `${info.group}/${info.version}`;
  test(`${apiVersion} ${info.kind} keeps its meaning in JSON and protobuf`, () => {
    const node = builtinSchema.type(info.typeName as string);
    fc.assert(
      fc.property(arbitraryResource(info, options), (object) => {
        assert.deepEqual(decodeJson(encodeJson(object)), object);
        const bytes = encodeObjectProtobuf(object, node);
        const back = decodeObjectProtobuf(bytes, () => node);
        assert.deepEqual(back, object);
        assert.deepEqual(encodeObjectProtobuf(back as typeof object, node), bytes);
      }),
      { numRuns: 30 },
    );
  });
}

test('every kind keeps its meaning in YAML', () => {
  for (const info of builtinResources) {
    fc.assert(
      fc.property(arbitraryResource(info, { ...options, presence: 0.3 }), (object) => {
        assert.deepEqual(decodeYaml(encodeYaml(object)), object);
      }),
      { numRuns: 4 },
    );
  }
});

test('every message of the schema that has a protobuf form survives it', () => {
  const withoutForm = /^meta\/v1\.(Table|TableRow|TableColumnDefinition|TableRowCondition|Patch)$/;
  for (const name of builtinSchema.typeNames()) {
    if (withoutForm.test(name) || name.startsWith('apidiscovery/')) continue;
    const node: SchemaNode = builtinSchema.type(name);
    fc.assert(
      fc.property(arbitraryObject(node, { presence: 0.7, maxDepth: 5 }), (object) => {
        assert.deepEqual(decodeProtobuf(encodeProtobuf(object, node), node), object);
      }),
      { numRuns: 3 },
    );
  }
});

test('damaged protobuf ends in a DecodeError or an object, never in anything else', () => {
  const node = builtinSchema.type('core/v1.Pod');
  fc.assert(
    fc.property(
      arbitraryObject(node),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (object, damage) => {
        const bytes = encodeProtobuf(object, node);
        for (const [where, byte] of damage) bytes[where % bytes.length] = byte;
        try {
          decodeProtobuf(bytes, node);
        } catch (error) {
          assert.ok(
            ['InvalidProtobuf', 'InvalidJson', 'TooDeep'].includes((error as { code: string }).code),
            String(error),
          );
        }
      },
    ),
  );
});
