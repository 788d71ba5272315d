import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cells, type Sample } from './golden.ts';

const running = (extra: object = {}) => ({ name: 'c', ready: true, restartCount: 0, state: { running: {} }, ...extra });
const pod = (status: object, spec: object = {}, metadata: object = {}): Sample => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata,
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
  status,
});
const sidecarSpec = { initContainers: [{ name: 's', restartPolicy: 'Always' }, { name: 'i' }] };

/** [title, pod, Ready, Status, Restarts] */
const pods: readonly (readonly [string, Sample, string, string, string])[] = [
  ['just created', pod({ phase: 'Pending' }), '0/1', 'Pending', '0'],
  ['running', pod({ phase: 'Running', containerStatuses: [running()] }), '1/1', 'Running', '0'],
  [
    'restarted five seconds ago',
    pod({
      phase: 'Running',
      containerStatuses: [
        running({ restartCount: 1, lastState: { terminated: { exitCode: 1, finishedAt: '2026-01-01T00:59:55Z' } } }),
      ],
    }),
    '1/1',
    'Running',
    '1 (5s ago)',
  ],
  [
    'crashing',
    pod({
      phase: 'Running',
      containerStatuses: [
        { name: 'c', ready: false, restartCount: 3, state: { waiting: { reason: 'CrashLoopBackOff' } } },
      ],
    }),
    '0/1',
    'CrashLoopBackOff',
    '3',
  ],
  [
    'image missing',
    pod({
      phase: 'Pending',
      containerStatuses: [
        { name: 'c', ready: false, restartCount: 0, state: { waiting: { reason: 'ImagePullBackOff' } } },
      ],
    }),
    '0/1',
    'ImagePullBackOff',
    '0',
  ],
  [
    'completed',
    pod({
      phase: 'Succeeded',
      containerStatuses: [
        { name: 'c', ready: false, restartCount: 0, state: { terminated: { exitCode: 0, reason: 'Completed' } } },
      ],
    }),
    '0/1',
    'Completed',
    '0',
  ],
  [
    'one container completed, the other runs',
    pod(
      {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'False' }],
        containerStatuses: [
          { name: 'c', ready: false, restartCount: 0, state: { terminated: { exitCode: 0, reason: 'Completed' } } },
          running({ name: 'd' }),
        ],
      },
      { containers: [{ name: 'c' }, { name: 'd' }] },
    ),
    '1/2',
    'NotReady',
    '0',
  ],
  [
    'killed by a signal without a reason',
    pod({
      phase: 'Failed',
      containerStatuses: [{ name: 'c', restartCount: 0, state: { terminated: { exitCode: 137, signal: 9 } } }],
    }),
    '0/1',
    'Signal:9',
    '0',
  ],
  [
    'first of two init containers',
    pod(
      { phase: 'Pending', initContainerStatuses: [{ name: 'i', restartCount: 0, state: { running: {} } }] },
      { initContainers: [{ name: 'i' }, { name: 'j' }] },
    ),
    '0/1',
    'Init:0/2',
    '0',
  ],
  [
    'init container failed',
    pod(
      {
        phase: 'Pending',
        initContainerStatuses: [{ name: 'i', restartCount: 2, state: { terminated: { exitCode: 3 } } }],
      },
      { initContainers: [{ name: 'i' }] },
    ),
    '0/1',
    'Init:ExitCode:3',
    '2',
  ],
  [
    'init container crashing',
    pod(
      {
        phase: 'Pending',
        initContainerStatuses: [{ name: 'i', restartCount: 2, state: { waiting: { reason: 'CrashLoopBackOff' } } }],
      },
      { initContainers: [{ name: 'i' }] },
    ),
    '0/1',
    'Init:CrashLoopBackOff',
    '2',
  ],
  [
    'init done, main starting',
    pod(
      {
        phase: 'Pending',
        initContainerStatuses: [{ name: 'i', restartCount: 0, state: { terminated: { exitCode: 0 } } }],
        containerStatuses: [{ name: 'c', restartCount: 0, state: { waiting: { reason: 'PodInitializing' } } }],
      },
      { initContainers: [{ name: 'i' }] },
    ),
    '0/1',
    'PodInitializing',
    '0',
  ],
  [
    'with a sidecar, all running',
    pod(
      {
        phase: 'Running',
        initContainerStatuses: [
          { name: 's', started: true, ready: true, restartCount: 1, state: { running: {} } },
          { name: 'i', restartCount: 4, state: { terminated: { exitCode: 0 } } },
        ],
        containerStatuses: [running()],
      },
      sidecarSpec,
    ),
    '2/2',
    'Running',
    '1',
  ],
  [
    'sidecar not started yet',
    pod(
      {
        phase: 'Pending',
        initContainerStatuses: [{ name: 's', started: false, ready: false, restartCount: 0, state: { running: {} } }],
      },
      sidecarSpec,
    ),
    '0/2',
    'Init:0/2',
    '0',
  ],
  ['evicted', pod({ phase: 'Failed', reason: 'Evicted' }), '0/1', 'Evicted', '0'],
  [
    'gated',
    pod({ phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] }),
    '0/1',
    'SchedulingGated',
    '0',
  ],
  [
    'being deleted',
    pod({ phase: 'Running', containerStatuses: [running()] }, {}, { deletionTimestamp: '2026-01-01T00:59:00Z' }),
    '1/1',
    'Terminating',
    '0',
  ],
  [
    'on a lost node',
    pod({ phase: 'Running', reason: 'NodeLost' }, {}, { deletionTimestamp: '2026-01-01T00:59:00Z' }),
    '0/1',
    'Unknown',
    '0',
  ],
];

