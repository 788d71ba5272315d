import assert from 'node:assert/strict';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import { testServer } from '../test-server.ts';
import { encodeSwagger } from './gnostic.ts';

const crd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'crontabs.stable.example.com' },
  spec: {
    group: 'stable.example.com',
    scope: 'Namespaced',
    names: { plural: 'crontabs', singular: 'crontab', kind: 'CronTab' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            description: 'A cron tab.',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  when: { type: 'string' },
                  often: { type: 'integer', nullable: true },
                  free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                },
                required: ['when', 'often'],
              },
            },
          },
        },
      },
    ],
  },
};

/** Every reference of a document. */
function references(document: unknown): Set<string> {
  const found = new Set<string>();
  JSON.stringify(document, (key, value) => {
    if (key === '$ref' && typeof value === 'string') found.add(value);
    return value;
  });
  return found;
}

test('v2: whole, with the names that clients know', async () => {
  await using one = await testServer();
  const { body, headers } = await one.ask('GET', '/openapi/v2');
  const pod = body.definitions['io.k8s.api.core.v1.Pod'];
  assert.deepEqual(pod['x-kubernetes-group-version-kind'], [{ group: '', kind: 'Pod', version: 'v1' }]);
  assert.match(pod.description, /^Pod is a collection of containers/);
  assert.equal(pod.properties.metadata.$ref, '#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta');
  const { containers } = body.definitions['io.k8s.api.core.v1.PodSpec'].properties;
  assert.equal(containers['x-kubernetes-patch-merge-key'], 'name');
  assert.equal(containers['x-kubernetes-patch-strategy'], 'merge');
  assert.deepEqual(body.definitions['io.k8s.api.core.v1.PodSpec'].required, ['containers']);
  assert.deepEqual(body.definitions['io.k8s.apimachinery.pkg.util.intstr.IntOrString'].format, 'int-or-string');
  for (const reference of references(body))
    assert.ok(Object.hasOwn(body.definitions, reference.slice('#/definitions/'.length)), reference);
  const patch = body.paths['/api/v1/namespaces/{namespace}/pods/{name}'].patch;
  assert.equal(patch.operationId, 'patchCoreV1NamespacedPod');
  assert.equal(patch['x-kubernetes-action'], 'patch');
  assert.ok(patch.parameters.some((parameter: { name: string }) => parameter.name === 'fieldValidation'));
  assert.equal(
    body.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale'].get['x-kubernetes-group-version-kind']
      .kind,
    'Scale',
  );
  assert.equal(
    (await one.ask('GET', '/openapi/v2', undefined, { 'if-none-match': headers.etag as string })).status,
    304,
  );
});

