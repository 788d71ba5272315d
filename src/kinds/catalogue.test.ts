import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinResources } from '#api';
import { builtinKinds, openKindCatalogue } from './catalogue.ts';

test('the catalogue has one definition for each built-in resource, in the same order', () => {
  assert.deepEqual(
    builtinKinds.map((kind) => kind.resource),
    builtinResources,
  );
});

test('every table but that of events starts with the name', () => {
  for (const kind of builtinKinds) {
    if (kind.columns.length === 0 || kind.resource.kind === 'Event') continue;
    assert.equal(kind.columns[0]?.name, 'Name', kind.resource.plural);
    assert.equal(kind.columns[0]?.format, 'name', kind.resource.plural);
  }
});

test('no two kinds share a storage segment but those that share their store', () => {
  const seen = new Map<string, string>();
  for (const kind of builtinKinds) {
    if (kind.stored === false) continue;
    const segment = kind.storageSegment ?? kind.resource.plural;
    const before = seen.get(segment);
    if (before !== undefined) assert.equal(before, kind.resource.kind, segment);
    seen.set(segment, kind.resource.kind);
  }
});

test('an open catalogue finds, adds, removes and tells', () => {
  const catalogue = openKindCatalogue();
  assert.equal(catalogue.byPlural('apps', 'v1', 'deployments')?.resource.kind, 'Deployment');
  assert.equal(catalogue.byKind('', 'v1', 'Pod')?.resource.plural, 'pods');
  assert.equal(catalogue.byPlural('', 'v1', 'constructor'), undefined);
  const changes: string[] = [];
  const stop = catalogue.onChange((change) => changes.push(`${change.type} ${change.definition.resource.plural}`));
  const widgets = {
    resource: {
      group: 'example.com',
      version: 'v1',
      kind: 'Widget',
      plural: 'widgets',
      singular: 'widget',
      namespaced: true,
      shortNames: [],
      categories: [],
    },
    columns: [],
  };
  catalogue.add(widgets);
  assert.equal(catalogue.byKind('example.com', 'v1', 'Widget'), widgets);
  assert.equal(catalogue.all().length, builtinKinds.length + 1);
  catalogue.add({ ...widgets });
  catalogue.remove('example.com', 'v1', 'widgets');
  catalogue.remove('example.com', 'v1', 'widgets');
  stop();
  catalogue.add(widgets);
  assert.deepEqual(changes, ['added widgets', 'replaced widgets', 'removed widgets']);
  assert.equal(openKindCatalogue().byPlural('example.com', 'v1', 'widgets'), undefined);
});
