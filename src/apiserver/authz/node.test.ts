import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinSchema, type SchemaNode } from '#api';
import type { RequestAttributes } from '../contract.ts';
import { FakeView } from './fake-view.ts';
import { openNodeAuthorizer } from './node.ts';
import { podReferences } from './pod-references.ts';

const identity = { user: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] };
const request = (
  verb: string,
  resource: string,
  name = '',
  more: Partial<RequestAttributes> = {},
): RequestAttributes => ({
  identity,
  verb,
  isResource: true,
  group: '',
  version: 'v1',
  resource,
  subresource: '',
  namespace: 'ns',
  name,
  path: '',
  ...more,
});

const pod = (name: string, nodeName: string, spec: object): object => ({
  metadata: { name, namespace: 'ns' },
  spec: { nodeName, containers: [], ...spec },
});

function open() {
  const sources = {
    pods: new FakeView([
      pod('p1', 'n1', {
        serviceAccountName: 'sa',
        volumes: [
          { name: 'a', secret: { secretName: 's' } },
          { name: 'b', persistentVolumeClaim: { claimName: 'c' } },
        ],
      }),
      pod('p2', 'n2', { volumes: [{ name: 'a', secret: { secretName: 'other' } }] }),
    ]),
    persistentVolumeClaims: new FakeView([{ metadata: { name: 'c', namespace: 'ns' }, spec: { volumeName: 'pv' } }]),
    persistentVolumes: new FakeView([
      {
        metadata: { name: 'pv' },
        spec: {
          claimRef: { namespace: 'ns', name: 'c' },
          csi: { driver: 'd', nodeStageSecretRef: { name: 'stage', namespace: 'vault' } },
        },
      },
    ]),
    volumeAttachments: new FakeView([{ metadata: { name: 'va' }, spec: { nodeName: 'n1' } }]),
    resourceSlices: new FakeView([
      { metadata: { name: 'mine' }, spec: { nodeName: 'n1' } },
      { metadata: { name: 'theirs' }, spec: { nodeName: 'n2' } },
    ]),
  };
  const authorizer = openNodeAuthorizer(sources);
  return {
    sources,
    may: async (asked: RequestAttributes): Promise<boolean> => (await authorizer.authorize(asked)).decision === 'allow',
    authorizer,
  };
}

const table: readonly (readonly [asked: RequestAttributes, allowed: boolean])[] = [
  [request('get', 'secrets', 's'), true],
  [request('watch', 'secrets', 's'), true],
  [request('list', 'secrets'), false],
  [request('update', 'secrets', 's'), false],
  [request('get', 'secrets', 'other'), false],
  [request('get', 'secrets', 'stage', { namespace: 'vault' }), true],
  [request('get', 'secrets', 'stage'), false],
  [request('get', 'configmaps', 's'), false],
  [request('get', 'persistentvolumeclaims', 'c'), true],
  [request('get', 'persistentvolumes', 'pv', { namespace: '' }), true],
  [request('get', 'persistentvolumes', 'pv2', { namespace: '' }), false],
  [request('create', 'serviceaccounts', 'sa', { subresource: 'token' }), true],
  [request('create', 'serviceaccounts', 'admin', { subresource: 'token' }), false],
  [request('get', 'volumeattachments', 'va', { group: 'storage.k8s.io', namespace: '' }), true],
  [request('get', 'pods', 'p1'), true],
  [request('get', 'pods', 'p2'), false],
  [request('list', 'pods', '', { namespace: '', fieldSelector: 'spec.nodeName=n1' }), true],
  [request('list', 'pods', '', { namespace: '', fieldSelector: 'spec.nodeName!=n1' }), false],
  [request('list', 'pods', '', { namespace: '', fieldSelector: 'spec.nodeName=n2' }), false],
  [request('patch', 'pods', 'p1', { subresource: 'status' }), true],
  [request('create', 'pods', 'p1', { subresource: 'exec' }), false],
  [request('get', 'nodes', 'n1', { namespace: '' }), true],
  [request('get', 'nodes', 'n2', { namespace: '' }), false],
  [request('list', 'nodes', '', { namespace: '' }), false],
  [request('update', 'nodes', 'n2', { namespace: '', subresource: 'status' }), false],
  [request('get', 'nodes', 'n1', { namespace: '', subresource: 'proxy' }), false],
  [request('update', 'leases', 'n1', { group: 'coordination.k8s.io', namespace: 'kube-node-lease' }), true],
  [request('update', 'leases', 'n2', { group: 'coordination.k8s.io', namespace: 'kube-node-lease' }), false],
  [request('update', 'leases', 'n1', { group: 'coordination.k8s.io', namespace: 'kube-system' }), false],
  [request('patch', 'csinodes', 'n1', { group: 'storage.k8s.io', namespace: '' }), true],
  [request('delete', 'resourceslices', 'mine', { group: 'resource.k8s.io', namespace: '' }), true],
  [request('delete', 'resourceslices', 'theirs', { group: 'resource.k8s.io', namespace: '' }), false],
  [request('list', 'services', '', { namespace: '' }), true],
  [request('delete', 'services', 'x'), false],
  [request('get', 'secrets', 's', { identity: { user: 'system:node:n1', groups: ['system:authenticated'] } }), false],
  [request('get', 'secrets', 's', { identity: { user: 'jane', groups: ['system:nodes'] } }), false],
];

