import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type ConfigMap,
  type Event,
  type Node,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  resource,
  type Secret,
} from '#api';
import { isReady, openTestNode, pods, type TestNode } from './test-node.ts';

const configMaps = resource('v1', 'configmaps');
const secrets = resource('v1', 'secrets');
const events = resource('v1', 'events');
const nodes = resource('v1', 'nodes');

let node: TestNode;
before(async () => {
  node = await openTestNode();
});
after(() => node.close());

const sh = (script: string): { command: string[] } => ({ command: ['sh', '-c', script] });

test('a pod becomes ready, answers its log, and is gone after deletion', async () => {
  await node.run('plain', {
    terminationGracePeriodSeconds: 1,
    containers: [{ name: 'c', ...sh('echo hello; hostname; sleep 3600') }],
  });
  const pod = await node.ready('plain');
  assert.match(pod.status?.podIP ?? '', /^10\.88\.0\./);
  assert.equal(pod.status?.phase, 'Running');
  assert.equal(pod.status?.qosClass, 'BestEffort');
  assert.match(pod.status?.containerStatuses?.[0]?.containerID ?? '', /^containerd:\/\/[0-9a-f]{64}$/);
  assert.equal(await node.log('plain', 'c', '?follow=true&limitBytes=12'), 'hello\nplain\n');
  assert.match(await node.log('plain', 'c', '?timestamps=true&tailLines=1'), /^2\d{3}-.*Z plain\n$/);
  assert.equal(await node.log('plain', 'c', '?limitBytes=3'), 'hel');
  await node.client.delete(pods, 'plain', { namespace: 'default' });
  await node.gone('plain');
});

test('exit codes decide the phase; the termination message is read', async () => {
  await node.run('good', {
    restartPolicy: 'Never',
    containers: [{ name: 'c', ...sh('echo done > /dev/termination-log') }],
  });
  await node.run('bad', {
    restartPolicy: 'Never',
    containers: [{ name: 'c', terminationMessagePolicy: 'FallbackToLogsOnError', ...sh('echo why; exit 3') }],
  });
  const good = await node.waitPod('good', (pod) => pod.status?.phase === 'Succeeded');
  const bad = await node.waitPod('bad', (pod) => pod.status?.phase === 'Failed');
  assert.equal(good.status?.containerStatuses?.[0]?.state?.terminated?.message, 'done\n');
  assert.equal(good.status?.containerStatuses?.[0]?.state?.terminated?.reason, 'Completed');
  assert.equal(good.status?.conditions?.find(({ type }) => type === 'Ready')?.reason, 'PodCompleted');
  const terminated = bad.status?.containerStatuses?.[0]?.state?.terminated;
  assert.equal(terminated?.exitCode, 3);
  assert.equal(terminated?.message, 'why\n');
  assert.equal(await node.log('bad', 'c'), 'why\n');
});

