import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError } from '#base';
import * as m from './index.ts';

const pods = { group: '', plural: 'pods' };
const deployments = { group: 'apps', plural: 'deployments' };

test('messages, codes and details', () => {
  const table: [m.ApiError, number, string, string][] = [
    [m.errNotFound(pods, 'x'), 404, 'NotFound', 'pods "x" not found'],
    [m.errAlreadyExists(deployments, 'x'), 409, 'AlreadyExists', 'deployments.apps "x" already exists'],
    [
      m.errConflict(pods, 'x'),
      409,
      'Conflict',
      'Operation cannot be fulfilled on pods "x": the object has been modified; please apply your changes to the latest version and try again',
    ],
    [m.errForbidden(pods, 'x', 'no'), 403, 'Forbidden', 'pods "x" is forbidden: no'],
    [m.errForbidden(pods, '', 'no'), 403, 'Forbidden', 'pods is forbidden: no'],
    [m.errForbidden({ group: '', plural: '' }, '', 'no'), 403, 'Forbidden', 'forbidden: no'],
    [
      m.errMethodNotSupported(deployments, 'create'),
      405,
      'MethodNotAllowed',
      'create is not supported on resources of kind "deployments.apps"',
    ],
    [m.errTooLarge('limit is 3145728'), 413, 'RequestEntityTooLarge', 'Request entity too large: limit is 3145728'],
    [m.errTimeout('slow', 1), 504, 'Timeout', 'Timeout: slow'],
    [m.errInternal('x'), 500, 'InternalError', 'Internal error occurred: x'],
    [m.errUnauthorized(), 401, 'Unauthorized', 'Unauthorized'],
  ];
  for (const [error, code, reason, message] of table) {
    assert.equal(error.status.code, code);
    assert.equal(error.status.reason, reason);
    assert.equal(error.status.message, message);
    assert.equal(error.status.status, 'Failure');
  }
  assert.deepEqual(m.errNotFound(deployments, 'x').status.details, { name: 'x', group: 'apps', kind: 'deployments' });
  assert.deepEqual(m.errTooManyRequests('later', 3).status.details, { retryAfterSeconds: 3 });
});

test('invalid lists every finding once', () => {
  const required = m.requiredError('spec.a');
  const one = m.errInvalid({ group: '', kind: 'Pod' }, 'x', [required]);
  assert.equal(one.message, 'Pod "x" is invalid: spec.a: Required value');
  const two = m.errInvalid({ group: 'apps', kind: 'Deployment' }, 'x', [
    required,
    required,
    m.notSupportedError('spec.b', 'q', ['A', 'B']),
    m.invalidError('spec.c', { a: 1 }, 'field is immutable'),
    m.tooManyError('spec.d', 5, 1),
  ]);
  assert.equal(
    two.message,
    'Deployment.apps "x" is invalid: [spec.a: Required value, spec.b: Unsupported value: "q": supported values: "A", "B", spec.c: Invalid value: {"a":1}: field is immutable, spec.d: Too many: 5: must have at most 1 item]',
  );
  assert.deepEqual(two.status.details?.causes?.[0], {
    reason: 'FieldValueRequired',
    message: 'Required value',
    field: 'spec.a',
  });
});

test('any error becomes a Status and predicates read it', () => {
  assert.equal(m.statusOf(new CodedError('Compacted', 'x')).code, 410);
  assert.equal(m.statusOf(new CodedError('StoreFull', 'x')).code, 507);
  assert.equal(m.statusOf('boom').message, 'Internal error occurred: boom');
  const back = m.apiErrorFromStatus(m.errNotFound(pods, 'x').status);
  assert.equal(m.isNotFound(back), true);
  assert.equal(m.isConflict(back), false);
  assert.equal(m.isExpired(m.errExpired('x')), true);
  assert.equal(m.isNotFound(new Error('not found')), false);
});

test('quoting is Go’s', () => {
  assert.equal(m.goQuote('a"b\\c\n\x00é\u200b\u{10ffff}'), '"a\\"b\\\\c\\n\\x00é\\u200b\\U0010ffff"');
});
