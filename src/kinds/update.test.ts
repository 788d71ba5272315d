import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldErrorText } from '#machinery';
import { defaulted, kindOf, type Sample, updateErrors } from './golden.ts';

const container = { name: 'c', image: 'i:1' };
const pod = (spec: object): Sample => ({ apiVersion: 'v1', kind: 'Pod', spec: { containers: [container], ...spec } });
const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [container] } };
const selector = { matchLabels: { app: 'a' } };
const apps = (kind: string, spec: object): Sample => ({
  apiVersion: 'apps/v1',
  kind,
  spec: { selector, template, ...spec },
});
const service = (spec: object): Sample => ({
  apiVersion: 'v1',
  kind: 'Service',
  spec: { ports: [{ port: 80 }], ...spec },
});
const claim = (spec: object, status: object = { phase: 'Bound', capacity: { storage: '2Gi' } }): Sample => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '2Gi' } }, volumeName: 'v', ...spec },
  status,
});
const podMessage =
  'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

const changes: readonly (readonly [title: string, old: Sample, next: Sample, errors: readonly string[]])[] = [
  ['pod: image', pod({}), pod({ containers: [{ ...container, image: 'i:1.1' }] }), []],
  ['pod: node', pod({}), pod({ nodeName: 'n' }), [podMessage]],
  ['pod: command', pod({}), pod({ containers: [{ ...container, command: ['x'] }] }), [podMessage]],
  [
    'pod: one container more',
    pod({}),
    pod({ containers: [container, { ...container, name: 'd' }] }),
    ['spec.containers: Forbidden: pod updates may not add or remove containers'],
  ],
  [
    'pod: a toleration more',
    pod({ tolerations: [{ key: 'a' }] }),
    pod({ tolerations: [{ key: 'a', tolerationSeconds: 3 }, { key: 'b' }] }),
    [],
  ],
  [
    'pod: a toleration less',
    pod({ tolerations: [{ key: 'a' }] }),
    pod({}),
    ['spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds'],
  ],
  ['pod: a shorter deadline', pod({ activeDeadlineSeconds: 9 }), pod({ activeDeadlineSeconds: 5 }), []],
  [
    'pod: a longer deadline',
    pod({ activeDeadlineSeconds: 5 }),
    pod({ activeDeadlineSeconds: 9 }),
    ['spec.activeDeadlineSeconds: Invalid value: 9: must be less than or equal to previous value'],
  ],
  [
    'pod: gates go',
    pod({ schedulingGates: [{ name: 'a' }, { name: 'b' }] }),
    pod({ schedulingGates: [{ name: 'b' }], nodeSelector: { x: 'y' } }),
    [],
  ],
  [
    'pod: gates come',
    pod({}),
    pod({ schedulingGates: [{ name: 'b' }] }),
    ["spec.schedulingGates: Forbidden: only deletion is allowed, but found new scheduling gate 'b'"],
  ],
  [
    'deployment: template',
    apps('Deployment', {}),
    apps('Deployment', { template: { ...template, spec: { containers: [{ name: 'c', image: 'j' }] } } }),
    [],
  ],
  [
    'deployment: selector',
    apps('Deployment', {}),
    apps('Deployment', { selector: { matchLabels: { app: 'b' } } }),
    ['spec.selector: Invalid value: {"matchLabels":{"app":"b"}}: field is immutable'],
  ],
  [
    'stateful set: replicas',
    apps('StatefulSet', { serviceName: 's' }),
    apps('StatefulSet', { serviceName: 's', replicas: 4 }),
    [],
  ],
  [
    'stateful set: service',
    apps('StatefulSet', { serviceName: 's' }),
    apps('StatefulSet', { serviceName: 't' }),
    [
      "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ],
  ],
  [
    'service: port',
    service({ clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'] }),
    service({ clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'], ports: [{ port: 81 }] }),
    [],
  ],
  [
    'service: address',
    service({ clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'] }),
    service({ clusterIP: '10.0.0.2', clusterIPs: ['10.0.0.2'] }),
    ['spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set'],
  ],
  [
    'service: to external name',
    service({ clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'] }),
    service({ type: 'ExternalName', externalName: 'x.y' }),
    [],
  ],
  [
    'secret: type',
    { apiVersion: 'v1', kind: 'Secret' },
    { apiVersion: 'v1', kind: 'Secret', type: 'x/y' },
    ['type: Invalid value: "x/y": field is immutable'],
  ],
  [
    'config map that is immutable',
    { apiVersion: 'v1', kind: 'ConfigMap', immutable: true, data: { a: '1' } },
    { apiVersion: 'v1', kind: 'ConfigMap', data: { a: '2' } },
    [
      'immutable: Forbidden: field is immutable when `immutable` is set',
      'data: Forbidden: field is immutable when `immutable` is set',
    ],
  ],
  ['claim: grows', claim({}), claim({ resources: { requests: { storage: '3Gi' } } }), []],
  [
    'claim: shrinks',
    claim({}),
    claim({ resources: { requests: { storage: '1Gi' } } }),
    ['spec.resources.requests.storage: Forbidden: field can not be less than status.capacity'],
  ],
  [
    'claim: mode',
    claim({}),
    claim({ accessModes: ['ReadWriteMany'] }),
    [
      'spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
    ],
  ],
  ['claim: bound', claim({ volumeName: undefined }, { phase: 'Pending' }), claim({}, { phase: 'Pending' }), []],
  [
    'volume: source',
    { apiVersion: 'v1', kind: 'PersistentVolume', spec: { hostPath: { path: '/a' } } },
    { apiVersion: 'v1', kind: 'PersistentVolume', spec: { hostPath: { path: '/b' } } },
    ['spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation'],
  ],
  [
    'role binding: role',
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', roleRef: { kind: 'Role', name: 'a' } },
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', roleRef: { kind: 'Role', name: 'b' } },
    [
      'roleRef: Invalid value: {"kind":"Role","name":"b","apiGroup":"rbac.authorization.k8s.io"}: cannot change roleRef',
    ],
  ],
  [
    'priority class: value',
    { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', value: 1 },
    { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', value: 2 },
    ['Value: Forbidden: may not be changed in an update.'],
  ],
  [
    'storage class',
    { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', provisioner: 'a/b' },
    { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', provisioner: 'a/c', parameters: { x: 'y' } },
    [
      'parameters: Forbidden: updates to parameters are forbidden.',
      'provisioner: Forbidden: updates to provisioner are forbidden.',
    ],
  ],
  [
    'job: template',
    { apiVersion: 'batch/v1', kind: 'Job', spec: { template } },
    { apiVersion: 'batch/v1', kind: 'Job', spec: { template: { ...template, metadata: {} } } },
    [
      'spec.template: Invalid value: {"metadata":{},"spec":{"containers":[{"name":"c","image":"i:1","imagePullPolicy":"IfNotPresent","terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","resources":{}}],"dnsPolicy":"ClusterFirst","restartPolicy":"Always","securityContext":{},"terminationGracePeriodSeconds":30,"schedulerName":"default-scheduler"}}: field is immutable',
    ],
  ],
  [
    'job: suspended ones can be moved',
    { apiVersion: 'batch/v1', kind: 'Job', spec: { suspend: true, template } },
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      spec: { template: { ...template, spec: { ...template.spec, nodeSelector: { a: 'b' } } } },
    },
    [],
  ],
  [
    'node: pod range is set once',
    { apiVersion: 'v1', kind: 'Node', spec: { podCIDR: '10.0.0.0/24' } },
    {
      apiVersion: 'v1',
      kind: 'Node',
      spec: { podCIDR: '10.0.1.0/24', unschedulable: true, taints: [{ key: 'a', effect: 'NoSchedule' }] },
    },
    ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'],
  ],
  [
    'endpoint slice: address type',
    { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4' },
    { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv6' },
    ['addressType: Invalid value: "IPv6": field is immutable'],
  ],
];

for (const [title, old, next, errors] of changes)
  test(`update: ${title}`, () => {
    assert.deepEqual(updateErrors(old, next), errors);
  });

test('a finished container does not come back in a pod that never restarts', () => {
  const status = (state: object) => ({ containerStatuses: [{ name: 'c', state }] });
  const old = defaulted({ ...pod({ restartPolicy: 'Never' }), status: status({ terminated: { exitCode: 0 } }) });
  const next = defaulted({ ...pod({ restartPolicy: 'Never' }), status: status({ running: {} }) });
  const check = kindOf('v1', 'Pod').validateStatusUpdate;
  assert.deepEqual(check?.(next, old).map(fieldErrorText), [
    'status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state',
  ]);
  assert.deepEqual(check?.(old, old), []);
});

test('the number of ready pods cannot exceed all', () => {
  const status = { replicas: 1, readyReplicas: 2, availableReplicas: 3 };
  const draft = { ...defaulted(apps('Deployment', {})), status };
  const errors = kindOf('apps/v1', 'Deployment').validateStatusUpdate?.(draft, draft) ?? [];
  assert.deepEqual(errors.map(fieldErrorText), [
    'status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas',
    'status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas',
    'status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas',
  ]);
});
