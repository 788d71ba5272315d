import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinSchema } from '#api';
import {
  decodeEnvelope,
  decodeObjectProtobuf,
  decodeProtobuf,
  encodeEnvelope,
  encodeListProtobuf,
  encodeProtobuf,
  protobufList,
} from './index.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** [message, object as JSON has it, bytes]: taken apart by hand along the protobuf specification. */
const golden: [type: string, object: object, bytes: string][] = [
  ['core/v1.ContainerPort', { containerPort: 80 }, '0a00 1000 1850 2200 2a00'],
  [
    'core/v1.ContainerPort',
    { name: 'http', hostPort: 300, containerPort: -1 },
    '0a0468747470 10ac02 18ffffffffffffffffff01 2200 2a00',
  ],
  ['meta/v1.Preconditions', {}, ''],
  ['meta/v1.Preconditions', { uid: '' }, '0a00'],
  ['core/v1.ConfigMapKeySelector', { name: 'cm', key: 'k' }, '0a04 0a02636d 12016b'],
  ['core/v1.ConfigMapKeySelector', { key: 'k', optional: false }, '0a02 0a00 12016b 1800'],
  ['core/v1.ConfigMap', { metadata: { name: 'a' }, data: { b: 'c', a: '' } }, configMapBytes()],
  ['core/v1.Secret', { data: { a: 'AQL/' } }, secretBytes()],
  ['core/v1.ResourceRequirements', { limits: { cpu: '100m' } }, '0a0d 0a03637075 1206 0a043130306d'],
  ['core/v1.TCPSocketAction', { port: 'http' }, '0a0a 0801 1000 1a0468747470 1200'],
  ['core/v1.TCPSocketAction', { port: 8080, host: 'h' }, '0a07 0800 10903f 1a00 120168'],
  ['core/v1.ContainerStateRunning', { startedAt: '1970-01-01T00:01:40Z' }, '0a04 0864 1000'],
  ['core/v1.ContainerStateRunning', {}, '0a00'],
  ['coordination/v1.LeaseSpec', { renewTime: '1970-01-01T00:00:01.000002Z' }, '2205 0801 10d00f'],
  ['core/v1.Toleration', { tolerationSeconds: 9007199254740993n }, '0a00 1200 1a00 2200 288180808080808010'],
  [
    'authentication/v1.UserInfo',
    { username: 'u', extra: { k: ['a', 'b'] } },
    '0a0175 1200 220b 0a016b 1206 0a0161 0a0162',
  ],
  ['apps/v1.ControllerRevision', { metadata: {}, data: { a: 1 }, revision: 2 }, controllerRevision()],
  ['policy/v1.PodDisruptionBudgetStatus', pdbStatus(), '0800 1209 0a0161 1204 0801 1000 1800 2000 2800 3000'],
  ['core/v1.PodSecurityContext', { supplementalGroups: [1, 2] }, '2001 2002'],
];

function pdbStatus(): object {
  const zeros = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
  return { disruptedPods: { a: '1970-01-01T00:00:01Z' }, ...zeros };
}

function zeroMetaBytes(name: string): string {
  return `${name} 1200 1a00 2200 2a00 3200 3800 4200`;
}

function configMapBytes(): string {
  return `0a11 ${zeroMetaBytes('0a0161')} 1205 0a0161 1200 1206 0a0162 120163`;
}

function secretBytes(): string {
  return `0a10 ${zeroMetaBytes('0a00')} 1208 0a0161 1203 0102ff 1a00`;
}

function controllerRevision(): string {
  return `0a10 ${zeroMetaBytes('0a00')} 1209 0a077b2261223a317d 1802`;
}

test('messages are these bytes and back', () => {
  for (const [type, object, bytes] of golden) {
    const node = builtinSchema.type(type);
    assert.equal(encodeProtobuf(object, node).toString('hex'), bytes.replaceAll(' ', ''), type);
    const back = decodeProtobuf(hex(bytes), node);
    const again = encodeProtobuf(back, node);
    assert.equal(again.toString('hex'), bytes.replaceAll(' ', ''), `${type} again`);
  }
});

test('what is absent on the wire is required or absent in the object', () => {
  assert.deepEqual(decodeProtobuf(hex(''), builtinSchema.type('meta/v1.Condition')), {
    lastTransitionTime: null,
    message: '',
    reason: '',
    status: '',
    type: '',
  });
});

test('an absent value of a map entry is its zero', () => {
  const status = decodeProtobuf(hex('1203 0a0161'), builtinSchema.type('policy/v1.PodDisruptionBudgetStatus'));
  assert.deepEqual(status.disruptedPods, { a: null });
  const quota = decodeProtobuf(hex('0a05 0a03637075'), builtinSchema.type('core/v1.ResourceRequirements'));
  assert.deepEqual(quota, { limits: { cpu: '0' } });
});

