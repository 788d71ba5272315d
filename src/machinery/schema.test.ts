import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinSchema } from '#api';
import {
  applySchemaDefaults,
  normalizeScalars,
  pruneUnknown,
  unknownFieldText,
  validateAgainstSchema,
} from './index.ts';

const deployment = builtinSchema.type('apps/v1.Deployment');
const pod = (containers: unknown): object => ({
  metadata: { name: 'x' },
  spec: { template: { spec: { containers } } },
});

test('types are told as upstream’s decoder does', () => {
  const table: [object, string, string][] = [
    [
      { spec: { replicas: 'x' } },
      'spec.replicas',
      'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      { spec: { replicas: 1.5 } },
      'spec.replicas',
      'json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      { metadata: { labels: { a: 1 } } },
      'metadata.labels[a]',
      'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
    ],
    [
      pod([{ image: 5 }]),
      'spec.template.spec.containers[0].image',
      'json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.image of type string',
    ],
    [
      pod({}),
      'spec.template.spec.containers',
      'json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container',
    ],
    [
      { metadata: 1 },
      'metadata',
      'json: cannot unmarshal number into Go struct field Deployment.metadata of type v1.ObjectMeta',
    ],
  ];
  for (const [object, field, detail] of table) {
    assert.deepEqual(validateAgainstSchema(object, deployment), [{ type: 'FieldValueTypeInvalid', field, detail }]);
  }
  assert.equal(
    validateAgainstSchema([], deployment)[0]?.detail,
    'json: cannot unmarshal array into Go value of type v1.Deployment',
  );
  assert.match(
    validateAgainstSchema(pod([{ resources: { limits: { cpu: 'x' } } }]), deployment)[0]?.detail ?? '',
    /^quantities must match/,
  );
  assert.deepEqual(
    validateAgainstSchema({ metadata: { creationTimestamp: null }, spec: null, foo: 1 }, deployment),
    [],
  );
});

test('unknown fields are removed and named', () => {
  const draft = {
    foo: 1,
    metadata: { name: 'x', bar: 1 },
    spec: { template: { spec: { containers: [{ name: 'c', env: [{ baz: 1 }] }] } } },
    constructor: 1,
  };
  assert.deepEqual(pruneUnknown(draft, deployment), [
    'foo',
    'metadata.bar',
    'spec.template.spec.containers[0].env[0].baz',
    'constructor',
  ]);
  assert.deepEqual(Object.keys(draft), ['metadata', 'spec']);
  assert.equal(unknownFieldText('spec.foo'), 'unknown field "spec.foo"');
});

test('canonical form of a built-in object', () => {
  const draft = {
    metadata: { name: 'x', labels: {}, creationTimestamp: null, annotations: null },
    spec: {
      replicas: 0,
      paused: false,
      selector: { matchLabels: { a: 'b' } },
      template: {
        spec: {
          containers: [
            { name: 'c', image: '', command: [], resources: { limits: { cpu: '1000m', memory: 1024 } } },
            null,
          ],
          nodeSelector: {},
        },
      },
    },
  };
  normalizeScalars(draft, deployment);
  assert.deepEqual(draft, {
    metadata: { name: 'x' },
    spec: {
      replicas: 0,
      selector: { matchLabels: { a: 'b' } },
      strategy: {},
      template: {
        spec: {
          containers: [
            { name: 'c', resources: { limits: { cpu: '1', memory: '1024' } } },
            { name: '', resources: {} },
          ],
        },
      },
    },
    status: {},
  });
  const event = {
    metadata: { name: 'x' },
    eventTime: '2026-01-02T03:04:05.1234+01:00',
    firstTimestamp: '2026-01-02T03:04:05+01:00',
  };
  normalizeScalars(event, builtinSchema.type('core/v1.Event'));
  assert.equal(event.eventTime, '2026-01-02T02:04:05.123400Z');
  assert.equal(event.firstTimestamp, '2026-01-02T02:04:05Z');
});

test('static defaults', () => {
  const draft = {
    spec: {
      template: {
        spec: { containers: [{ name: 'c', ports: [{ containerPort: 80 }, { containerPort: 53, protocol: 'UDP' }] }] },
      },
    },
  };
  applySchemaDefaults(draft, deployment);
  assert.deepEqual(draft.spec.template.spec.containers[0]?.ports, [
    { containerPort: 80, protocol: 'TCP' },
    { containerPort: 53, protocol: 'UDP' },
  ]);
});
