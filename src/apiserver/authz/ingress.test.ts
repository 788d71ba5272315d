import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ingressControllerName, ingressUser } from '#api';
import type { RequestAttributes } from '../contract.ts';
import { FakeView } from './fake-view.ts';
import { openIngressAuthorizer } from './ingress.ts';

const ingress = (
  name: string,
  secrets: readonly string[],
  more: { class?: string; annotation?: string } = {},
): object => ({
  metadata: {
    name,
    namespace: 'ns',
    ...(more.annotation === undefined ? {} : { annotations: { 'kubernetes.io/ingress.class': more.annotation } }),
  },
  spec: {
    ...(more.class === undefined ? {} : { ingressClassName: more.class }),
    tls: secrets.map((secretName) => ({ secretName })),
  },
});
const ingressClass = (name: string, controller: string): object => ({ metadata: { name }, spec: { controller } });

function open() {
  const sources = {
    ingresses: new FakeView([
      ingress('own', ['tls', 'both'], { class: 'k8ts' }),
      ingress('foreign', ['theirs', 'both'], { class: 'nginx' }),
      ingress('old', ['by-annotation'], { annotation: 'k8ts' }),
      ingress('none', ['classless']),
    ]),
    ingressClasses: new FakeView([
      ingressClass('k8ts', ingressControllerName),
      ingressClass('nginx', 'k8s.io/ingress-nginx'),
    ]),
  };
  const authorizer = openIngressAuthorizer(sources);
  const may = async (verb: string, name: string, more: Partial<RequestAttributes> = {}): Promise<boolean> => {
    const decision = await authorizer.authorize({
      identity: { user: ingressUser, groups: ['system:authenticated'] },
      verb,
      isResource: true,
      group: '',
      version: 'v1',
      resource: 'secrets',
      subresource: '',
      namespace: 'ns',
      name,
      path: '',
      ...more,
    });
    return decision.decision === 'allow';
  };
  return { ...sources, may };
}

test('Secrets that Ingresses of our classes name, to read, one at a time', async () => {
  const { may } = open();
  for (const verb of ['get', 'list', 'watch']) assert.equal(await may(verb, 'tls'), true, verb);
  for (const verb of ['create', 'update', 'patch', 'delete', 'deletecollection'])
    assert.equal(await may(verb, 'tls'), false, verb);
  for (const [name, allowed] of [
    ['both', true],
    ['by-annotation', true],
    ['theirs', false],
    ['classless', false],
    ['other', false],
    ['__proto__', false],
    ['', false],
  ] as const)
    assert.equal(await may('get', name), allowed, name);
  assert.equal(await may('get', 'tls', { namespace: 'elsewhere' }), false);
  assert.equal(await may('get', 'tls', { resource: 'configmaps' }), false);
  assert.equal(await may('get', 'tls', { identity: { user: 'jane', groups: [] } }), false);
  const node = { user: 'system:node:n1', groups: ['system:nodes'] };
  assert.equal(await may('get', 'tls', { identity: node }), true, 'nodes without an identity of its own for this');
  assert.equal(await may('get', 'theirs', { identity: node }), false);
});

test('what changes counts at once', async () => {
  const { ingresses, ingressClasses, may } = open();
  assert.equal(await may('get', 'tls'), true);
  ingresses.put(ingress('own', ['renamed'], { class: 'k8ts' }));
  assert.deepEqual([await may('get', 'tls'), await may('get', 'renamed')], [false, true]);
  ingresses.remove('ns', 'own');
  assert.equal(await may('get', 'renamed'), false);
  ingressClasses.remove(undefined, 'k8ts');
  assert.equal(await may('get', 'by-annotation'), false);
});
