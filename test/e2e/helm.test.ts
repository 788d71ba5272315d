import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startHttpsServer, type TestHttpsServer } from '#testkit';
import { eventually, type Result, run } from './harness.ts';

const tools = join(new URL('../..', import.meta.url).pathname, '.cache/tools');

const crd = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: themes.shop.example.com}
spec:
  group: shop.example.com
  scope: Namespaced
  names: {plural: themes, singular: theme, kind: Theme}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {colour: {type: string}}}}}}
`;

const templates = {
  'web.yaml': `
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}-web}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
      annotations: { {{- if .Values.broken }} simulation.k8ts.io/ready-after: "1h" {{- end }} }
    spec: {containers: [{name: web, image: nginx}]}
---
apiVersion: shop.example.com/v1
kind: Theme
metadata: {name: {{ .Release.Name }}}
spec: {colour: {{ .Values.colour }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-server}
data:
  version: {{ .Capabilities.KubeVersion.Version | quote }}
  hpa: {{ .Capabilities.APIVersions.Has "autoscaling/v2/HorizontalPodAutoscaler" | quote }}
  namespaces: {{ (lookup "v1" "Namespace" "" "default").metadata.name | quote }}
`,
  'hook.yaml': `
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-migrate
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: "-1"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: {simulation.k8ts.io/complete-after: "10ms"}}
    spec: {restartPolicy: Never, containers: [{name: migrate, image: busybox}]}
`,
  'tests/ping.yaml': `
apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-ping
  annotations:
    helm.sh/hook: test
    simulation.k8ts.io/complete-after: "10ms"
    simulation.k8ts.io/exit-code: {{ .Values.pingExit | quote }}
spec: {restartPolicy: Never, containers: [{name: ping, image: busybox}]}
`,
};

describe('helm 4', () => {
  const folder = mkdtempSync(join(tmpdir(), 'k8ts-helm-'));
  const chart = join(folder, 'shop');
  const env = { KUBECONFIG: join(folder, 'kubeconfig'), HOME: folder };
  let server: TestHttpsServer;
  const helm = (...args: string[]): Promise<Result> => run(join(tools, 'helm'), args, { env });
  const must = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await helm(...args);
    assert.equal(code, 0, `helm ${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  };
  const kubectl = (...args: string[]): Promise<Result> => run(join(tools, 'kubectl-1.35'), args, { env });

  before(async () => {
    await run('ip', ['link', 'set', 'lo', 'up']);
    server = await startHttpsServer({ nodes: 1, scheduler: true, controllers: ['*'] });
    writeFileSync(env.KUBECONFIG, server.kubeconfig(), { mode: 0o600 });
    for (const one of ['crds', 'templates/tests']) mkdirSync(join(chart, one), { recursive: true });
    writeFileSync(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: shop\nversion: 0.1.0\n');
    writeFileSync(join(chart, 'values.yaml'), 'replicas: 1\ncolour: red\nbroken: false\npingExit: 0\n');
    writeFileSync(join(chart, 'crds/themes.yaml'), crd);
    for (const [name, text] of Object.entries(templates)) writeFileSync(join(chart, 'templates', name), text);
  });
  after(async () => {
    await server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('install with definitions and hooks, and wait; what the chart finds out about the server', async () => {
    await must('install', 'shop', chart, '--wait', '--timeout=60s');
    const { stdout } = await kubectl('get', 'configmap', 'shop-server', '-o', 'jsonpath={.data}');
    const { version, hpa, namespaces } = JSON.parse(stdout);
    assert.match(version, /^v1\.36\./);
    assert.deepEqual([hpa, namespaces], ['true', 'default']);
    assert.equal((await kubectl('get', 'theme', 'shop', '-o', 'jsonpath={.spec.colour}')).stdout, 'red');
    assert.match((await kubectl('get', 'job', 'shop-migrate')).stderr, /NotFound/);
    assert.match(await must('status', 'shop'), /STATUS: deployed/);
    assert.match(await must('get', 'manifest', 'shop'), /kind: Theme/);
    assert.match(await must('list'), /shop\s+default\s+1\s/);
  });

  test('template with the server, dry run, lint of what does not fit', async () => {
    assert.match(await must('template', 'other', chart, '--dry-run=server'), /version: "v1\.36\./);
    assert.match(await must('upgrade', 'shop', chart, '--dry-run=server', '--set', 'colour=blue'), /colour: blue/);
    assert.equal((await kubectl('get', 'theme', 'shop', '-o', 'jsonpath={.spec.colour}')).stdout, 'red');
    const wrong = await helm('upgrade', 'shop', chart, '--set', 'replicas=many');
    assert.notEqual(wrong.code, 0);
    assert.match(wrong.stderr, /replicas/);
  });

  test('upgrade, test, one that fails and goes back, rollback, uninstall', async () => {
    await must('upgrade', 'shop', chart, '--set', 'colour=blue,replicas=2', '--wait', '--timeout=60s');
    assert.equal((await kubectl('get', 'theme', 'shop', '-o', 'jsonpath={.spec.colour}')).stdout, 'blue');
    assert.match(await must('test', 'shop', '--timeout=60s'), /Phase:\s+Succeeded/);
    const broken = ['--set', 'broken=true,colour=green', '--wait', '--rollback-on-failure', '--timeout=4s'];
    const failed = await helm('upgrade', 'shop', chart, ...broken);
    assert.notEqual(failed.code, 0, failed.stdout);
    await eventually('the release is back', async () => {
      const { stdout } = await kubectl('get', 'theme', 'shop', '-o', 'jsonpath={.spec.colour}');
      return stdout === 'blue';
    });
    assert.match(await must('history', 'shop'), /Rollback to 3|Rollback to 2/);
    await must('rollback', 'shop', '1', '--wait', '--timeout=60s');
    assert.equal((await kubectl('get', 'theme', 'shop', '-o', 'jsonpath={.spec.colour}')).stdout, 'red');
    await must('upgrade', 'shop', chart, '--set', 'pingExit=1', '--wait', '--timeout=60s');
    const untested = await helm('test', 'shop', '--timeout=60s');
    assert.notEqual(untested.code, 0);
    await must('uninstall', 'shop', '--wait', '--timeout=60s');
    assert.match((await kubectl('get', 'deployment,theme,configmap', '-l', 'app=shop')).stderr, /No resources found/);
    assert.equal((await kubectl('get', 'crd', 'themes.shop.example.com', '-o', 'name')).code, 0);
    assert.equal((await kubectl('get', 'secrets', '-l', 'owner=helm', '-o', 'name')).stdout, '');
  });

  test('one that cannot be installed leaves nothing behind', async () => {
    const failed = await helm(
      'install',
      'bad',
      chart,
      '--set',
      'broken=true',
      '--wait',
      '--rollback-on-failure',
      '--timeout=4s',
    );
    assert.notEqual(failed.code, 0);
    assert.match((await kubectl('get', 'deployment', 'bad-web')).stderr, /NotFound/);
    assert.doesNotMatch(await must('list'), /bad/);
  });
});
