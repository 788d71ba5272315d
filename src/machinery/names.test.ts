import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  validateCidr,
  validateConfigKey,
  validateDns1035Label,
  validateDns1123Label,
  validateDns1123Subdomain,
  validateEnvVarName,
  validateIpAddress,
  validateLabelValue,
  validateObjectMeta,
  validateObjectMetaUpdate,
  validatePathSegmentName,
  validatePortName,
  validateQualifiedName,
} from './index.ts';

const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const qualified =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

test('messages are upstream’s', () => {
  assert.deepEqual(validateDns1123Subdomain('A.b'), [subdomain]);
  assert.deepEqual(validateDns1123Label('a.b'), [label]);
  assert.deepEqual(validateDns1123Label('a'.repeat(64)), ['must be no more than 63 characters']);
  assert.deepEqual(validateQualifiedName('a b'), [qualified]);
  assert.deepEqual(validateQualifiedName(''), ['name part must be non-empty', qualified]);
  assert.deepEqual(validateQualifiedName('/x'), ['prefix part must be non-empty']);
  assert.deepEqual(validateQualifiedName('X/x'), [`prefix part ${subdomain}`]);
  assert.match(
    validateQualifiedName('a/b/c')[0] as string,
    /^a qualified name must consist.*\(e\.g\. 'example\.com\/MyName'\)$/,
  );
  assert.match(validateDns1035Label('1a')[0] as string, /^a DNS-1035 label must consist/);
  assert.match(validateLabelValue('-')[0] as string, /^a valid label must be an empty string or consist/);
  assert.deepEqual(validatePortName('8080'), ['must contain at least one letter (a-z)']);
  assert.deepEqual(validateConfigKey('..a'), ["must not start with '..'"]);
  assert.deepEqual(validatePathSegmentName('a/b%'), ["may not contain '/'", "may not contain '%'"]);
  assert.deepEqual(validateEnvVarName('A=B'), [
    "a valid environment variable name must consist only of printable ASCII characters other than '='",
  ]);
});

test('good values pass', () => {
  for (const name of ['a', 'a.b-c.d', '1.2', 'a'.repeat(253)])
    assert.deepEqual(validateDns1123Subdomain(name), [], name);
  for (const name of ['app', 'example.com/App_1', 'a.b/c.d']) assert.deepEqual(validateQualifiedName(name), [], name);
  for (const value of ['', 'A_1.b', '1']) assert.deepEqual(validateLabelValue(value), []);
  for (const value of ['1.2.3.4', '010.0.0.1', '::1', '::ffff:1.2.3.4'])
    assert.deepEqual(validateIpAddress(value), [], value);
  for (const value of ['', '1.2.3', '256.1.1.1', 'fe80::1%eth0', '1.2.3.4.5'])
    assert.equal(validateIpAddress(value).length, 1);
  for (const value of ['10.0.0.0/8', '2001:db8::/64', '0.0.0.0/0']) assert.deepEqual(validateCidr(value), [], value);
  for (const value of ['10.0.0.0', '10.0.0.0/33', '::/129', '/8', '10.0.0.0/'])
    assert.equal(validateCidr(value).length, 1, value);
});

test('a hostile name costs nothing', () => {
  const start = performance.now();
  validateDns1123Subdomain(`${'a-'.repeat(100_000)}!`);
  validateDns1123Subdomain(`${'a.'.repeat(100_000)}!`);
  validateQualifiedName(`${'a'.repeat(200_000)}!`);
  validateLabelValue(`${'a.'.repeat(100_000)}!`);
  assert.ok(performance.now() - start < 500);
});

test('metadata', () => {
  const fields = (errors: readonly { field: string; detail: string }[]): string[] =>
    errors.map((e) => `${e.field}: ${e.detail}`);
  assert.deepEqual(fields(validateObjectMeta({ name: 'a', namespace: 'b' }, { namespaced: true })), []);
  assert.deepEqual(fields(validateObjectMeta({ namespace: 'b' }, { namespaced: false })), [
    'metadata.name: Required value: name or generateName is required',
    'metadata.namespace: Forbidden: not allowed on this type',
  ]);
  assert.deepEqual(fields(validateObjectMeta({ name: 'a', generateName: 'a-' }, { namespaced: true })), [
    'metadata.namespace: Required value',
  ]);
  assert.deepEqual(
    fields(validateObjectMeta({ name: 'a', annotations: { a: 'x'.repeat(262145) } }, { namespaced: false })),
    ['metadata.annotations: Too long: may not be more than 262144 bytes'],
  );
  assert.deepEqual(fields(validateObjectMetaUpdate({ name: 'a', resourceVersion: '' }, { name: 'b' })), [
    'metadata.resourceVersion: Invalid value: "": must be specified for an update',
    'metadata.name: Invalid value: "a": field is immutable',
  ]);
  assert.deepEqual(
    fields(
      validateObjectMetaUpdate(
        { name: 'a', resourceVersion: '1', deletionTimestamp: 'x', finalizers: ['a/b'] },
        { name: 'a', deletionTimestamp: 'x' },
      ),
    ),
    [
      'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"a/b"}',
    ],
  );
});
