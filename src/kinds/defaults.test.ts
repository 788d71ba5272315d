import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaulted, kindOf, type Sample, sampleObject } from './golden.ts';

function specOf(sample: Sample): Record<string, unknown> {
  return defaulted(sample)['spec'] as Record<string, unknown>;
}

const container = { name: 'c', image: 'nginx:1.27' };
const defaultContainer = {
  ...container,
  imagePullPolicy: 'IfNotPresent',
  resources: {},
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
};
const podDefaults = {
  dnsPolicy: 'ClusterFirst',
  restartPolicy: 'Always',
  schedulerName: 'default-scheduler',
  securityContext: {},
  terminationGracePeriodSeconds: 30,
};

test('a pod', () => {
  const spec = specOf({
    apiVersion: 'v1',
    kind: 'Pod',
    spec: {
      serviceAccount: 'builder',
      containers: [
        {
          ...container,
          image: 'registry:5000/nginx',
          ports: [{ containerPort: 80 }],
          env: [{ name: 'N', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
          resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } },
          livenessProbe: { httpGet: { port: 80 } },
          readinessProbe: { exec: { command: ['true'] }, periodSeconds: 3 },
          lifecycle: { preStop: { httpGet: { port: 80, path: '/bye' } } },
        },
      ],
      volumes: [
        { name: 'empty' },
        { name: 'conf', configMap: { name: 'c' } },
        { name: 'secret', secret: { secretName: 's', defaultMode: 256 } },
        { name: 'host', hostPath: { path: '/x' } },
        {
          name: 'all',
          projected: {
            sources: [
              { serviceAccountToken: { path: 'token' } },
              { downwardAPI: { items: [{ path: 'n', fieldRef: { fieldPath: 'metadata.name' } }] } },
            ],
          },
        },
      ],
    },
  });
  assert.deepEqual(spec, {
    ...podDefaults,
    enableServiceLinks: true,
    serviceAccount: 'builder',
    serviceAccountName: 'builder',
    containers: [
      {
        ...defaultContainer,
        image: 'registry:5000/nginx',
        imagePullPolicy: 'Always',
        ports: [{ containerPort: 80, protocol: 'TCP' }],
        env: [{ name: 'N', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } }],
        resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m', memory: '1Gi' } },
        livenessProbe: {
          httpGet: { port: 80, path: '/', scheme: 'HTTP' },
          failureThreshold: 3,
          periodSeconds: 10,
          successThreshold: 1,
          timeoutSeconds: 1,
        },
        readinessProbe: {
          exec: { command: ['true'] },
          failureThreshold: 3,
          periodSeconds: 3,
          successThreshold: 1,
          timeoutSeconds: 1,
        },
        lifecycle: { preStop: { httpGet: { port: 80, path: '/bye', scheme: 'HTTP' } } },
      },
    ],
    volumes: [
      { name: 'empty', emptyDir: {} },
      { name: 'conf', configMap: { name: 'c', defaultMode: 420 } },
      { name: 'secret', secret: { secretName: 's', defaultMode: 256 } },
      { name: 'host', hostPath: { path: '/x', type: '' } },
      {
        name: 'all',
        projected: {
          defaultMode: 420,
          sources: [
            { serviceAccountToken: { path: 'token', expirationSeconds: 3600 } },
            { downwardAPI: { items: [{ path: 'n', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } }] } },
          ],
        },
      },
    ],
  });
});

test('host ports follow container ports on the host network, in pods only', () => {
  const spec = { hostNetwork: true, containers: [{ ...container, ports: [{ containerPort: 80 }] }] };
  const portsOf = (one: unknown) => (one as typeof spec).containers[0]?.ports;
  assert.deepEqual(portsOf(specOf({ apiVersion: 'v1', kind: 'Pod', spec })), [
    { containerPort: 80, hostPort: 80, protocol: 'TCP' },
  ]);
  const template = specOf({ apiVersion: 'apps/v1', kind: 'ReplicaSet', spec: { template: { spec } } })['template'];
  assert.deepEqual(portsOf((template as { spec: unknown }).spec), [{ containerPort: 80, protocol: 'TCP' }]);
});

const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [container] } };
const defaultTemplate = { ...template, spec: { ...podDefaults, containers: [defaultContainer] } };

