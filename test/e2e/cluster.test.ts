import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { PassThrough, Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { eventually, Machine, run, whyNoContainers } from './harness.ts';

const k8s = createRequire(new URL('../tools/package.json', import.meta.url))(
  '@kubernetes/client-node',
) as typeof import('../tools/node_modules/@kubernetes/client-node/dist/index.js');
const skip = whyNoContainers() ?? false;
const machine = new Machine('e2e-one');

interface PodJson {
  metadata: { name: string; uid: string };
  spec: { nodeName: string };
  status: {
    phase: string;
    containerStatuses?: {
      containerID: string;
      restartCount: number;
      image: string;
      state: Record<string, { reason?: string; message?: string }>;
    }[];
  };
}

const pods = async (selector: string): Promise<PodJson[]> =>
  (await machine.json<{ items: PodJson[] }>('pods', '-l', selector)).items;
const available = (name: string): Promise<string> =>
  machine.must('rollout', 'status', `deployment/${name}`, '--timeout=60s');

/** Network namespaces of pods that are visible outside their node: there must be none of ours. */
function podNamespaces(): string[] {
  return existsSync('/run/netns') ? readdirSync('/run/netns').filter((one) => one.startsWith('cni-')) : [];
}
let namespacesBefore: string[] = [];

describe('a cluster of one node, as kubectl sees it', { skip }, () => {
  before(async () => {
    namespacesBefore = podNamespaces();
    await machine.prepare();
    const { stderr } = await machine.up('--image', machine.images);
    assert.match(stderr, /nodes ready: master +\d+\.\d\d s/);
    assert.match(stderr, new RegExp(`context k8ts-${machine.name}`));
  });
  after(() => machine.remove());

  test('a deployment runs, and its Service answers by name from a pod', async () => {
    await machine.must('create', 'deployment', 'web', '--image=k8ts.test/web:1', '--replicas=3');
    await available('web');
    await machine.must('expose', 'deployment', 'web', '--port=80', '--target-port=8080');
    const wide = await machine.must('get', 'pods', '-o', 'wide');
    assert.match(wide, /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES$/m);
    assert.match(wide, /^web-[a-z0-9]+-[a-z0-9]{5} +1\/1 +Running +0 +\S+ +10\.244\.0\.\d+ +master +<none> +<none>$/m);
    await machine.must('run', 'client', '--image=docker.io/library/busybox:1', '--command', '--', 'sleep', '100000');
    await machine.must('wait', '--for=condition=Ready', 'pod/client', '--timeout=90s');
    for (const name of ['web', 'web.default', 'web.default.svc.cluster.local']) {
      assert.match(await machine.must('exec', 'client', '--', 'fetch', `http://${name}`), /^one web-/);
    }
    const seen = new Set<string>();
    await eventually('all three pods answer', async () => {
      seen.add(await machine.must('exec', 'client', '--', 'fetch', 'http://web'));
      return seen.size === 3;
    });
  });

  test('rollout of a new image and back, scale up and down', async () => {
    await machine.must('set', 'image', 'deployment/web', 'web=k8ts.test/web:2');
    await available('web');
    assert.match(await machine.must('exec', 'client', '--', 'fetch', 'http://web'), /^two /);
    assert.match(await machine.must('rollout', 'history', 'deployment/web'), /^1 +<none>\n2 +<none>$/m);
    await machine.must('rollout', 'undo', 'deployment/web');
    await available('web');
    assert.match(await machine.must('exec', 'client', '--', 'fetch', 'http://web'), /^one /);
    await machine.must('scale', 'deployment/web', '--replicas=5');
    await available('web');
    assert.equal((await pods('app=web')).length, 5);
    await machine.must('scale', 'deployment/web', '--replicas=2');
    await eventually('two pods are left', async () => (await pods('app=web')).length === 2);
  });

  test('a deleted pod is replaced', async () => {
    const [first] = await pods('app=web');
    await machine.must('delete', 'pod', first?.metadata.name ?? '', '--wait=false');
    await eventually('a new pod runs', async () => {
      const now = await pods('app=web');
      return (
        now.length === 2 &&
        now.every((one) => one.metadata.uid !== first?.metadata.uid && one.status.phase === 'Running')
      );
    });
  });

  test('logs: all, tail, since, follow, previous', async () => {
    const script =
      'for i in 1 2 3; do echo line $i; done; echo oops >&2; [ -e /data/again ] || { touch /data/again; exit 3; }; while true; do date; sleep 0.2; done';
    await machine.apply(`
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  volumes: [{name: data, emptyDir: {}}]
  containers:
  - {name: talker, image: "docker.io/library/busybox:1", command: [sh, -c, ${JSON.stringify(script)}], volumeMounts: [{name: data, mountPath: /data}]}
`);
    await eventually(
      'it was restarted',
      async () => (await machine.json<PodJson>('pod', 'talker')).status.containerStatuses?.[0]?.restartCount === 1,
    );
    await eventually('it runs again', async () => (await machine.must('logs', 'talker')).includes('oops'));
    // Two pipes: which of them is read first is the runtime's.
    const ofBoth = (text: string): string[] => text.trim().split('\n').sort();
    const wanted = ['line 1', 'line 2', 'line 3', 'oops'];
    assert.deepEqual(ofBoth(await machine.must('logs', 'talker', '--previous')), wanted);
    assert.equal((await machine.must('logs', 'talker', '--tail=2')).trim().split('\n').length, 2);
    assert.match(await machine.must('logs', 'talker', '--timestamps', '--tail=1'), /^\d{4}-\d\d-\d\dT[\d:.]+Z /);
    const followed = machine.background('logs', '-f', 'talker', '--since=1s');
    await eventually('new lines come', async () => followed.output().split('\n').length > 5);
    await followed.stop();
    const old = await machine.oldKubectl('logs', 'talker', '--previous');
    assert.deepEqual(ofBoth(old.stdout), wanted);
  });

  for (const [version, kubectl] of [
    ['1.35', (...args: string[]) => machine.kubectl(...args)],
    ['1.20', (...args: string[]) => machine.oldKubectl(...args)],
  ] as const) {
    test(`kubectl ${version}: exec with exit code and streams, attach, cp, port-forward`, async () => {
      const result = await kubectl('exec', 'client', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7');
      assert.equal(result.code, 7);
      assert.equal(result.stdout, 'out\n');
      assert.match(result.stderr, /err/);
      const program = version === '1.35' ? 'kubectl-1.35' : 'kubectl-1.20';
      const piped = await run(
        new URL(`../../.cache/tools/${program}`, import.meta.url).pathname,
        ['exec', '-i', 'client', '--', 'sh', '-c', 'wc -c'],
        {
          env: machine.env,
          input: 'x'.repeat(300_000),
        },
      );
      assert.equal(piped.stdout.trim(), '300000');
      const file = machine.path(`file-${version}`);
      const content = 'k8ts '.repeat(100_000);
      writeFileSync(file, content);
      assert.equal((await kubectl('cp', file, `client:/tmp/file-${version}`)).code, 0);
      assert.equal((await kubectl('cp', `client:/tmp/file-${version}`, `${file}-back`)).code, 0);
      assert.equal(readFileSync(`${file}-back`, 'utf8'), content);
      const port = version === '1.35' ? '18035' : '18020';
      const [web] = await pods('app=web');
      const forward =
        version === '1.35'
          ? machine.background('port-forward', `pod/${web?.metadata.name}`, `${port}:8080`)
          : { stop: async () => {}, output: () => 'Forwarding' };
      if (version === '1.35') {
        await eventually('it forwards', async () => forward.output().includes('Forwarding from 127.0.0.1'));
        for (let i = 0; i < 3; i++) {
          const answer = await fetch(`http://127.0.0.1:${port}/`);
          assert.match(await answer.text(), /^one web-/);
        }
      }
      await forward.stop();
    });
  }

  test('the official JavaScript client: exec with streams and exit code, logs, port-forward', async () => {
    const config = new k8s.KubeConfig();
    config.loadFromFile(machine.env.KUBECONFIG as string);
    const collect = (): { stream: PassThrough; text(): string } => {
      const stream = new PassThrough();
      let all = '';
      stream.on('data', (chunk) => {
        all += chunk;
      });
      return { stream, text: () => all };
    };
    const out = collect();
    const err = collect();
    const command = ['sh', '-c', 'wc -c; echo err >&2; exit 7'];
    const ended = Promise.withResolvers<{ status?: string; reason?: string; details?: { causes?: object[] } }>();
    const input = Readable.from(['x'.repeat(100_000)]);
    await new k8s.Exec(config).exec(
      ...(['default', 'client', 'client', command, out.stream, err.stream, input, false] as const),
      ended.resolve,
    );
    const { status, reason, details } = await ended.promise;
    assert.deepEqual(
      [status, reason, details?.causes],
      ['Failure', 'NonZeroExitCode', [{ reason: 'ExitCode', message: '7' }]],
    );
    assert.deepEqual([out.text().trim(), err.text()], ['100000', 'err\n']);

    const [web] = await pods('app=web');
    const name = web?.metadata.name ?? '';
    const forwarded = collect();
    const asking = new PassThrough();
    const forwarding = await new k8s.PortForward(config).portForward(
      'default',
      name,
      [8080],
      forwarded.stream,
      null,
      asking,
    );
    asking.write('GET / HTTP/1.0\r\n\r\n');
    await eventually('the pod answers', async () => /^one web-/m.test(forwarded.text()));
    if (typeof forwarding !== 'function') forwarding.close();

    await machine.must(
      'run',
      'reporter',
      '--image=docker.io/library/busybox:1',
      '--',
      'sh',
      '-c',
      'echo one; sleep 1000',
    );
    await machine.must('wait', '--for=condition=Ready', 'pod/reporter', '--timeout=60s');
    const logged = collect();
    const ending = once(logged.stream, 'end');
    await new k8s.Log(config).log('default', 'reporter', 'reporter', logged.stream, { follow: true });
    await eventually('the log comes', async () => logged.text() === 'one\n');
    await machine.must('delete', 'pod', 'reporter', '--now');
    await ending;
  });

  test('describe shows events; get events, explain, api-resources, auth can-i answer', async () => {
    const described = await machine.must('describe', 'deployment', 'web');
    assert.match(described, /ScalingReplicaSet +\S+ +deployment-controller/);
    assert.match(await machine.must('describe', 'pod', 'client'), /Successfully assigned default\/client to master/);
    assert.match(await machine.must('describe', 'node', 'master'), /Container Runtime Version: +containerd:\/\//);
    assert.match(await machine.must('describe', 'service', 'web'), /Endpoints: +10\.244\.0\.\d+:8080/);
    assert.match(await machine.must('get', 'events'), /Normal +Scheduled +pod\/client/);
    assert.match(await machine.must('explain', 'pod.spec.containers'), /FIELD: containers <\[\]Container>/);
    assert.match(await machine.must('api-resources'), /^deployments +deploy +apps\/v1 +true +Deployment$/m);
    assert.equal(await machine.must('auth', 'can-i', 'create', 'pods'), 'yes\n');
    const denied = await machine.kubectl(
      'auth',
      'can-i',
      'create',
      'pods',
      '--as=system:serviceaccount:default:default',
    );
    assert.equal(denied.stdout, 'no\n');
    assert.match((await machine.oldKubectl('explain', 'pod.spec')).stdout, /RESOURCE: spec <Object>/);
    assert.match((await machine.oldKubectl('get', 'pods', '-o', 'wide')).stdout, /^client +1\/1 +Running/m);
  });

  test('a manifest of several objects, applied twice, changes nothing the second time', async () => {
    const manifest = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue, size: "3"}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {password: hidden}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reader}
spec:
  selector: {matchLabels: {app: reader}}
  template:
    metadata: {labels: {app: reader}}
    spec:
      containers:
      - name: reader
        image: docker.io/library/busybox:1
        command: [sleep, "100000"]
        env:
        - {name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}
        - {name: PASSWORD, valueFrom: {secretKeyRef: {name: key, key: password}}}
        - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        volumeMounts: [{name: settings, mountPath: /settings}]
        readinessProbe: {exec: {command: [test, -e, /settings/colour]}, periodSeconds: 1}
        resources: {limits: {memory: 32Mi, cpu: 200m}}
      volumes: [{name: settings, configMap: {name: settings}}]
`;
    assert.match(
      await machine.apply(manifest),
      /configmap\/settings created\nsecret\/key created\ndeployment.apps\/reader created/,
    );
    await available('reader');
    assert.match(
      await machine.apply(manifest),
      /configmap\/settings unchanged\nsecret\/key (unchanged|configured)\ndeployment.apps\/reader unchanged/,
    );
    const said = await machine.must(
      'exec',
      'deploy/reader',
      '--',
      'sh',
      '-c',
      'echo $COLOUR $PASSWORD $POD_IP; cat /settings/size',
    );
    assert.match(said, /^blue hidden 10\.244\.0\.\d+\n3$/);
    await machine.must('patch', 'configmap', 'settings', '-p', '{"data":{"size":"4"}}');
    await eventually(
      'the file changes in the running pod',
      async () => (await machine.must('exec', 'deploy/reader', '--', 'cat', '/settings/size')) === '4',
    );
    const [pod] = await pods('app=reader');
    assert.match(
      await machine.must('get', 'pod', pod?.metadata.name ?? '', '-o', 'jsonpath={.status.qosClass}'),
      /Burstable|Guaranteed/,
    );
  });

  test('what cannot run says why', async () => {
    await machine.must('run', 'absent', '--image=127.0.0.1:1/none:1', '--image-pull-policy=IfNotPresent');
    await machine.must('run', 'crash', '--image=docker.io/library/busybox:1', '--', 'false');
    await machine.apply(`
apiVersion: v1
kind: Pod
metadata: {name: huge}
spec:
  containers: [{name: huge, image: "docker.io/library/busybox:1", resources: {requests: {memory: 900Ti}}}]
`);
    const waiting = async (name: string) =>
      Object.values((await machine.json<PodJson>('pod', name)).status.containerStatuses?.[0]?.state ?? {})[0];
    await eventually('ImagePullBackOff', async () => /ImagePull/.test((await waiting('absent'))?.reason ?? ''));
    assert.match(await machine.must('describe', 'pod', 'absent'), /Failed to pull image "127\.0\.0\.1:1\/none:1"/);
    await eventually('CrashLoopBackOff', async () => (await waiting('crash'))?.reason === 'CrashLoopBackOff');
    await eventually('it says what lacks', async () =>
      /0\/1 nodes are available: 1 Insufficient memory/.test(await machine.must('describe', 'pod', 'huge')),
    );
    await machine.must('delete', 'pod', 'absent', 'crash', 'huge', '--now');
  });

  test('helm installs, upgrades, rolls back and uninstalls a chart', async () => {
    const chart = machine.path('chart');
    assert.equal((await machine.helm('create', chart)).code, 0);
    for (const file of readdirSync(`${chart}/templates`)) {
      await run('rm', ['-rf', `${chart}/templates/${file}`]);
    }
    writeFileSync(
      `${chart}/templates/web.yaml`,
      `apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}-web}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec: {containers: [{name: web, image: "k8ts.test/web:{{ .Values.tag }}"}]}
`,
    );
    writeFileSync(`${chart}/values.yaml`, 'replicas: 1\ntag: "1"\n');
    const helm = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await machine.helm(...args);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    await helm('install', 'shop', chart, '--wait', '--timeout=60s');
    await helm('upgrade', 'shop', chart, '--set', 'replicas=2,tag=2', '--wait', '--timeout=60s');
    await eventually('two pods of the second image', async () => {
      const now = await pods('app=shop');
      return now.length === 2 && now.every((one) => one.status.phase === 'Running');
    });
    await helm('rollback', 'shop', '1', '--wait', '--timeout=60s');
    await eventually('one pod of the first image', async () => {
      const now = await pods('app=shop');
      return now.length === 1 && now[0]?.status.containerStatuses?.[0]?.image.endsWith('web:1');
    });
    assert.match(await helm('history', 'shop'), /Rollback to 1/);
    await helm('uninstall', 'shop', '--wait');
    await eventually('its pods are gone', async () => (await pods('app=shop')).length === 0);
  });

  test('after kill -9 of the agent, up again finds the same containers', async () => {
    const before = await pods('app=web');
    const { processes } = JSON.parse((await machine.k8ts('status', '--name', machine.name, '-o', 'json')).stdout) as {
      processes: { name: string; pid: number }[];
    };
    for (const one of processes.filter(({ name }) => name === 'agent')) process.kill(one.pid, 'SIGKILL');
    await machine.up();
    await eventually('the kubelet has looked at its pods', async () => {
      const now = await pods('app=web');
      return now.length === before.length && now.every((one) => one.status.phase === 'Running');
    });
    const ids = (list: PodJson[]) =>
      list
        .map((one) => [
          one.metadata.name,
          one.status.containerStatuses?.[0]?.containerID,
          one.status.containerStatuses?.[0]?.restartCount,
        ])
        .sort();
    assert.deepEqual(ids(await pods('app=web')), ids(before));
  });

  test('after kill -9 of everything, up again brings the cluster back with its data', async () => {
    const secret = await machine.must('get', 'secret', 'key', '-o', 'jsonpath={.metadata.uid}');
    const { processes } = JSON.parse((await machine.k8ts('status', '--name', machine.name, '-o', 'json')).stdout) as {
      processes: { pid: number }[];
    };
    for (const { pid } of processes) process.kill(pid, 'SIGKILL');
    const { stdout } = await machine.k8ts('down', '--name', machine.name);
    assert.equal(stdout, '');
    await machine.up();
    assert.equal(await machine.must('get', 'secret', 'key', '-o', 'jsonpath={.metadata.uid}'), secret);
    await eventually('the pods run again', async () => {
      const all = await pods('app in (web,reader)');
      return (
        all.length === 3 &&
        all.every(
          (one) => one.status.phase === 'Running' && one.status.containerStatuses?.every((c) => 'running' in c.state),
        )
      );
    });
    assert.match(
      await eventually(
        'the Service answers',
        async () => (await machine.kubectl('exec', 'client', '--', 'fetch', 'http://web')).stdout || undefined,
      ),
      /^one /,
    );
  });

  test('a second up at the same time waits its turn or says who is working; up when up is quick', async () => {
    const results = await Promise.all([
      machine.k8ts('up', '--name', machine.name),
      machine.k8ts('up', '--name', machine.name),
    ]);
    const codes = results.map((one) => one.code).sort();
    assert.equal(codes[0], 0);
    if (codes[1] !== 0)
      assert.match(
        results.map((one) => one.stderr).join(''),
        /another k8ts command \(process \d+\) is working on this cluster/,
      );
  });

  test('down --delete leaves no process, mount, namespace, link or file', async () => {
    const { processes } = JSON.parse((await machine.k8ts('status', '--name', machine.name, '-o', 'json')).stdout) as {
      processes: { pid: number }[];
    };
    const { code, stderr } = await machine.k8ts('down', '--name', machine.name, '--delete');
    assert.equal(code, 0, stderr);
    await eventually(
      'its processes are gone',
      async () => processes.every(({ pid }) => !existsSync(`/proc/${pid}`)),
      5_000,
    );
    assert.equal(existsSync(`/var/lib/k8ts/${machine.name}`), false);
    assert.equal(existsSync(`/run/k8ts/${machine.name}`), false);
    assert.deepEqual(
      podNamespaces().filter((one) => !namespacesBefore.includes(one)),
      [],
    );
    assert.doesNotMatch((await run('ip', ['netns', 'list'])).stdout, new RegExp(machine.name));
    assert.doesNotMatch((await run('ip', ['-o', 'link'])).stdout, /k8ts|k8v/);
    assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(machine.name));
    assert.doesNotMatch((await machine.kubectl('config', 'get-contexts')).stdout, new RegExp(machine.name));
  });
});
