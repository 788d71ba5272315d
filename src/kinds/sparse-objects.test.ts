import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type AnyObject, apiVersionOf, builtinSchema, type SchemaNode } from '#api';
import { applySchemaDefaults, cloneObject, deepFreeze, fieldErrorText } from '#machinery';
import { builtinKinds } from './catalogue.ts';
import type { KindDefinition } from './definition.ts';

const words = [
  '',
  'a',
  'x-1',
  'Always',
  'RollingUpdate',
  'Indexed',
  'None',
  '10.0.0.1',
  '::1',
  'metadata.name',
  '/p',
  '100%',
];

/** Any value that the schema allows, with most fields absent; `choose(n)` picks 0…n-1. */
function valueOf(node: SchemaNode, choose: (below: number) => number, depth: number): unknown {
  switch (node.form) {
    case 'struct': {
      const object: Record<string, unknown> = {};
      for (const [name, field] of node.fields ?? [])
        if (depth > 0 && choose(6) < (depth > 7 ? 4 : depth > 4 ? 2 : 1))
          object[name] = valueOf(field.node, choose, depth - 1);
      return object;
    }
    case 'map':
      return node.element === undefined || choose(2) === 0
        ? {}
        : {
            [words[choose(words.length)] ?? '']: valueOf(node.element, choose, depth - 1),
            __proto__x: valueOf(node.element, choose, depth - 1),
          };
    case 'list':
      return node.element === undefined
        ? []
        : Array.from({ length: choose(3) }, () => valueOf(node.element as SchemaNode, choose, depth - 1));
    case 'any':
      return {};
    default:
      return scalarOf(node, choose);
  }
}

function scalarOf(node: SchemaNode, choose: (below: number) => number): unknown {
  if (node.enum !== undefined && choose(2) === 0) return node.enum[choose(node.enum.length)];
  switch (node.scalar) {
    case 'boolean':
      return choose(2) === 0;
    case 'int32':
    case 'int64':
    case 'float64':
      return [0, 1, -1, 80, 70000][choose(5)];
    case 'Quantity':
      return ['0', '1', '100m', '1Gi', '-1'][choose(5)];
    case 'IntOrString':
      return [0, 80, 'http', '25%', ''][choose(5)];
    case 'Time':
    case 'MicroTime':
      return '2026-01-02T03:04:05Z';
    case 'Duration':
      return '5m0s';
    case 'bytes':
      return 'YQ==';
    default:
      return words[choose(words.length)];
  }
}

/** A small deterministic generator (mulberry32): the same seed makes the same objects. */
function chooser(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function objectOf(kind: KindDefinition, choose: (below: number) => number): AnyObject {
  const { resource } = kind;
  const object = valueOf(builtinSchema.type(resource.typeName ?? ''), choose, 9) as AnyObject;
  return {
    ...object,
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    metadata: {
      name: 'a',
      uid: 'u',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(resource.namespaced ? { namespace: 'default' } : {}),
      ...(choose(3) === 0 ? { deletionTimestamp: '2026-01-01T00:01:00Z' } : {}),
    } as AnyObject['metadata'],
  };
}

function exercise(kind: KindDefinition, first: AnyObject, second: AnyObject): void {
  const node = builtinSchema.type(kind.resource.typeName ?? '');
  const drafts = [first, second].map((object) => {
    const draft = cloneObject(object);
    applySchemaDefaults(draft, node);
    kind.applyDefaults?.(draft);
    const again = cloneObject(draft);
    kind.applyDefaults?.(again);
    assert.deepEqual(again, draft, 'defaults are idempotent');
    return draft;
  });
  const [draft, old] = drafts as [AnyObject, AnyObject];
  kind.prepareForCreate?.(old);
  deepFreeze(old);
  const errors = [...(kind.validate?.(draft) ?? [])];
  kind.prepareForUpdate?.(draft, old);
  errors.push(...(kind.validateUpdate?.(draft, old) ?? []), ...(kind.validateStatusUpdate?.(draft, old) ?? []));
  kind.prepareForStatusUpdate?.(draft, old);
  for (const error of errors) assert.equal(typeof error.field, 'string');
  const unchanged = (kind.validateUpdate?.(old, old) ?? []).map(fieldErrorText);
  assert.deepEqual(
    unchanged.filter((text) => text.includes('immutable') || text.includes('Forbidden')),
    [],
    'nothing changed',
  );
  for (const column of kind.columns) {
    const cell = column.value(draft, { nowMs: 1_800_000_000_000 });
    assert.notEqual(cell, undefined, `${kind.resource.kind} ${column.name}`);
  }
  for (const value of Object.values(kind.fieldSelectors ?? {})) assert.equal(typeof value(draft), 'string');
  if (kind.scale !== undefined) {
    kind.scale.setReplicas(draft, 3);
    assert.equal(kind.scale.replicas(draft), 3);
    assert.equal(typeof kind.scale.statusReplicas(draft), 'number');
  }
  if (kind.toStorage !== undefined) kind.fromStorage?.(kind.toStorage(cloneObject(draft)));
  kind.gracePeriodSeconds?.(draft, undefined);
}

for (const kind of builtinKinds)
  test(`${kind.resource.plural}.${kind.resource.group} ${kind.resource.version}: no object that the schema allows breaks it`, () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const choose = chooser(seed);
        exercise(kind, objectOf(kind, choose), objectOf(kind, choose));
      }),
      { numRuns: 60, seed: 7 },
    );
  });