for (const [asked, allowed] of table) {
  const what = `${asked.verb} ${asked.resource}${asked.subresource === '' ? '' : `/${asked.subresource}`} ${asked.namespace}/${asked.name} ${asked.fieldSelector ?? ''}`;
  test(`${asked.identity.user} ${what} → ${allowed ? 'yes' : 'no'}`, async () => {
    assert.equal(await open().may(asked), allowed);
  });
}

test('a door closes with the last pod that needed it', async () => {
  const { sources, may } = open();
  assert.equal(await may(request('get', 'secrets', 's')), true);
  sources.pods.put(pod('p3', 'n1', { imagePullSecrets: [{ name: 's' }] }));
  sources.pods.remove('ns', 'p1');
  assert.equal(await may(request('get', 'secrets', 's')), true);
  sources.pods.remove('ns', 'p3');
  assert.equal(await may(request('get', 'secrets', 's')), false);
});

/** Paths of fields of a pod's spec that, by their type, name a secret or config map of the pod's namespace. */
function namingFields(node: SchemaNode, path: string, depth: number, found: string[]): string[] {
  const naming =
    /^core\/v1\.(SecretKeySelector|ConfigMapKeySelector|SecretEnvSource|ConfigMapEnvSource|SecretVolumeSource|ConfigMapVolumeSource|SecretProjection|ConfigMapProjection)$/;
  if (node.typeName !== undefined && naming.test(node.typeName)) found.push(path);
  else if (/(secretRef|SecretRef|imagePullSecrets|azureFile)$/.test(path)) found.push(path);
  else if (depth < 9) {
    for (const field of node.fields?.values() ?? [])
      namingFields(field.node, `${path}.${field.name}`, depth + 1, found);
    if (node.element !== undefined) namingFields(node.element, path, depth + 1, found);
  }
  return found;
}

test('every field that can name a secret or a config map is followed', () => {
  const paths = namingFields(builtinSchema.type('core/v1.PodSpec'), '', 0, []);
  assert.ok(paths.length > 20, String(paths));
  for (const path of paths) {
    let value: object = { name: 'x', secretName: 'x' };
    let node = builtinSchema.type('core/v1.PodSpec');
    const lists: boolean[] = [];
    const keys = path.split('.').slice(1);
    for (const key of keys) {
      const field = node.fields?.get(key);
      lists.push(field?.node.form === 'list');
      node = (field?.node.form === 'list' ? field.node.element : field?.node) as SchemaNode;
    }
    for (const [index, key] of [...keys.entries()].reverse())
      value = { [key]: lists[index] === true ? [value] : value };
    const references = podReferences({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'ns' },
      spec: value,
    } as never);
    assert.ok(
      references.some((one) => one.name === 'x' && (one.resource === 'secrets' || one.resource === 'configmaps')),
      path,
    );
  }
});