const specs: readonly (readonly [title: string, sample: Sample, spec: unknown])[] = [
  [
    'deployment',
    { apiVersion: 'apps/v1', kind: 'Deployment', spec: { template } },
    {
      template: defaultTemplate,
      replicas: 1,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
    },
  ],
  [
    'deployment that recreates, with none wanted',
    { apiVersion: 'apps/v1', kind: 'Deployment', spec: { template, replicas: 0, strategy: { type: 'Recreate' } } },
    {
      template: defaultTemplate,
      replicas: 0,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      strategy: { type: 'Recreate' },
    },
  ],
  [
    'daemon set',
    { apiVersion: 'apps/v1', kind: 'DaemonSet', spec: { template } },
    {
      template: defaultTemplate,
      revisionHistoryLimit: 10,
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } },
    },
  ],
  [
    'stateful set',
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      spec: {
        template,
        volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } }],
      },
    },
    {
      template: defaultTemplate,
      replicas: 1,
      revisionHistoryLimit: 10,
      podManagementPolicy: 'OrderedReady',
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      volumeClaimTemplates: [
        {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: {}, volumeMode: 'Filesystem' },
          status: { phase: 'Pending' },
        },
      ],
    },
  ],
  [
    'job',
    { apiVersion: 'batch/v1', kind: 'Job', spec: { template } },
    {
      template: defaultTemplate,
      completions: 1,
      parallelism: 1,
      backoffLimit: 6,
      completionMode: 'NonIndexed',
      suspend: false,
      podReplacementPolicy: 'TerminatingOrFailed',
    },
  ],
  [
    'job that works in parallel on a queue',
    { apiVersion: 'batch/v1', kind: 'Job', spec: { template, parallelism: 3 } },
    {
      template: defaultTemplate,
      parallelism: 3,
      backoffLimit: 6,
      completionMode: 'NonIndexed',
      suspend: false,
      podReplacementPolicy: 'TerminatingOrFailed',
    },
  ],
  [
    'cron job',
    { apiVersion: 'batch/v1', kind: 'CronJob', spec: { schedule: '* * * * *', jobTemplate: { spec: { template } } } },
    {
      schedule: '* * * * *',
      jobTemplate: { spec: { template: defaultTemplate } },
      concurrencyPolicy: 'Allow',
      suspend: false,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
    },
  ],
  [
    'service',
    {
      apiVersion: 'v1',
      kind: 'Service',
      spec: { ports: [{ port: 80 }, { port: 81, targetPort: 'web', protocol: 'UDP' }] },
    },
    {
      ports: [
        { port: 80, protocol: 'TCP', targetPort: 80 },
        { port: 81, protocol: 'UDP', targetPort: 'web' },
      ],
      type: 'ClusterIP',
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
    },
  ],
  [
    'load balancer with client affinity',
    { apiVersion: 'v1', kind: 'Service', spec: { type: 'LoadBalancer', sessionAffinity: 'ClientIP' } },
    {
      type: 'LoadBalancer',
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800 } },
      externalTrafficPolicy: 'Cluster',
      internalTrafficPolicy: 'Cluster',
      allocateLoadBalancerNodePorts: true,
    },
  ],
  [
    'replication controller takes selector from its template',
    { apiVersion: 'v1', kind: 'ReplicationController', spec: { template } },
    { template: defaultTemplate, replicas: 1, selector: { app: 'a' } },
  ],
  [
    'network policy',
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      spec: { podSelector: {}, egress: [{ ports: [{ port: 53 }] }] },
    },
    { podSelector: {}, egress: [{ ports: [{ port: 53, protocol: 'TCP' }] }], policyTypes: ['Ingress', 'Egress'] },
  ],
  [
    'autoscaler',
    {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      spec: { maxReplicas: 3, behavior: { scaleDown: { selectPolicy: 'Min' } } },
    },
    {
      maxReplicas: 3,
      minReplicas: 1,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
      ],
      behavior: {
        scaleDown: { selectPolicy: 'Min', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] },
        scaleUp: {
          selectPolicy: 'Max',
          stabilizationWindowSeconds: 0,
          policies: [
            { type: 'Pods', value: 4, periodSeconds: 15 },
            { type: 'Percent', value: 100, periodSeconds: 15 },
          ],
        },
      },
    },
  ],
  [
    'volume claim',
    { apiVersion: 'v1', kind: 'PersistentVolumeClaim', spec: {} },
    { resources: {}, volumeMode: 'Filesystem' },
  ],
  [
    'limit range',
    {
      apiVersion: 'v1',
      kind: 'LimitRange',
      spec: { limits: [{ type: 'Container', max: { cpu: '2' }, min: { memory: '1Mi' } }] },
    },
    {
      limits: [
        {
          type: 'Container',
          max: { cpu: '2' },
          min: { memory: '1Mi' },
          default: { cpu: '2' },
          defaultRequest: { cpu: '2', memory: '1Mi' },
        },
      ],
    },
  ],
  [
    'custom resource definition',
    {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      spec: { names: { plural: 'cats', kind: 'Cat' } },
    },
    { names: { plural: 'cats', kind: 'Cat', singular: 'cat', listKind: 'CatList' }, conversion: { strategy: 'None' } },
  ],
];

for (const [title, sample, spec] of specs)
  test(`defaults: ${title}`, () => {
    assert.deepEqual(specOf(sample), spec);
  });

