import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasDotElements, normalisePath, pathOfText } from './paths.ts';

test('one spelling of a path', () => {
  for (const [path, wanted] of [
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['/a//b///', '/a/b/'],
    ['/%61%2D%7e', '/a-~'],
    ['/%2f/%2F', '/%2F/%2F'],
    ['/a b"<>', '/a%20b%22%3C%3E'],
    ['/%', '/%25'],
    ['/%zz', '/%25zz'],
    ['/\u00c3\u00a9', '/%C3%A9'],
  ] as const)
    assert.equal(normalisePath(path), wanted, path);
  assert.equal(pathOfText('/é'), '/%C3%A9');
  assert.equal(normalisePath('/%c3%a9'), pathOfText('/é'));
});

test('elements that point upwards are seen in every disguise', () => {
  for (const path of [
    '/..',
    '/a/../b',
    '/a/./b',
    '/.',
    '/%2e%2e/x',
    '/%2E./x',
    '/a/%2e',
    '/a%2f..%2fb',
    '/a%2F%2e%2e',
    '/a\\..\\b',
    '/a%5c..%5cb',
    '/..;/b',
    '/a/..;x=1/b',
  ])
    assert.equal(hasDotElements(path), true, path);
  for (const path of ['/', '/.well-known/acme', '/...', '/a..b/', '/a.b', '/..a', '/%2ea', '/a%2fb', '/a;..b'])
    assert.equal(hasDotElements(path), false, path);
});
