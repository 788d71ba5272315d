import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AnyObject, builtinResources, builtinSchema, type ResourceInfo, type SchemaNode } from '#api';
import { seededRandom } from '#base';
import { randomObject } from '../testkit/arbitrary-object.ts';
import { decodeObjectProtobuf, encodeObjectProtobuf } from './envelope.ts';
import { decodeJson, encodeJson } from './json.ts';
import { decodeYaml, encodeYaml } from './yaml.ts';

const recursive = 'apiextensions/v1.JSONSchemaProps';

/** Nodes of the schema that a kind's objects can hold. */
function nodesBelow(root: SchemaNode): Set<SchemaNode> {
  const found = new Set([root]);
  for (const node of found) {
    for (const field of node.fields?.values() ?? []) found.add(field.node);
    if (node.element !== undefined) found.add(node.element);
  }
  return found;
}

/** `core/v1.PodSpec.nodeName` of all fields that a kind's objects can hold and that have a place in every encoding. */
function fieldsBelow(root: SchemaNode): Set<string> {
  const names = new Set<string>();
  for (const node of nodesBelow(root)) {
    for (const field of node.fields?.values() ?? []) {
      if (field.numbers.length > 0) names.add(`${node.typeName}.${field.name}`);
    }
  }
  return names;
}

/** Takes from `wanted` what is set in a value. */
function strike(value: unknown, node: SchemaNode, wanted: Set<string>): void {
  if (Array.isArray(value)) {
    for (const one of value) if (node.element !== undefined) strike(one, node.element, wanted);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [key, one] of Object.entries(value)) {
    const field = node.fields?.get(key);
    if (field !== undefined) wanted.delete(`${node.typeName}.${key}`);
    const inner = field?.node ?? (node.form === 'map' || node.form === 'any' ? node.element : undefined);
    if (inner !== undefined) strike(one, inner.opaque === undefined ? inner : (inner.element ?? inner), wanted);
  }
}

const mostObjects = 60;
let total = 0;

for (const info of builtinResources) {
  const apiVersion = info.group === '' ? info.version : `${info.group}/${info.version}`;
  test(`every field of ${apiVersion} ${info.kind} survives JSON, YAML and protobuf`, () => {
    const node = builtinSchema.type(info.typeName as string);
    const wanted = fieldsBelow(node);
    assert.ok(wanted.size > 20, `${wanted.size} fields`);
    total += wanted.size;
    let objects = 0;
    for (let seed = 1; wanted.size > 0; seed++) {
      assert.ok(seed <= mostObjects, `never set: ${[...wanted].join(', ')}`);
      const object = fullObject(info, node, seed);
      strike(object, node, wanted);
      assert.deepEqual(decodeJson(encodeJson(object)), object);
      const back = decodeObjectProtobuf(encodeObjectProtobuf(object, node), () => node);
      assert.deepEqual(back, object);
      assert.deepEqual(decodeYaml(encodeYaml(object)), object);
      objects++;
    }
    assert.ok(objects > 0);
  });
}

test('these are all fields of the kinds that are served', () => {
  assert.ok(total > 8300, `${total} fields`);
});

/** An object in which every field is set, but for those whose random value is a zero that is not sent. */
function fullObject(info: ResourceInfo, node: SchemaNode, seed: number): AnyObject {
  const apiVersion = info.group === '' ? info.version : `${info.group}/${info.version}`;
  const nests = [...nodesBelow(node)].some((one) => one.typeName === recursive);
  const object = randomObject(node, seededRandom(seed), { presence: 1e6, maxDepth: nests ? 6 : 30 });
  const metadata = { ...(object.metadata as object | undefined), name: `full-${seed}` };
  return { ...object, apiVersion, kind: info.kind, metadata } as unknown as AnyObject;
}