test('a failing container is restarted at once, then held back', async () => {
  await node.run('crash', { terminationGracePeriodSeconds: 0, containers: [{ name: 'c', ...sh('echo run; exit 1') }] });
  const pod = await node.waitPod(
    'crash',
    ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff',
  );
  const status = pod.status?.containerStatuses?.[0];
  assert.equal(status?.restartCount, 1);
  assert.equal(status?.lastState?.terminated?.exitCode, 1);
  assert.match(
    status?.state?.waiting?.message ?? '',
    /^back-off 10s restarting failed container=c pod=crash_default\(/,
  );
  assert.equal(pod.status?.phase, 'Running');
  assert.equal(await node.log('crash', 'c', '?previous=true'), 'run\n');
});

test('environment: values, references, fields, resources, sources', async () => {
  await node.client.create<ConfigMap>(configMaps, {
    metadata: { name: 'env', namespace: 'default' },
    data: { color: 'blue', size: 'x' },
  });
  await node.client.create<Secret>(secrets, {
    metadata: { name: 'env', namespace: 'default' },
    data: { key: Buffer.from('s3cret').toString('base64') },
  });
  await node.run(
    'env',
    {
      restartPolicy: 'Never',
      containers: [
        {
          name: 'c',
          command: ['sh', '-c', 'env; echo "args $0 $1"', '$(A)-$(MISSING)', '$$(A)'],
          resources: { requests: { cpu: '250m', memory: '32Mi' }, limits: { cpu: '500m', memory: '64Mi' } },
          envFrom: [
            { prefix: 'CM_', configMapRef: { name: 'env' } },
            { configMapRef: { name: 'absent', optional: true } },
          ],
          env: [
            { name: 'A', value: 'one' },
            { name: 'B', value: '$(A)-two' },
            { name: 'C', valueFrom: { configMapKeyRef: { name: 'env', key: 'color' } } },
            { name: 'S', valueFrom: { secretKeyRef: { name: 'env', key: 'key' } } },
            { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            { name: 'HOST', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } },
            { name: 'LABEL', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
            { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
            { name: 'MEM', valueFrom: { resourceFieldRef: { resource: 'requests.memory', divisor: '1Mi' } } },
            { name: 'NONE', valueFrom: { configMapKeyRef: { name: 'env', key: 'nope', optional: true } } },
          ],
        },
      ],
    },
    { labels: { app: 'web' } },
  );
  const pod = await node.waitPod('env', ({ status }) => status?.phase === 'Succeeded');
  const lines = (await node.log('env', 'c')).split('\n');
  const has = (line: string): void => assert.ok(lines.includes(line), `${line} is missing in\n${lines.join('\n')}`);
  for (const line of [
    'A=one',
    'B=one-two',
    'C=blue',
    'S=s3cret',
    'HOST=10.88.0.1',
    'LABEL=web',
    'CPU=500',
    'MEM=32',
    'CM_color=blue',
    'CM_size=x',
  ])
    has(line);
  has(`IP=${pod.status?.podIP}`);
  has('args one-$(MISSING) $(A)');
  assert.ok(!lines.some((line) => line.startsWith('NONE=')));
});

test('a missing ConfigMap keeps the container waiting until it appears', async () => {
  await node.run('late', {
    restartPolicy: 'Never',
    containers: [
      { name: 'c', ...sh('echo $V'), env: [{ name: 'V', valueFrom: { configMapKeyRef: { name: 'late', key: 'v' } } }] },
    ],
  });
  const waiting = await node.waitPod(
    'late',
    ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError',
  );
  assert.equal(waiting.status?.containerStatuses?.[0]?.state?.waiting?.message, 'configmap "late" not found');
  await node.client.create<ConfigMap>(configMaps, {
    metadata: { name: 'late', namespace: 'default' },
    data: { v: 'here' },
  });
  await node.waitPod('late', ({ status }) => status?.phase === 'Succeeded');
  assert.equal(await node.log('late', 'c'), 'here\n');
});

test('volumes: projected files follow their objects, sub-paths and modes hold', async () => {
  await node.client.create<ConfigMap>(configMaps, {
    metadata: { name: 'vol', namespace: 'default' },
    data: { a: '1', b: '2' },
  });
  await node.run(
    'vol',
    {
      terminationGracePeriodSeconds: 0,
      securityContext: { fsGroup: 1234, runAsUser: 1000 },
      volumes: [
        {
          name: 'cm',
          configMap: {
            name: 'vol',
            items: [
              { key: 'a', path: 'deep/a', mode: 0o440 },
              { key: 'b', path: 'b' },
            ],
          },
        },
        {
          name: 'api',
          projected: {
            sources: [
              { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
              { configMap: { name: 'vol', items: [{ key: 'a', path: 'a' }] } },
            ],
          },
        },
        { name: 'empty', emptyDir: {} },
        { name: 'ram', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
      ],
      initContainers: [
        {
          name: 'make',
          ...sh('mkdir -p /e/sub && echo sub > /e/sub/f'),
          volumeMounts: [{ name: 'empty', mountPath: '/e' }],
        },
      ],
      containers: [
        {
          name: 'c',
          ...sh(
            'cat /cm/deep/a /cm/b /api/labels; echo; stat -c "%a %g" /cm/..data/deep/a; cat /s/f; stat -c "%a %g" /e; grep /ram /proc/mounts | cut -d" " -f3; touch /cm/x 2>&1; id -G; while sleep 0.1; do cat /cm/b; echo; done',
          ),
          volumeMounts: [
            { name: 'cm', mountPath: '/cm' },
            { name: 'api', mountPath: '/api' },
            { name: 'empty', mountPath: '/e' },
            { name: 'empty', mountPath: '/s', subPath: 'sub' },
            { name: 'ram', mountPath: '/ram' },
          ],
        },
      ],
    },
    { labels: { tier: 'x' } },
  );
  await node.ready('vol');
  await pause(300);
  const text = await node.log('vol', 'c');
  assert.match(
    text,
    /^12tier="x"\n440 1234\nsub\n2777 1234\ntmpfs\ntouch: \/cm\/x: Read-only file system\n0 1234|1234 0/,
  );
  const found = await node.client.get<ConfigMap>(configMaps, 'vol', { namespace: 'default' });
  await node.client.update<ConfigMap>(configMaps, { ...found, data: { a: '1', b: 'changed' } });
  for (let tries = 0; ; tries++) {
    if ((await node.log('vol', 'c', '?tailLines=1')).includes('changed')) break;
    assert.ok(tries < 50, 'the volume did not follow its ConfigMap');
    await pause(100);
  }
});

test('a service account token and the cluster root are projected', async () => {
  await node.client
    .create<ConfigMap>(configMaps, {
      metadata: { name: 'kube-root-ca.crt', namespace: 'default' },
      data: { 'ca.crt': 'root' },
    })
    .catch(() => {});
  await node.run('token', {
    restartPolicy: 'Never',
    serviceAccountName: 'default',
    volumes: [
      {
        name: 't',
        projected: {
          sources: [
            { serviceAccountToken: { path: 'token', expirationSeconds: 3600 } },
            { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
          ],
        },
      },
    ],
    containers: [
      {
        name: 'c',
        ...sh('cut -d. -f1 /t/token | head -c 3; cat /t/ca.crt | wc -c'),
        volumeMounts: [{ name: 't', mountPath: '/t' }],
      },
    ],
  });
  await node.waitPod('token', ({ status }) => status?.phase === 'Succeeded');
  assert.match(await node.log('token', 'c'), /^eyJ\s*\d+\n$/);
});

test('a claim bound to a directory of the node', async () => {
  const { mkdir, readFile } = await import('node:fs/promises');
  const path = `${node.directory}/disk`;
  await mkdir(path);
  await node.client.create<PersistentVolume>(resource('v1', 'persistentvolumes'), {
    metadata: { name: 'disk' },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      hostPath: { path, type: 'Directory' },
      claimRef: { kind: 'PersistentVolumeClaim', namespace: 'default', name: 'claim' },
    },
  });
  const claims = resource('v1', 'persistentvolumeclaims');
  await node.client.create<PersistentVolumeClaim>(claims, {
    metadata: { name: 'claim', namespace: 'default' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: '',
      volumeName: 'disk',
      resources: { requests: { storage: '1Gi' } },
    },
  });
  await node.run('claimed', {
    restartPolicy: 'Never',
    volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'claim' } }],
    containers: [{ name: 'c', ...sh('echo kept > /v/f'), volumeMounts: [{ name: 'v', mountPath: '/v' }] }],
  });
  const body = { status: { phase: 'Bound' } };
  await node.client.patch(claims, 'claim', { type: 'merge', body }, { namespace: 'default', subresource: 'status' });
  await node.waitPod('claimed', ({ status }) => status?.phase === 'Succeeded');
  assert.equal(await readFile(`${path}/f`, 'utf8'), 'kept\n');
});

test('resources change in place', async () => {
  const resources = (cpu: string, memory: string) => ({ requests: { cpu, memory }, limits: { cpu, memory } });
  const show =
    'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/memory.max';
  await node.run('resize', {
    terminationGracePeriodSeconds: 0,
    containers: [
      { name: 'c', ...sh(`while sleep 0.1; do echo $(${show}); done`), resources: resources('100m', '64Mi') },
    ],
  });
  const before = await node.ready('resize');
  assert.equal(before.status?.qosClass, 'Guaranteed');
  const body = { spec: { containers: [{ name: 'c', resources: resources('200m', '128Mi') }] } };
  await node.client.patch(pods, 'resize', { type: 'strategic', body }, { namespace: 'default', subresource: 'resize' });
  for (let tries = 0; ; tries++) {
    const line = await node.log('resize', 'c', '?tailLines=1');
    if (/^20000 (100000 )?134217728$/.test(line.trim())) break;
    assert.ok(tries < 100, `not resized: ${line}`);
    await pause(100);
  }
  const now = await node.client.get<Pod>(pods, 'resize', { namespace: 'default' });
  assert.equal(now.status?.containerStatuses?.[0]?.restartCount, 0);
  assert.equal(now.status?.containerStatuses?.[0]?.resources?.limits?.memory, '128Mi');
});

test('init containers run one by one, a sidecar stays and ends after the rest', async () => {
  await node.run('init', {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 5,
    volumes: [{ name: 'v', emptyDir: {} }],
    initContainers: [
      { name: 'one', ...sh('echo one >> /v/f'), volumeMounts: [{ name: 'v', mountPath: '/v' }] },
      {
        name: 'side',
        restartPolicy: 'Always',
        ...sh('trap "echo bye; exit 0" TERM; echo side >> /v/f; while :; do sleep 0.1; done'),
        volumeMounts: [{ name: 'v', mountPath: '/v' }],
      },
      { name: 'two', ...sh('echo two >> /v/f'), volumeMounts: [{ name: 'v', mountPath: '/v' }] },
    ],
    containers: [{ name: 'c', ...sh('cat /v/f'), volumeMounts: [{ name: 'v', mountPath: '/v' }] }],
  });
  const pod = await node.waitPod('init', ({ status }) => status?.phase === 'Succeeded');
  assert.equal(await node.log('init', 'c'), 'one\nside\ntwo\n');
  await node.waitPod('init', ({ status }) => status?.initContainerStatuses?.[1]?.state?.terminated !== undefined);
  assert.equal(pod.status?.initContainerStatuses?.[0]?.state?.terminated?.exitCode, 0);
  assert.equal(await node.log('init', 'side'), 'bye\n');
});

test('a failed init container fails a pod that is never restarted', async () => {
  await node.run('initbad', {
    restartPolicy: 'Never',
    initContainers: [{ name: 'no', ...sh('exit 4') }],
    containers: [{ name: 'c', ...sh('echo never') }],
  });
  const pod = await node.waitPod('initbad', ({ status }) => status?.phase === 'Failed');
  assert.equal(pod.status?.conditions?.find(({ type }) => type === 'Initialized')?.status, 'False');
});

test('probes: readiness waits for the server, liveness restarts', async () => {
  await node.run('web', {
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'c',
        ...sh('mkdir /w; echo ok > /w/index.html; sleep 0.3; httpd -f -p 8080 -h /w'),
        ports: [{ name: 'http', containerPort: 8080 }],
        startupProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1, failureThreshold: 30 },
        readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 10 },
        livenessProbe: {
          exec: { command: ['sh', '-c', 'test ! -e /tmp/sick'] },
          periodSeconds: 1,
          failureThreshold: 1,
        },
        lifecycle: { postStart: { exec: { command: ['sh', '-c', 'echo started > /tmp/started'] } } },
      },
    ],
  });
  await node.ready('web', 8000);
  const sick = await node.get('/run/default/web/c?command=sh&command=-c&command=touch+/tmp/sick');
  assert.equal(sick.status, 405);
  await node.run('sick', {
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'c',
        ...sh('sleep 1; touch /tmp/sick; sleep 3600'),
        livenessProbe: {
          exec: { command: ['sh', '-c', 'test ! -e /tmp/sick'] },
          periodSeconds: 1,
          failureThreshold: 1,
        },
      },
    ],
  });
  const restarted = await node.waitPod('sick', ({ status }) => (status?.containerStatuses?.[0]?.restartCount ?? 0) > 0);
  assert.equal(restarted.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 137);
  const found = await node.client.list<Event>(events, { namespace: 'default' });
  const messages = found.items
    .filter(({ involvedObject }) => involvedObject.name === 'sick')
    .map(({ reason, message }) => `${reason}: ${message}`);
  assert.ok(messages.includes('Killing: Container c failed liveness probe, will be restarted'), messages.join('\n'));
  assert.ok(
    messages.some((one) => one.startsWith('Unhealthy: Liveness probe failed:')),
    messages.join('\n'),
  );
});