test('image pull policy follows the tag', () => {
  const policy = (image: string) =>
    (
      specOf({ apiVersion: 'v1', kind: 'Pod', spec: { containers: [{ name: 'c', image }] } })['containers'] as {
        imagePullPolicy: string;
      }[]
    )[0]?.imagePullPolicy;
  assert.equal(policy('busybox'), 'Always');
  assert.equal(policy('busybox:latest'), 'Always');
  assert.equal(policy('localhost:5000/busybox'), 'Always');
  assert.equal(policy('busybox:1'), 'IfNotPresent');
  assert.equal(policy(`busybox@sha256:${'a'.repeat(64)}`), 'IfNotPresent');
  assert.equal(policy(`busybox:latest@sha256:${'a'.repeat(64)}`), 'Always');
});

test('a namespace is labelled with its name and waits for its finaliser', () => {
  const kind = kindOf('v1', 'Namespace');
  const draft = sampleObject({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'blue' },
    status: { phase: 'Gone' },
  });
  kind.applyDefaults?.(draft);
  kind.prepareForCreate?.(draft);
  assert.deepEqual(draft.metadata.labels, { 'kubernetes.io/metadata.name': 'blue' });
  assert.deepEqual(draft['spec'], { finalizers: ['kubernetes'] });
  assert.deepEqual(draft['status'], { phase: 'Active' });
});

test('a new pod is pending and has its QoS class, whatever status was sent', () => {
  const kind = kindOf('v1', 'Pod');
  const draft = defaulted({
    apiVersion: 'v1',
    kind: 'Pod',
    spec: { containers: [container] },
    status: { phase: 'Running' },
  });
  kind.prepareForCreate?.(draft);
  assert.deepEqual(draft['status'], { phase: 'Pending', qosClass: 'BestEffort' });
});

test('a node keeps the status it registers with', () => {
  const kind = kindOf('v1', 'Node');
  const draft = defaulted({
    apiVersion: 'v1',
    kind: 'Node',
    spec: { podCIDR: '10.0.0.0/24' },
    status: { capacity: { cpu: '2' } },
  });
  kind.prepareForCreate?.(draft);
  assert.deepEqual(draft['status'], { capacity: { cpu: '2' }, allocatable: { cpu: '2' } });
  assert.deepEqual(draft['spec'], { podCIDR: '10.0.0.0/24', podCIDRs: ['10.0.0.0/24'] });
});

test('a job selects its pods by its own uid and name', () => {
  const kind = kindOf('batch/v1', 'Job');
  const draft = defaulted({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'j' },
    spec: { template: { spec: { containers: [container] } } },
  });
  kind.prepareForCreate?.(draft);
  const spec = draft['spec'] as { selector: unknown; template: { metadata: { labels: unknown } } };
  assert.deepEqual(spec.selector, { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u1' } });
  assert.deepEqual(spec.template.metadata.labels, {
    'batch.kubernetes.io/controller-uid': 'u1',
    'controller-uid': 'u1',
    'batch.kubernetes.io/job-name': 'j',
    'job-name': 'j',
  });
});

test('text of a secret becomes data', () => {
  const secret = defaulted({
    apiVersion: 'v1',
    kind: 'Secret',
    data: { a: 'eA==', b: 'eQ==' },
    stringData: { b: 'hé', c: '' },
  });
  assert.equal(secret['type'], 'Opaque');
  assert.deepEqual(secret['data'], { a: 'eA==', b: Buffer.from('hé').toString('base64'), c: '' });
  assert.equal(secret['stringData'], undefined);
});

test('role bindings name the group of their role and subjects', () => {
  const binding = defaulted({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    roleRef: { kind: 'Role', name: 'r' },
    subjects: [
      { kind: 'User', name: 'u' },
      { kind: 'ServiceAccount', name: 's' },
    ],
  });
  assert.deepEqual(binding['roleRef'], { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' });
  assert.deepEqual(binding['subjects'], [
    { apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'u' },
    { kind: 'ServiceAccount', name: 's' },
  ]);
});

test('the grace period of a pod', () => {
  const grace = kindOf('v1', 'Pod').gracePeriodSeconds;
  const pod = (spec: object, status = {}) => sampleObject({ apiVersion: 'v1', kind: 'Pod', spec, status });
  assert.equal(grace?.(pod({ nodeName: 'n', terminationGracePeriodSeconds: 12 }), undefined), 12);
  assert.equal(grace?.(pod({ nodeName: 'n' }), 5), 5);
  assert.equal(grace?.(pod({ nodeName: 'n' }), -3), 1);
  assert.equal(grace?.(pod({}), 5), 0);
  assert.equal(grace?.(pod({ nodeName: 'n' }, { phase: 'Failed' }), 5), 0);
});
