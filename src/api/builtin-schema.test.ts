import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { builtinResources, builtinSchema, type FieldSchema, type SchemaNode } from './index.ts';

function field(type: string, name: string): FieldSchema {
  const found = builtinSchema.type(type).fields?.get(name);
  assert.ok(found, `${type}.${name}`);
  return found;
}

test('every built-in resource has a message with apiVersion, kind and a list message', () => {
  for (const { typeName = '', kind } of builtinResources) {
    const node = builtinSchema.type(typeName);
    assert.equal(node.form, 'struct');
    assert.deepEqual(node.fields?.get('apiVersion')?.numbers, [], typeName);
    assert.deepEqual(node.fields?.get('kind')?.numbers, [], typeName);
    if (node.fields?.get('metadata')?.node.typeName === 'meta/v1.ObjectMeta' && !/Review$|^Binding$/.test(kind)) {
      const items = builtinSchema.type(`${typeName}List`).fields?.get('items');
      assert.equal(items?.node.element, node, `${typeName}List.items`);
      assert.deepEqual(items?.numbers, [2]);
    }
  }
});

test('every node of the graph has what its form needs and protobuf numbers are unique in a message', () => {
  const seen = new Set<SchemaNode>();
  const queue = builtinSchema.typeNames().map((name) => builtinSchema.type(name));
  for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (node.form === 'scalar') assert.ok(node.scalar);
    if (node.form === 'list' || node.form === 'map') assert.ok(node.element);
    if (node.element) queue.push(node.element);
    if (node.form !== 'struct') continue;
    const paths = [...(node.fields?.values() ?? [])]
      .filter((one) => one.numbers.length > 0)
      .map((one) => one.numbers.join('.'));
    assert.equal(new Set(paths).size, paths.length, String(node.typeName));
    assert.ok(
      paths.every((path) => /^\d+(\.\d+)*$/.test(path)),
      String(node.typeName),
    );
    for (const one of node.fields?.values() ?? []) queue.push(one.node);
  }
  assert.ok(seen.size > 600);
});

test('messages that exist only on the wire resolve', () => {
  const names = [
    'WatchEvent',
    'Status',
    'Table',
    'PartialObjectMetadata',
    'PartialObjectMetadataList',
    'DeleteOptions',
    'PatchOptions',
  ];
  for (const name of names) assert.ok(builtinSchema.has(`meta/v1.${name}`), name);
  for (const name of [
    'autoscaling/v1.Scale',
    'policy/v1.Eviction',
    'core/v1.Binding',
    'authentication/v1.TokenRequest',
    'admission/v1.AdmissionReview',
  ]) {
    assert.ok(builtinSchema.has(name), name);
  }
  assert.equal(builtinSchema.has('core/v1.Nothing'), false);
  assert.equal(builtinSchema.has('__proto__'), false);
  assert.throws(() => builtinSchema.type('core/v1.Nothing'), TypeError);
});

test('golden facts of fields', () => {
  assert.deepEqual(field('core/v1.Volume', 'hostPath').numbers, [2, 1]);
  assert.deepEqual(field('core/v1.PersistentVolumeSpec', 'hostPath').numbers, [2, 3]);
  assert.deepEqual(field('core/v1.EphemeralContainer', 'image').numbers, [1, 2]);
  assert.deepEqual(field('core/v1.Probe', 'httpGet').numbers, [1, 2]);
  assert.deepEqual(field('admissionregistration/v1.NamedRuleWithOperations', 'apiGroups').numbers, [2, 2, 1]);
  assert.deepEqual(field('networking/v1.IngressRule', 'http').numbers, [2, 1]);

  const containers = field('core/v1.PodSpec', 'containers');
  assert.deepEqual(containers.patchStrategy, ['merge']);
  assert.equal(containers.patchMergeKey, 'name');
  assert.equal(containers.listType, 'map');
  assert.deepEqual(containers.listMapKeys, ['name']);
  assert.equal(containers.required, true);
  assert.deepEqual(field('core/v1.PodSpec', 'volumes').patchStrategy, ['merge', 'retainKeys']);
  assert.equal(field('core/v1.PodSpec', 'nodeSelector').mapType, 'atomic');
  assert.equal(field('apps/v1.DeploymentSpec', 'replicas').pointer, true);
  assert.equal(field('core/v1.ContainerPort', 'protocol').default, 'TCP');
  assert.deepEqual(field('core/v1.ContainerPort', 'protocol').node.enum, ['TCP', 'UDP', 'SCTP']);

  const limits = field('core/v1.ResourceRequirements', 'limits').node;
  assert.equal(limits.form, 'map');
  assert.equal(limits.element?.scalar, 'Quantity');
  assert.equal(field('core/v1.Secret', 'data').node.element?.scalar, 'bytes');
  assert.equal(field('core/v1.ServicePort', 'targetPort').node.scalar, 'IntOrString');
  assert.equal(field('meta/v1.ObjectMeta', 'creationTimestamp').node.scalar, 'Time');
  assert.equal(field('coordination/v1.LeaseSpec', 'renewTime').node.scalar, 'MicroTime');
  assert.equal(field('meta/v1.ManagedFieldsEntry', 'fieldsV1').node.opaque, 'FieldsV1');
  assert.equal(field('apps/v1.ControllerRevision', 'data').node.opaque, 'RawExtension');
  assert.equal(field('authentication/v1.UserInfo', 'extra').node.element?.itemsMessage, true);
  assert.equal(field('meta/v1.APIResource', 'verbs').node.itemsMessage, true);
  assert.equal(field('apiextensions/v1.JSONSchemaProps', 'x-kubernetes-validations').node.itemsMessage, undefined);
  assert.equal(field('apiextensions/v1.JSONSchemaProps', 'items').node.opaque, 'JSONSchemaPropsOrArray');
  assert.equal(
    field('apiextensions/v1.JSONSchemaProps', 'properties').node.element?.typeName,
    'apiextensions/v1.JSONSchemaProps',
  );
});

for (const script of ['generate-types.ts', 'generate-schema.ts']) {
  test(`what ${script} writes is fresh`, async () => {
    const path = fileURLToPath(new URL(`../../scripts/${script}`, import.meta.url));
    await new Promise<void>((resolve, reject) => {
      execFile(process.execPath, [path, '--check'], (error, _, stderr) =>
        error ? reject(new Error(stderr)) : resolve(),
      );
    });
  });
}