test('v2 as protobuf: what another decoder reads is the same document', async () => {
  await using one = await testServer();
  const type = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
  const response = await one.transport.request({ method: 'GET', target: '/openapi/v2', headers: { accept: type } });
  assert.equal(response.headers['content-type'], 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf');
  const swagger = (await one.ask('GET', '/openapi/v2')).body;
  const bytes = await response.bytes();
  assert.deepEqual(Buffer.from(bytes), Buffer.from(encodeSwagger(swagger)));
  const reader = protobuf
    .parse(`
    syntax = "proto3";
    message Any { string yaml = 2; } message NamedAny { string name = 1; Any value = 2; }
    message TypeItem { repeated string value = 1; } message Items { repeated Schema schema = 1; }
    message Properties { repeated NamedSchema additional_properties = 1; } message NamedSchema { string name = 1; Schema value = 2; }
    message Schema { string _ref = 1; string description = 4; repeated string required = 19; TypeItem type = 22; Items items = 23; Properties properties = 25; repeated NamedAny vendor_extension = 31; }
    message Query { string in = 2; string name = 4; } message NonBody { Query query = 3; } message Parameter { NonBody non_body = 2; }
    message ParametersItem { Parameter parameter = 1; }
    message Operation { string operation_id = 5; repeated ParametersItem parameters = 8; repeated NamedAny vendor_extension = 13; }
    message PathItem { Operation patch = 8; } message NamedPathItem { string name = 1; PathItem value = 2; } message Paths { repeated NamedPathItem path = 2; }
    message Document { string swagger = 1; Paths paths = 8; Properties definitions = 9; }`)
    .root.lookupType('Document');
  // biome-ignore lint: decoded by a schema of the test's own
  const document = reader.toObject(reader.decode(bytes)) as any;
  assert.equal(document.swagger, '2.0');
  assert.equal(document.definitions.additionalProperties.length, Object.keys(swagger.definitions).length);
  const spec = document.definitions.additionalProperties.find(
    (each: { name: string }) => each.name === 'io.k8s.api.apps.v1.DeploymentSpec',
  ).value;
  assert.deepEqual(spec.required, ['selector', 'template']);
  assert.equal(
    spec.properties.additionalProperties.find((each: { name: string }) => each.name === 'template').value.Ref ??
      spec.properties.additionalProperties.find((each: { name: string }) => each.name === 'template').value._ref,
    '#/definitions/io.k8s.api.core.v1.PodTemplateSpec',
  );
  const path = document.paths.path.find(
    (each: { name: string }) => each.name === '/api/v1/namespaces/{namespace}/pods/{name}',
  ).value.patch;
  assert.ok(
    path.parameters.some(
      (each: { parameter?: { nonBody?: { query?: { name: string } } } }) =>
        each.parameter?.nonBody?.query?.name === 'dryRun',
    ),
  );
  assert.deepEqual(
    JSON.parse(
      path.vendorExtension.find((each: { name: string }) => each.name === 'x-kubernetes-group-version-kind').value.yaml,
    ),
    { group: '', kind: 'Pod', version: 'v1' },
  );
});

test('v3: an index with hashes, one whole document a group version', async () => {
  await using one = await testServer();
  const index = (await one.ask('GET', '/openapi/v3')).body;
  assert.ok(Object.keys(index.paths).includes('apis/apps/v1'));
  for (const [path, { serverRelativeURL }] of Object.entries(index.paths) as [
    string,
    { serverRelativeURL: string },
  ][]) {
    const { status, body, headers } = await one.ask('GET', serverRelativeURL);
    assert.equal(status, 200, path);
    assert.equal(headers['cache-control'], 'public, immutable');
    for (const reference of references(body))
      assert.ok(
        Object.hasOwn(body.components.schemas, reference.slice('#/components/schemas/'.length)),
        `${path}: ${reference}`,
      );
  }
  assert.equal((await one.ask('GET', '/openapi/v3/apis/none/v1')).status, 404);
});

test('custom resources come and go with their definition', async () => {
  await using one = await testServer();
  const before = (await one.ask('GET', '/openapi/v3')).body.paths;
  assert.equal(before['apis/stable.example.com/v1'], undefined);
  assert.equal((await one.ask('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd)).status, 201);
  for (
    let turn = 0;
    turn < 50 && one.server.catalogue.byPlural('stable.example.com', 'v1', 'crontabs') === undefined;
    turn++
  )
    await new Promise((resolve) => setImmediate(resolve));
  const { definitions } = (await one.ask('GET', '/openapi/v2')).body;
  const made = definitions['com.example.stable.v1.CronTab'];
  assert.deepEqual(Object.keys(made.properties).sort(), ['apiVersion', 'kind', 'metadata', 'spec']);
  assert.deepEqual(made.properties.spec.properties, {
    when: { type: 'string' },
    often: {},
    free: { 'x-kubernetes-preserve-unknown-fields': true },
  });
  assert.deepEqual(made.properties.spec.required, ['when']);
  const index = (await one.ask('GET', '/openapi/v3')).body.paths;
  const document = (await one.ask('GET', index['apis/stable.example.com/v1'].serverRelativeURL)).body;
  assert.deepEqual(document.components.schemas['com.example.stable.v1.CronTab'].properties.spec.properties.often, {
    type: 'integer',
    nullable: true,
  });
  assert.ok(document.paths['/apis/stable.example.com/v1/namespaces/{namespace}/crontabs'].get);
  // kubectl takes from here which patches it may send.
  const item = document.paths['/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}'];
  assert.deepEqual(Object.keys(item.patch.requestBody.content), [
    'application/json-patch+json',
    'application/merge-patch+json',
    'application/apply-patch+yaml',
  ]);
});
