import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRequestInfo } from './request-info.ts';

const rows: [method: string, target: string, expected: string][] = [
  ['GET', '/api/v1/pods', 'list v1 pods'],
  ['GET', '/api/v1/pods?watch=true', 'watch v1 pods'],
  ['GET', '/api/v1/pods?watch=0', 'list v1 pods'],
  ['GET', '/api/v1/pods?fieldSelector=metadata.name%3Dx', 'list v1 pods name=x'],
  ['GET', '/api/v1/watch/pods', 'watch v1 pods'],
  ['GET', '/api/v1/namespaces', 'list v1 namespaces'],
  ['GET', '/api/v1/namespaces/a', 'get v1 namespaces ns=a name=a'],
  ['PUT', '/api/v1/namespaces/a/finalize', 'update v1 namespaces/finalize ns=a name=a'],
  ['GET', '/api/v1/namespaces/a/pods', 'list v1 pods ns=a'],
  ['DELETE', '/api/v1/namespaces/a/pods', 'deletecollection v1 pods ns=a'],
  ['DELETE', '/api/v1/namespaces/a/pods/b', 'delete v1 pods ns=a name=b'],
  ['GET', '/api/v1/namespaces/a/pods/b/exec?command=ls', 'create v1 pods/exec ns=a name=b'],
  ['PATCH', '/apis/apps/v1/namespaces/a/deployments/b/scale', 'patch apps/v1 deployments/scale ns=a name=b'],
  ['GET', '/api/v1/nodes/n/proxy/logs//x?y=1', 'get v1 nodes/proxy name=n rest=/logs//x'],
  ['GET', '/api/v1/namespaces/a/services/https:s:1/proxy/', 'get v1 services/proxy ns=a name=https:s:1 rest=/'],
  [
    'GET',
    '/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode',
    'get rbac.authorization.k8s.io/v1 clusterroles name=system:node',
  ],
  ['GET', '/apis/apps/v1', 'non-resource get /apis/apps/v1'],
  ['GET', '/', 'non-resource get /'],
  ['GET', '/healthz/', 'non-resource get /healthz/'],
];

for (const [method, target, expected] of rows) {
  test(`${method} ${target}`, () => {
    const i = parseRequestInfo(method, target);
    const parts = [
      i.verb,
      `${i.group === '' ? '' : `${i.group}/`}${i.version}`,
      i.resource + (i.subresource && `/${i.subresource}`),
    ];
    if (i.namespace !== '') parts.push(`ns=${i.namespace}`);
    if (i.name !== '') parts.push(`name=${i.name}`);
    if (i.rest !== '') parts.push(`rest=${i.rest}`);
    assert.equal(i.isResource ? parts.join(' ') : `non-resource ${i.verb} ${i.path}`, expected);
  });
}

const hostile = ['..', '.', '%2e%2e', '%2E.', '..%2f', '', '%5c', '\\', '%00', 'a%2fb', '%0a', '%ff', '%'];
test('segments that could be read in two ways are refused wherever they stand', () => {
  for (const bad of hostile) {
    for (const target of [
      `/api/v1/namespaces/${bad}/pods`,
      `/api/v1/namespaces/a/${bad}/x`,
      `/api/v1/namespaces/a/pods/${bad}/status`,
      `/apis/${bad}/v1/x/y`,
      `/apis/apps/${bad}/x/y`,
      `//evil/${bad}/x`,
    ]) {
      assert.throws(() => parseRequestInfo('GET', target), /not well formed/, target);
    }
  }
  for (const target of [
    'http://evil/api/v1',
    '*',
    '',
    'api/v1',
    '//evil/api/v1/secrets',
    '/api/v1/nodes/n/proxy/../../pods',
  ]) {
    assert.throws(() => parseRequestInfo('GET', target), /not well formed/, target);
  }
});