test('unknown fields are skipped, packed lists read, later scalars win, __proto__ is a key like others', () => {
  const port = builtinSchema.type('core/v1.ContainerPort');
  assert.deepEqual(decodeProtobuf(hex('f80105 fa0103616263 fd0100000000 f9010000000000000000 1850'), port), {
    containerPort: 80,
  });
  assert.deepEqual(decodeProtobuf(hex('1850 1851'), port), { containerPort: 81 });
  assert.deepEqual(decodeProtobuf(hex('2203 010203'), builtinSchema.type('core/v1.PodSecurityContext')), {
    supplementalGroups: [1, 2, 3],
  });
  const map = decodeProtobuf(hex('120e 0a095f5f70726f746f5f5f 120178'), builtinSchema.type('core/v1.ConfigMap'));
  assert.deepEqual(Object.keys(map.data as object), ['__proto__']);
  assert.equal(Object.getPrototypeOf(map.data), Object.prototype);
});

test('malformed bytes are refused', () => {
  const pod = builtinSchema.type('core/v1.Pod');
  for (const bytes of ['0a', '0a05', '0aff', '0b', '0a80808080808080808080', '08', '1203 0a0a 61']) {
    assert.throws(() => decodeProtobuf(hex(bytes), pod), { code: 'InvalidProtobuf' }, bytes);
  }
  assert.throws(() => decodeProtobuf(hex('0a02 c328'), builtinSchema.type('core/v1.ContainerPort')), {
    code: 'InvalidProtobuf',
  });
});

test('nesting is bounded both ways', () => {
  const node = builtinSchema.type('apiextensions/v1.JSONSchemaProps');
  let object: object = { type: 'object' };
  for (let i = 0; i < 900; i++) object = { not: object };
  assert.deepEqual(decodeProtobuf(encodeProtobuf(object, node), node).not !== undefined, true);
  for (let i = 0; i < 200; i++) object = { not: object };
  assert.throws(() => encodeProtobuf(object, node), { code: 'NotEncodable' });
  let bytes = Buffer.alloc(0);
  for (let i = 0; i < 1100; i++) bytes = Buffer.concat([lengthPrefixed('e201', bytes.length), bytes]);
  assert.throws(() => decodeProtobuf(bytes, node), { code: 'TooDeep' });
});

function lengthPrefixed(tag: string, length: number): Buffer {
  const prefix = [...hex(tag)];
  let rest = length;
  for (; rest >= 0x80; rest >>= 7) prefix.push((rest & 0x7f) | 0x80);
  return Buffer.from([...prefix, rest]);
}

test('a value of another type than the schema says is an EncodeError that names the field', () => {
  const pod = builtinSchema.type('core/v1.Pod');
  assert.throws(() => encodeProtobuf({ spec: { containers: [{ name: 5 }] } }, pod), {
    code: 'NotEncodable',
    message: 'spec: containers: name: expected a string, found number',
  });
  assert.throws(() => encodeProtobuf({ spec: { priority: 1.5 } }, pod), { code: 'NotEncodable' });
  assert.deepEqual(encodeProtobuf({ metadata: { name: 'x' } }, pod), encodeProtobuf({ metadata: { name: 'x' } }, pod));
});

test('the envelope is the magic and Unknown', () => {
  const bytes = encodeEnvelope({ apiVersion: 'v1', kind: 'Pod', raw: Buffer.from('abc') });
  assert.equal(bytes.toString('hex'), hex('6b387300 0a09 0a027631 1203506f64 1203616263 1a00 2200').toString('hex'));
  assert.deepEqual(decodeEnvelope(bytes), {
    apiVersion: 'v1',
    kind: 'Pod',
    raw: Buffer.from('abc'),
    contentEncoding: '',
    contentType: '',
  });
  assert.throws(() => decodeEnvelope(Buffer.from('{}')), { code: 'InvalidProtobuf' });
});

test('a list spliced from encoded items is the list encoded whole', () => {
  const pod = builtinSchema.type('core/v1.Pod');
  const items = Array.from({ length: 300 }, (_, i) => ({
    metadata: { name: `p${i}`, annotations: { a: 'x'.repeat(i * 7) } },
    spec: { containers: [], nodeName: 'n' },
  }));
  const metadata = { resourceVersion: '42', remainingItemCount: 7 };
  const list = {
    apiVersion: 'v1',
    kind: 'PodList',
    metadata,
    items: items.map((item) => encodeProtobuf(item, pod)),
  };
  const whole = encodeEnvelope({
    apiVersion: 'v1',
    kind: 'PodList',
    raw: encodeProtobuf({ metadata, items }, builtinSchema.type('core/v1.PodList')),
  });
  assert.ok(encodeListProtobuf(list).equals(whole));
  assert.equal(protobufList(list).bytes, whole.length);
  const back = decodeObjectProtobuf(whole, () => builtinSchema.type('core/v1.PodList'));
  assert.deepEqual(back, { apiVersion: 'v1', kind: 'PodList', metadata, items });
  const empty = encodeListProtobuf({ ...list, items: [] });
  assert.deepEqual(decodeObjectProtobuf(empty, () => builtinSchema.type('core/v1.PodList')).items, []);
});