test('preStop runs, SIGTERM is honoured, the last status is seen', async () => {
  await node.run('end', {
    terminationGracePeriodSeconds: 10,
    volumes: [{ name: 'v', hostPath: { path: node.directory } }],
    containers: [
      {
        name: 'c',
        ...sh('trap "echo term >> /v/end; exit 7" TERM; while :; do sleep 0.1; done'),
        lifecycle: { preStop: { exec: { command: ['sh', '-c', 'echo pre >> /v/end'] } } },
        volumeMounts: [{ name: 'v', mountPath: '/v' }],
      },
    ],
  });
  await node.ready('end');
  const seen: string[] = [];
  const informer = node.cluster.informers.of(pods, { namespace: 'default' });
  informer.onChange(({ object }) => {
    if (object.metadata.name === 'end') seen.push((object as { status?: { phase?: string } }).status?.phase ?? '');
  });
  await node.client.delete(pods, 'end', { namespace: 'default' });
  await node.gone('end');
  assert.equal(seen.at(-1), 'Failed');
  const { readFile } = await import('node:fs/promises');
  assert.equal(await readFile(`${node.directory}/end`, 'utf8'), 'pre\nterm\n');
});

test('an image that is nowhere: ErrImagePull, then ImagePullBackOff', async () => {
  await node.run('nopull', {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'c', image: 'registry.invalid/none:1' }],
  });
  await node.waitPod(
    'nopull',
    ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === 'ErrImagePull',
  );
  const pod = await node.waitPod(
    'nopull',
    ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === 'ImagePullBackOff',
  );
  assert.match(
    pod.status?.containerStatuses?.[0]?.state?.waiting?.message ?? '',
    /^Back-off pulling image "registry\.invalid\/none:1"/,
  );
});

