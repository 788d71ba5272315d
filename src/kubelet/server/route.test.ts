import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessOf, parseRoute } from './route.ts';

test('routes', () => {
  const log = parseRoute('/containerLogs/ns/p/c?follow=true');
  assert.ok(log?.name === 'logs' && log.container === 'c' && log.query.get('follow') === 'true');
  assert.equal(parseRoute('/exec/ns/p/uid/c?command=a')?.name, 'exec');
  assert.equal(parseRoute('/portForward/ns/p')?.name, 'port-forward');
  assert.equal(parseRoute('/portForward/ns/p/uid')?.name, 'port-forward');
  assert.equal(parseRoute('/metrics/resource')?.name, 'resource-metrics');
  assert.equal(parseRoute('/metrics/cadvisor')?.name, 'container-metrics');
});

test('what is no route', () => {
  for (const target of [
    '/',
    '/logs/',
    '/logs/x',
    '/exec/ns/p',
    '/exec/ns/p/c/d/e',
    '/exec//p/c',
    '/containerLogs/ns/../c',
    '/containerLogs/ns/%2e%2e/c',
    '/containerLogs/ns/a%2fb/c',
    '/containerLogs/ns/%zz/c',
    '/pods/',
    '/constructor',
    '/__proto__/a/b/c',
  ]) {
    assert.equal(parseRoute(target), undefined, target);
  }
});

test('running something needs create, whatever the method', () => {
  for (const target of ['/exec/a/b/c', '/attach/a/b/c', '/run/a/b/c', '/portForward/a/b']) {
    const route = parseRoute(target);
    assert.ok(route);
    assert.deepEqual(accessOf(route), { verb: 'create', subresources: ['proxy'] });
  }
});