for (const [title, sample, ready, status, restarts] of pods)
  test(`pod: ${title}`, () => {
    const row = cells(sample);
    assert.deepEqual([row['Ready'], row['Status'], row['Restarts']], [ready, status, restarts]);
  });

test('wide columns of a pod', () => {
  const row = cells(
    pod(
      { phase: 'Running', podIPs: [{ ip: '10.244.0.5' }], conditions: [{ type: 'x/ok', status: 'True' }] },
      { nodeName: 'n', readinessGates: [{ conditionType: 'x/ok' }, { conditionType: 'x/no' }] },
    ),
  );
  assert.deepEqual(
    [row['Age'], row['IP'], row['Node'], row['Nominated Node'], row['Readiness Gates']],
    ['60m', '10.244.0.5', 'n', '<none>', '1/2'],
  );
});

const container = { name: 'c', image: 'i:1' };
const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [container, { name: 'd', image: 'j:2' }] } };
const selector = { matchLabels: { app: 'a' } };

const rows: readonly (readonly [title: string, sample: Sample, row: Record<string, unknown>])[] = [
  [
    'deployment',
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      spec: { replicas: 3, selector, template },
      status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 1 },
    },
    {
      Name: 'a',
      Ready: '2/3',
      'Up-to-date': 3,
      Available: 1,
      Age: '60m',
      Containers: 'c,d',
      Images: 'i:1,j:2',
      Selector: 'app=a',
    },
  ],
  [
    'replica set',
    { apiVersion: 'apps/v1', kind: 'ReplicaSet', spec: { replicas: 3, selector, template }, status: { replicas: 2 } },
    {
      Name: 'a',
      Desired: 3,
      Current: 2,
      Ready: 0,
      Age: '60m',
      Containers: 'c,d',
      Images: 'i:1,j:2',
      Selector: 'app=a',
    },
  ],
  [
    'daemon set',
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      spec: { selector, template },
      status: { desiredNumberScheduled: 2, currentNumberScheduled: 2, numberReady: 1 },
    },
    {
      Name: 'a',
      Desired: 2,
      Current: 2,
      Ready: 1,
      'Up-to-date': 0,
      Available: 0,
      'Node Selector': '<none>',
      Age: '60m',
      Containers: 'c,d',
      Images: 'i:1,j:2',
      Selector: 'app=a',
    },
  ],
  [
    'job',
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      spec: { completions: 5, selector, template },
      status: {
        succeeded: 5,
        startTime: '2026-01-01T00:00:00Z',
        completionTime: '2026-01-01T00:03:10Z',
        conditions: [{ type: 'Complete', status: 'True' }],
      },
    },
    {
      Name: 'a',
      Status: 'Complete',
      Completions: '5/5',
      Duration: '3m10s',
      Age: '60m',
      Containers: 'c,d',
      Images: 'i:1,j:2',
      Selector: 'app=a',
    },
  ],
  [
    'cron job',
    {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      spec: { schedule: '0 * * * *', suspend: false, jobTemplate: { spec: { template } } },
      status: { active: [{}], lastScheduleTime: '2026-01-01T00:58:00Z' },
    },
    {
      Name: 'a',
      Schedule: '0 * * * *',
      Timezone: '<none>',
      Suspend: 'False',
      Active: 1,
      'Last Schedule': '2m',
      Age: '60m',
      Containers: 'c,d',
      Images: 'i:1,j:2',
      Selector: '<none>',
    },
  ],
  [
    'node port service',
    {
      apiVersion: 'v1',
      kind: 'Service',
      spec: {
        type: 'NodePort',
        clusterIPs: ['10.96.0.7'],
        selector: { b: '2', a: '1' },
        ports: [
          { port: 80, nodePort: 30080, protocol: 'TCP' },
          { port: 53, protocol: 'UDP' },
        ],
      },
    },
    {
      Name: 'a',
      Type: 'NodePort',
      'Cluster-IP': '10.96.0.7',
      'External-IP': '<none>',
      'Port(s)': '80:30080/TCP,53/UDP',
      Age: '60m',
      Selector: 'a=1,b=2',
    },
  ],
  [
    'load balancer',
    {
      apiVersion: 'v1',
      kind: 'Service',
      spec: { type: 'LoadBalancer', clusterIPs: ['10.96.0.7'] },
      status: { loadBalancer: { ingress: [{ ip: '1.2.3.4' }] } },
    },
    {
      Name: 'a',
      Type: 'LoadBalancer',
      'Cluster-IP': '10.96.0.7',
      'External-IP': '1.2.3.4',
      'Port(s)': '<none>',
      Age: '60m',
      Selector: '<none>',
    },
  ],
  [
    'node',
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { labels: { 'node-role.kubernetes.io/control-plane': '', 'kubernetes.io/role': 'etcd' } },
      spec: { unschedulable: true },
      status: {
        conditions: [{ type: 'Ready', status: 'True' }],
        addresses: [{ type: 'InternalIP', address: '10.0.0.2' }],
        nodeInfo: { kubeletVersion: 'v1.36.0', osImage: 'Debian' },
      },
    },
    {
      Name: 'a',
      Status: 'Ready,SchedulingDisabled',
      Roles: 'control-plane,etcd',
      Age: '60m',
      Version: 'v1.36.0',
      'Internal-IP': '10.0.0.2',
      'External-IP': '<none>',
      'OS-Image': 'Debian',
      'Kernel-Version': '<unknown>',
      'Container-Runtime': '<unknown>',
    },
  ],
  [
    'event',
    {
      apiVersion: 'v1',
      kind: 'Event',
      type: 'Warning',
      reason: 'Failed',
      message: ' no room\n',
      count: 3,
      involvedObject: { kind: 'Pod', name: 'p', fieldPath: 'spec' },
      source: { component: 'kubelet', host: 'n' },
      firstTimestamp: '2026-01-01T00:30:00Z',
      lastTimestamp: '2026-01-01T00:59:30Z',
    },
    {
      'Last Seen': '30s',
      Type: 'Warning',
      Reason: 'Failed',
      Object: 'pod/p',
      Subobject: 'spec',
      Source: 'kubelet, n',
      Message: 'no room',
      'First Seen': '30m',
      Count: 3,
      Name: 'a',
    },
  ],
  [
    'event of the new API, in a series',
    {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      type: 'Normal',
      reason: 'Done',
      note: 'ok',
      regarding: { kind: 'Node', name: 'n' },
      reportingController: 'x/y',
      reportingInstance: 'y-1',
      eventTime: '2026-01-01T00:30:00.000000Z',
      series: { count: 4, lastObservedTime: '2026-01-01T00:59:58.000000Z' },
    },
    {
      'Last Seen': '2s',
      Type: 'Normal',
      Reason: 'Done',
      Object: 'node/n',
      Subobject: '',
      Source: 'x/y, y-1',
      Message: 'ok',
      'First Seen': '30m',
      Count: 5,
      Name: 'a',
    },
  ],
  [
    'endpoints',
    {
      apiVersion: 'v1',
      kind: 'Endpoints',
      subsets: [{ addresses: [{ ip: '10.0.0.1' }, { ip: 'fd00::2' }], ports: [{ port: 80 }, { port: 443 }] }],
    },
    { Name: 'a', Endpoints: '10.0.0.1:80,[fd00::2]:80,10.0.0.1:443 + 1 more...', Age: '60m' },
  ],
  [
    'endpoint slice',
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      addressType: 'IPv4',
      ports: [{ port: 80 }],
      endpoints: [],
    },
    { Name: 'a', AddressType: 'IPv4', Ports: '80', Endpoints: '<unset>', Age: '60m' },
  ],
  [
    'claim',
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      spec: { volumeName: 'v', storageClassName: 'fast', volumeMode: 'Block' },
      status: { phase: 'Bound', capacity: { storage: '1Gi' }, accessModes: ['ReadWriteMany', 'ReadWriteOnce'] },
    },
    {
      Name: 'a',
      Status: 'Bound',
      Volume: 'v',
      Capacity: '1Gi',
      'Access Modes': 'RWO,RWX',
      StorageClass: 'fast',
      VolumeAttributesClass: '<unset>',
      Age: '60m',
      VolumeMode: 'Block',
    },
  ],
  [
    'volume',
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadOnlyMany'],
        persistentVolumeReclaimPolicy: 'Retain',
        claimRef: { namespace: 'n', name: 'c' },
      },
      status: { phase: 'Released' },
    },
    {
      Name: 'a',
      Capacity: '1Gi',
      'Access Modes': 'ROX',
      'Reclaim Policy': 'Retain',
      Status: 'Released',
      Claim: 'n/c',
      StorageClass: '',
      VolumeAttributesClass: '<unset>',
      Reason: '',
      Age: '60m',
      VolumeMode: '<unset>',
    },
  ],
  [
    'default storage class',
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: 'x/y',
    },
    {
      Name: 'a (default)',
      Provisioner: 'x/y',
      ReclaimPolicy: 'Delete',
      VolumeBindingMode: 'Immediate',
      AllowVolumeExpansion: false,
      Age: '60m',
    },
  ],
  [
    'ingress',
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      spec: { ingressClassName: 'n', rules: [{ host: 'a.b' }, {}, { host: 'c.d' }], tls: [{}] },
      status: {},
    },
    { Name: 'a', Class: 'n', Hosts: 'a.b,c.d', Address: '', Ports: '80, 443', Age: '60m' },
  ],
  [
    'autoscaler',
    {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      spec: {
        maxReplicas: 5,
        minReplicas: 1,
        scaleTargetRef: { kind: 'Deployment', name: 'd' },
        metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { averageUtilization: 80 } } }],
      },
      status: {
        currentReplicas: 2,
        currentMetrics: [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 12 } } }],
      },
    },
    {
      Name: 'a',
      Reference: 'Deployment/d',
      Targets: 'cpu: 12%/80%',
      MinPods: '1',
      MaxPods: 5,
      Replicas: 2,
      Age: '60m',
    },
  ],
  [
    'role',
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role' },
    { Name: 'a', 'Created At': '2026-01-01T00:00:00Z' },
  ],
  [
    'cluster role binding',
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      roleRef: { kind: 'ClusterRole', name: 'view' },
      subjects: [
        { kind: 'User', name: 'u' },
        { kind: 'ServiceAccount', name: 's', namespace: 'n' },
      ],
    },
    { Name: 'a', Role: 'ClusterRole/view', Age: '60m', Users: 'u', Groups: '', ServiceAccounts: 'n/s' },
  ],
  [
    'certificate request',
    {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      spec: { signerName: 'k/s', username: 'u', expirationSeconds: 86400 },
      status: { certificate: 'eA==', conditions: [{ type: 'Approved' }] },
    },
    {
      Name: 'a',
      Age: '60m',
      SignerName: 'k/s',
      Requestor: 'u',
      RequestedDuration: '24h',
      Condition: 'Approved,Issued',
    },
  ],
  [
    'quota',
    {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      status: { hard: { pods: '4', 'limits.cpu': '2', 'requests.cpu': '1' }, used: { pods: '1' } },
    },
    { Name: 'a', Request: 'pods: 1/4, requests.cpu: 0/1', Limit: 'limits.cpu: 0/2', Age: '60m' },
  ],
  [
    'api service',
    {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      spec: { service: { namespace: 'n', name: 's' } },
      status: { conditions: [{ type: 'Available', status: 'False', reason: 'Gone' }] },
    },
    { Name: 'a', Service: 'n/s', Available: 'False (Gone)', Age: '60m' },
  ],
];

for (const [title, sample, row] of rows)
  test(`row: ${title}`, () => {
    assert.deepEqual(cells(sample), row);
  });