test('runAsNonRoot refuses an image that runs as root', async () => {
  await node.run('root', {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'c', ...sh('id'), securityContext: { runAsNonRoot: true } }],
  });
  const pod = await node.waitPod(
    'root',
    ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError',
  );
  assert.match(
    pod.status?.containerStatuses?.[0]?.state?.waiting?.message ?? '',
    /^container has runAsNonRoot and image will run as root/,
  );
});

test('host names, DNS and hosts file', async () => {
  await node.run('names', {
    restartPolicy: 'Never',
    hostname: 'web',
    subdomain: 'sub',
    hostAliases: [{ ip: '10.1.2.3', hostnames: ['alias'] }],
    containers: [{ name: 'c', ...sh('hostname; cat /etc/resolv.conf /etc/hosts') }],
  });
  await node.waitPod('names', ({ status }) => status?.phase === 'Succeeded');
  const text = await node.log('names', 'c');
  assert.match(text, /^web\n/);
  assert.match(text, /search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local/);
  assert.match(text, /nameserver 10\.96\.0\.10\noptions ndots:5/);
  assert.match(text, /10\.88\.0\.\d+\tweb\.sub\.default\.svc\.cluster\.local\tweb\n/);
  assert.match(text, /10\.1\.2\.3\talias\n/);
});

