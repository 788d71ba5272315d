import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bodyEncoding, negotiate, parseContentType, patchType } from './negotiation.ts';

const table = { transforms: ['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList'] } as const;
const kubectl =
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json';

test('what clients ask for', () => {
  const golden: [string | undefined, Parameters<typeof negotiate>[1], ReturnType<typeof negotiate>][] = [
    [undefined, {}, { encoding: 'json' }],
    ['', {}, { encoding: 'json' }],
    ['*/*', {}, { encoding: 'json' }],
    ['application/*', {}, { encoding: 'json' }],
    ['application/json, */*', {}, { encoding: 'json' }],
    ['application/yaml', {}, { encoding: 'yaml' }],
    ['application/vnd.kubernetes.protobuf,application/json', {}, { encoding: 'protobuf' }],
    ['application/vnd.kubernetes.protobuf,application/json', { encodings: ['json', 'yaml'] }, { encoding: 'json' }],
    ['application/json;q=0.5,application/yaml', {}, { encoding: 'yaml' }],
    ['*/*,application/yaml', {}, { encoding: 'yaml' }],
    ['application/json;q=0,application/yaml;q=0.1', {}, { encoding: 'yaml' }],
    ['text/html', {}, undefined],
    ['text/html, application/xhtml+xml, */*;q=0.8', {}, { encoding: 'json' }],
    ['application/vnd.kubernetes.protobuf', { encodings: ['json', 'yaml'] }, undefined],
    [kubectl, table, { encoding: 'json', as: { kind: 'Table', version: 'v1' } }],
    [kubectl, {}, { encoding: 'json' }],
    [
      'application/json;as=Table;v=v1beta1;g=meta.k8s.io',
      table,
      { encoding: 'json', as: { kind: 'Table', version: 'v1beta1' } },
    ],
    ['application/json;as=Table;v=v2;g=meta.k8s.io', table, undefined],
    ['application/json;as=Table;v=v1;g=other', table, undefined],
    ['application/json;as=Pod;v=v1;g=meta.k8s.io', table, undefined],
    [
      'application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
      table,
      { encoding: 'protobuf', as: { kind: 'PartialObjectMetadataList', version: 'v1' } },
    ],
    ['application/json;stream=watch', {}, { encoding: 'json', stream: true }],
    ['application/json;pretty=1', {}, { encoding: 'json', pretty: true }],
    ['Application/JSON ; q=1', {}, { encoding: 'json' }],
    [',,;,/', {}, undefined],
  ];
  for (const [accept, offered, expected] of golden)
    assert.deepEqual(negotiate(accept, offered), expected, String(accept));
});

test('bodies and patches', () => {
  assert.equal(bodyEncoding(undefined), 'json');
  assert.equal(bodyEncoding('application/json; charset=utf-8'), 'json');
  assert.equal(bodyEncoding('application/vnd.kubernetes.protobuf'), 'protobuf');
  assert.equal(bodyEncoding('application/yaml'), 'yaml');
  assert.equal(bodyEncoding('text/plain'), undefined);
  assert.equal(patchType('application/json-patch+json'), 'json');
  assert.equal(patchType('application/merge-patch+json;x=y'), 'merge');
  assert.equal(patchType('application/strategic-merge-patch+json'), 'strategic');
  assert.equal(patchType('application/apply-patch+yaml'), 'apply');
  assert.equal(patchType('application/json'), undefined);
  assert.equal(parseContentType('a/b; Charset="utf-8"').parameters.get('charset'), 'utf-8');
});
