import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parsePrometheusText } from '#testkit';
import { eventually, Machine, run, whyNoContainers } from './harness.ts';

const skip = whyNoContainers() ?? false;
const machine = new Machine('autoscaler');

const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: busy
spec:
  selector:
    matchLabels: { app: busy }
  template:
    metadata:
      labels: { app: busy }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: c
          image: docker.io/library/busybox:1
          command: [sh, -c, 'while :; do :; done']
          resources:
            requests: { cpu: 20m, memory: 8Mi }
            limits: { cpu: 100m }
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: busy
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: busy }
  minReplicas: 1
  maxReplicas: 3
  metrics:
    - type: Resource
      resource: { name: cpu, target: { type: Utilization, averageUtilization: 50 } }
  behavior:
    scaleDown: { stabilizationWindowSeconds: 0 }
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: lost
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: nothing }
  maxReplicas: 3
`;

before(async () => {
  if (skip !== false) return;
  await machine.prepare();
  await machine.up('--image', machine.images);
});
after(async () => {
  if (skip === false) await machine.remove();
});

test('kubectl top says what nodes and pods use, at once and with old clients', { skip }, async () => {
  await machine.apply(manifest);
  await machine.must('rollout', 'status', 'deployment/busy', '--timeout=60s');
  const nodes = await machine.must('top', 'nodes');
  assert.match(nodes, /^NAME +CPU\(cores\) +CPU\(%\) +MEMORY\(bytes\) +MEMORY\(%\)\s+master +\d+m +\d+% +\d+Mi +\d+%/);
  const pods = await eventually('the pod is measured', async () => {
    const { code, stdout } = await machine.kubectl('top', 'pods', '--containers');
    return code === 0 && stdout;
  });
  assert.match(pods, /busy-\S+ +c +\d+m +\d+Mi/);
  const { code, stdout, stderr } = await machine.oldKubectl('top', 'nodes');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /master/);
});

test('Prometheus can read the control plane and the node; health says what is checked', { skip }, async () => {
  const read = async (path: string): Promise<ReturnType<typeof parsePrometheusText>> =>
    parsePrometheusText(await machine.must('get', '--raw', path));
  const server = await read('/metrics');
  const value = (name: string, labels: Record<string, string>): number | undefined =>
    server.get(name)?.samples.find((one) => Object.entries(labels).every(([key, wanted]) => one.labels[key] === wanted))
      ?.value;
  assert.ok((value('workqueue_adds_total', { name: 'deployment' }) as number) > 0);
  assert.ok((value('scheduler_schedule_attempts_total', { result: 'scheduled' }) as number) > 0);
  assert.ok((value('rest_client_requests_total', { host: 'in-process', code: '201' }) as number) > 0);
  assert.equal(value('apiserver_flowcontrol_nominal_limit_seats', { priority_level: 'workload-low' }), 245);
  assert.ok((value('apiserver_flowcontrol_dispatched_requests_total', { flow_schema: 'system-nodes' }) as number) > 0);
  const kubelet = '/api/v1/nodes/master/proxy/metrics';
  const [own, cadvisor, resource] = await Promise.all(['', '/cadvisor', '/resource'].map((one) => read(kubelet + one)));
  assert.ok((own?.get('kubelet_running_pods')?.samples[0]?.value as number) >= 1);
  assert.ok(
    own
      ?.get('kubelet_runtime_operations_total')
      ?.samples.some(({ labels }) => labels.operation_type === 'run_podsandbox'),
  );
  for (const one of [cadvisor, resource]) {
    const busy = one?.get('container_cpu_usage_seconds_total')?.samples.find(({ labels }) => labels.container === 'c');
    assert.match(busy?.labels.pod ?? '', /^busy-/);
    assert.ok((busy?.value as number) > 0);
  }
  // A scraper of the cluster comes to the kubelet itself, with its token.
  await machine.must('create', 'serviceaccount', 'scraper');
  await machine.must('create', 'clusterrole', 'scraper', '--verb=get', '--resource=nodes/metrics');
  await machine.must(
    'create',
    'clusterrolebinding',
    'scraper',
    '--clusterrole=scraper',
    '--serviceaccount=default:scraper',
  );
  const address = await machine.must('get', 'node', 'master', '-o', 'jsonpath={.status.addresses[0].address}');
  const code = async (token: string): Promise<string> => {
    const url = `https://${address.trim()}:10250/metrics/resource`;
    const authorization = `Authorization: Bearer ${token.trim()}`;
    return (await run('curl', ['-sk', '-o', '/dev/null', '-w', '%{http_code}', '-H', authorization, url])).stdout;
  };
  assert.equal(await code(await machine.must('create', 'token', 'scraper')), '200');
  assert.equal(await code(await machine.must('create', 'token', 'default')), '403');
  assert.equal(await code('made-up'), '401');
  const ready = await machine.must('get', '--raw', '/readyz?verbose&exclude=etcd');
  assert.match(ready, /^\[\+\]ping ok\n.*\[\+\]etcd excluded: ok\n.*readyz check passed\n$/s);
  const components = await machine.kubectl('get', 'componentstatuses');
  assert.match(components.stderr, /Warning: v1 ComponentStatus is deprecated in v1\.19\+/);
  for (const name of ['scheduler', 'controller-manager', 'etcd-0'])
    assert.match(components.stdout, new RegExp(`^${name} +Healthy +ok`, 'm'));
});

test('a Deployment grows with its load, and back', { skip }, async () => {
  const replicas = async (): Promise<number> =>
    (await machine.json<{ spec: { replicas: number } }>('deployment', 'busy')).spec.replicas;
  await eventually('three replicas', async () => (await replicas()) === 3, 90_000);
  const told = await machine.must('describe', 'hpa', 'busy');
  assert.match(
    told,
    /SuccessfulRescale +\S+ +horizontal-pod-autoscaler +New size: \d; reason: cpu resource utilization \(percentage of request\) above target/,
  );
  assert.match(await machine.must('get', 'hpa', 'busy'), /Deployment\/busy +cpu: \d+%\/50% +1 +3/);
  const { status } = await machine.json<{ status: { conditions: { type: string; reason: string }[] } }>('hpa', 'lost');
  assert.deepEqual(
    status.conditions.map(({ type, reason }) => [type, reason]),
    [['AbleToScale', 'FailedGetScale']],
  );
  const idle = '[{"op":"replace","path":"/spec/template/spec/containers/0/command","value":["sleep","3600"]}]';
  await machine.must('patch', 'deployment', 'busy', '--type=json', '-p', idle);
  await machine.must('rollout', 'status', 'deployment/busy', '--timeout=60s');
  await eventually('one replica', async () => (await replicas()) === 1, 120_000);
});