test('a restarted kubelet finds its pods and restarts nothing', async () => {
  await node.run('keep', {
    terminationGracePeriodSeconds: 0,
    containers: [
      { name: 'c', ...sh('sleep 3600'), readinessProbe: { exec: { command: ['true'] }, initialDelaySeconds: 1 } },
    ],
  });
  const before = await node.ready('keep');
  const flips: boolean[] = [];
  const informer = node.cluster.informers.of(pods, { namespace: 'default' });
  informer.onChange(({ object }) => {
    if (object.metadata.name === 'keep') flips.push(isReady(object as never));
  });
  await node.restartKubelet();
  await node.run('probe', { terminationGracePeriodSeconds: 0, containers: [{ name: 'c', ...sh('sleep 3600') }] });
  await node.ready('probe');
  const now = await node.client.get<Pod>(pods, 'keep', { namespace: 'default' });
  assert.equal(now.status?.containerStatuses?.[0]?.containerID, before.status?.containerStatuses?.[0]?.containerID);
  assert.ok(flips.every(Boolean), 'readiness flipped');
});

test('the runtime dies and comes back: nothing is restarted, the node says so', async () => {
  await node.run('through', {
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'c',
        ...sh('sleep 3600'),
        livenessProbe: { exec: { command: ['true'] }, periodSeconds: 1, timeoutSeconds: 20, failureThreshold: 1 },
        readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1, timeoutSeconds: 20, failureThreshold: 1 },
      },
    ],
  });
  const before = await node.ready('through');
  const nodeReady = (status: string) => (one: Node) =>
    one.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === status) === true;
  await node.containerd.kill();
  const down = await node.cluster.waitForOne<Node>(nodes, 'n1', nodeReady('False'), { timeoutMs: 20_000 });
  assert.match(
    down.status?.conditions?.find(({ type }) => type === 'Ready')?.message ?? '',
    /^container runtime is down/,
  );
  await node.containerd.start();
  await node.cluster.waitForOne<Node>(nodes, 'n1', nodeReady('True'), { timeoutMs: 20_000 });
  await node.run('afterwards', { terminationGracePeriodSeconds: 0, containers: [{ name: 'c', ...sh('sleep 3600') }] });
  await node.ready('afterwards');
  // While the node was not ready its pods were marked so too; the kubelet takes that back.
  const now = await node.ready('through');
  assert.equal(now.status?.containerStatuses?.[0]?.containerID, before.status?.containerStatuses?.[0]?.containerID);
  assert.equal(now.status?.containerStatuses?.[0]?.restartCount, 0);
});

test('a pod that outgrows the limit of its emptyDir is evicted', async () => {
  await node.run('greedy', {
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'c',
        ...sh('dd if=/dev/zero of=/data/file bs=1M count=3; sleep 3600'),
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
    volumes: [{ name: 'data', emptyDir: { sizeLimit: '1Mi' } }],
  });
  const evicted = await node.waitPod('greedy', (pod) => pod.status?.phase === 'Failed', 60_000);
  assert.equal(evicted.status?.reason, 'Evicted');
  assert.match(evicted.status?.message ?? '', /^Usage of EmptyDir volume "data" exceeds the limit "1Mi"/);
});

test('only certificates of the cluster get in', async () => {
  assert.equal((await node.get('/pods', null)).status, 401);
  assert.equal((await node.get('/pods')).status, 200);
  assert.equal((await node.get('/healthz')).body, 'ok');
  assert.equal((await node.get('/containerLogs/default/..%2f..%2fetc/passwd')).status, 404);
  assert.match((await node.get('/metrics/resource')).body, /node_memory_working_set_bytes \d+/);
});
