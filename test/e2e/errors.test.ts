import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, statfsSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually, Machine, type Result, run, whyNoContainers } from './harness.ts';

const root = new URL('../..', import.meta.url).pathname;
const isRoot = process.getuid?.() === 0;
/** The Node of this test, for launchers that run with an empty PATH. */
const node = { K8TS_NODE: process.execPath };

interface Answer {
  readonly code: number;
  readonly body: string;
}

/** One request as the administrator of a kubeconfig, with any bytes as its body. */
function ask(machine: Machine, method: string, path: string, type: string, body: Buffer | string): Promise<Answer> {
  const config = readFileSync(machine.env.KUBECONFIG as string, 'utf8');
  const field = (name: string): string => new RegExp(`${name}: "?([^\\s"]+)`).exec(config)?.[1] ?? '';
  const data = (name: string): Buffer => Buffer.from(field(name), 'base64');
  const bytes = Buffer.from(body);
  return new Promise((resolve, reject) => {
    const sent = request(
      `${field('server')}${path}`,
      {
        method,
        ca: data('certificate-authority-data'),
        cert: data('client-certificate-data'),
        key: data('client-key-data'),
        headers: { 'content-type': type, 'content-length': bytes.length },
        agent: false,
      },
      (response) => {
        let text = '';
        response.on('data', (piece) => {
          text += piece;
        });
        response.on('error', reject);
        response.on('end', () => resolve({ code: response.statusCode ?? 0, body: text }));
      },
    );
    sent.on('error', reject);
    sent.end(bytes);
  });
}

const messageOf = (answer: Answer): string => (JSON.parse(answer.body) as { message: string }).message;

/** One line, from us, without a stack. */
function assertSaid(result: Result, code: number, pattern: RegExp): void {
  assert.equal(result.code, code, result.stderr);
  const lines = result.stderr.trim().split('\n');
  assert.match(lines.at(-1) ?? '', pattern);
  assert.doesNotMatch(result.stderr, /^\s+at .*\.[jt]s:\d+/m);
}

describe('bad input to the API', () => {
  const machine = new Machine('e2e-bad');
  before(async () => {
    await run('ip', ['link', 'set', 'lo', 'up']);
    await machine.up('--nodes', '0', '--simulate', '1');
  });
  after(() => machine.remove());

  const alive = async (): Promise<void> => assert.equal(await machine.must('get', '--raw', '/readyz'), 'ok');

  test('malformed JSON and YAML', async () => {
    const path = '/api/v1/namespaces/default/configmaps';
    for (const [type, body] of [
      ['application/json', '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"'],
      ['application/json', 'null'],
      ['application/json', '[]'],
      ['application/json', ''],
      ['application/json', '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":5}}'],
      ['application/json', `${'['.repeat(100_000)}`],
      ['application/yaml', 'a: [b\nc: }'],
      ['application/vnd.kubernetes.protobuf', 'k8s\0\xff\xff\xff'],
    ] as const) {
      const answer = await ask(machine, 'POST', path, type, body);
      const what = `${type} ${body.slice(0, 60)}`;
      assert.equal(answer.code, 400, `${what}: ${answer.body}`);
      assert.ok(messageOf(answer).length > 10, what);
    }
    const strange = await ask(machine, 'POST', path, 'text/csv', 'a,b');
    assert.equal(strange.code, 415, strange.body);
    const file = machine.path('bad.yaml');
    writeFileSync(file, 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [x\n');
    const applied = await machine.kubectl('apply', '-f', file);
    assert.equal(applied.code, 1);
    assert.match(applied.stderr, /error parsing/);
    await alive();
  });

  test('unknown fields: refused when strict, a warning when asked, silent when ignored', async () => {
    const file = machine.path('unknown.yaml');
    writeFileSync(
      file,
      `apiVersion: apps/v1
kind: Deployment
metadata: {name: typo}
spec:
  replicaz: 2
  selector: {matchLabels: {app: typo}}
  template:
    metadata: {labels: {app: typo}}
    spec: {containers: [{name: main, image: "k8ts.test/web:1", imagePullPolice: Always}]}
`,
    );
    const strict = await machine.kubectl('create', '--validate=strict', '-f', file);
    assert.equal(strict.code, 1);
    assert.match(strict.stderr, /unknown field "spec\.replicaz"/);
    assert.match(strict.stderr, /unknown field "spec\.template\.spec\.containers\[0\]\.imagePullPolice"/);
    assert.match((await machine.kubectl('get', 'deployment', 'typo')).stderr, /"typo" not found/);
    const warned = await machine.kubectl('create', '--validate=warn', '-f', file);
    assert.equal(warned.code, 0, warned.stderr);
    assert.match(warned.stderr, /Warning: unknown field "spec\.replicaz"/);
    await machine.must('delete', 'deployment', 'typo');
    const ignored = await machine.kubectl('create', '--validate=false', '-f', file);
    assert.equal(ignored.code, 0, ignored.stderr);
    assert.doesNotMatch(ignored.stderr, /Warning/);
    await machine.must('delete', 'deployment', 'typo');
  });

  test('values that cannot be: every mistake in one answer', async () => {
    const file = machine.path('invalid.yaml');
    writeFileSync(
      file,
      `apiVersion: v1
kind: Pod
metadata: {name: Not_A_Name}
spec:
  restartPolicy: Sometimes
  containers: [{name: main, image: "k8ts.test/web:1", ports: [{containerPort: 99999}]}]
`,
    );
    const { code, stderr } = await machine.kubectl('create', '-f', file);
    assert.equal(code, 1);
    assert.match(stderr, /The Pod "Not_A_Name" is invalid/);
    assert.match(stderr, /metadata\.name: Invalid value: "Not_A_Name"/);
    assert.match(stderr, /spec\.restartPolicy: Unsupported value: "Sometimes"/);
    assert.match(stderr, /spec\.containers\[0\]\.ports\[0\]\.containerPort: Invalid value: 99999/);
  });

  test('a body of 10 MB', async () => {
    const config = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'big' },
      data: { x: 'x'.repeat(10 << 20) },
    };
    const body = JSON.stringify(config);
    const answer = await ask(machine, 'POST', '/api/v1/namespaces/default/configmaps', 'application/json', body);
    assert.equal(answer.code, 413, answer.body.slice(0, 300));
    assert.match(messageOf(answer), /Request entity too large: limit is 3145728/);
    const file = machine.path('big.json');
    writeFileSync(file, body);
    const created = await machine.kubectl('create', '-f', file);
    assert.equal(created.code, 1);
    assert.match(created.stderr, /Request entity too large|RequestEntityTooLarge/);
    writeFileSync(file, JSON.stringify({ ...config, data: { x: 'x'.repeat(1_100_000) } }));
    const long = await machine.kubectl('create', '-f', file);
    assert.match(long.stderr, /Too long: may not be more than 1048576 bytes/);
    await alive();
  });

  test('no room for a pod: Pending, with what lacks', async () => {
    await machine.apply(`
apiVersion: v1
kind: Pod
metadata: {name: huge}
spec:
  containers: [{name: huge, image: "k8ts.test/web:1", resources: {requests: {cpu: "5000", memory: 900Ti}}}]
`);
    await eventually('it says what lacks', async () =>
      /FailedScheduling .* 0\/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory/.test(
        await machine.must('describe', 'pod', 'huge'),
      ),
    );
    assert.match(await machine.must('get', 'pod', 'huge', '--no-headers'), /^huge +0\/1 +Pending /);
  });
});

describe('commands that cannot be done', () => {
  const machine = new Machine('e2e-wrong');
  before(() => run('ip', ['link', 'set', 'lo', 'up']));
  after(() => machine.remove());

  test('wrong usage has exit code 2 and says what was expected', async () => {
    for (const [args, pattern] of [
      [['nonsense'], /unknown command 'nonsense'/],
      [['up', '--nodes', 'many'], /'many' is invalid\. expected a whole number/],
      [['up', '--no-such-flag'], /unknown option '--no-such-flag'/],
      [['up', '--name', 'Bad_Name'], /'Bad_Name' is invalid/],
      [['up', '--api-port', '70000'], /expected a port, 1 to 65535/],
      [['up', '--wait', 'soon'], /expected a duration/],
      [['status', '-o', 'xml'], /expected json/],
      [['node', 'add', 'Bad_Name'], /'Bad_Name' is invalid/],
      [['node', 'stop'], /missing required argument 'node'/],
      [['image', 'load'], /missing required argument 'file'/],
    ] as const) {
      const { code, stderr } = await machine.k8ts(...args);
      assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
      assert.match(stderr, pattern);
    }
  });

  test('an unknown cluster', async () => {
    for (const args of [
      ['status'],
      ['down'],
      ['kubeconfig'],
      ['node', 'stop', 'worker1'],
      ['image', 'load', '/none'],
    ]) {
      if (!isRoot && args[0] === 'node') continue;
      assertSaid(await machine.k8ts(...args, '--name', 'e2e-absent'), 1, /^k8ts: there is no cluster e2e-absent: /);
    }
  });

  test('a port in use', async () => {
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const { port } = listener.address() as { port: number };
    const wanted = ['up', '--name', machine.name, '--nodes', '0', '--simulate', '1', '--api-port', String(port)];
    try {
      assertSaid(
        await machine.k8ts(...wanted),
        1,
        new RegExp(`^k8ts: port ${port} on 127\\.0\\.0\\.1 is in use: .*--api-port`),
      );
      assert.doesNotMatch((await machine.k8ts('list')).stdout, new RegExp(machine.name));
    } finally {
      await new Promise((resolve) => listener.close(resolve));
    }

    const both = await Promise.all([machine.k8ts(...wanted), machine.k8ts(...wanted)]);
    const codes = both.map((one) => one.code).sort();
    assert.deepEqual(codes, [0, 1], 'two at the same time: one works, the other says so');
    const late = both.find((one) => one.code === 1) as Result;
    assertSaid(late, 1, /^k8ts: another k8ts command \(process \d+\) is working on this cluster: wait/);

    assert.equal((await machine.k8ts('down', '--name', machine.name)).code, 0);
    await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve));
    try {
      assertSaid(
        await machine.k8ts('up', '--name', machine.name),
        1,
        /^k8ts: port \d+ on 127\.0\.0\.1 is in use: stop what listens there/,
      );
    } finally {
      await new Promise((resolve) => listener.close(resolve));
    }
    assert.equal((await machine.k8ts('up', '--name', machine.name)).code, 0);
    await machine.must('get', 'node', 'sim-0');
  });

  test('an up that is refused leaves the running cluster supervised', async () => {
    const again = ['up', '--name', machine.name];
    assertSaid(await machine.k8ts(...again, '--nodes', '2'), 1, /^k8ts: cluster \S+ exists with --nodes 0, not 2: /);
    assertSaid(await machine.k8ts(...again, '--nodes', '0', '--image', '/none'), 1, /^k8ts: \/none does not exist: /);
    const { processes } = JSON.parse((await machine.k8ts('status', '--name', machine.name, '-o', 'json')).stdout) as {
      processes: { name: string }[];
    };
    assert.deepEqual(processes.map((one) => one.name).sort(), ['server', 'supervisor']);
    const none = await machine.k8ts('image', 'load', join(root, 'package.json'), '--name', machine.name);
    assertSaid(none, 1, /^k8ts: cluster \S+ has no running node with containers: its nodes are simulated$/);
  });

  test('not Linux', async () => {
    const bin = machine.path('darwin');
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, 'uname'), '#!/bin/sh\necho Darwin\n', { mode: 0o755 });
    const result = await run(join(root, 'k8ts'), ['up'], { env: { PATH: `${bin}:${process.env.PATH}` } });
    assertSaid(result, 1, /^k8ts: this is Darwin; k8ts runs containers and needs Linux\./);
  });

  test('containerd missing: names the package, installs nothing when told so', { skip: !isRoot }, async () => {
    const bin = machine.path('few');
    mkdirSync(bin, { recursive: true });
    for (const one of ['bash', 'readlink', 'dirname', 'uname', 'cksum', 'cat', 'runc', 'nft', 'ip']) {
      const at = (await run('sh', ['-c', `command -v ${one}`])).stdout.trim();
      if (at !== '' && !existsSync(join(bin, one))) symlinkSync(at, join(bin, one));
    }
    const env = { ...machine.env, ...node, PATH: bin };
    const refused = await run(join(root, 'k8ts'), ['up', '--name', 'e2e-lacks', '--no-install'], { env });
    assertSaid(
      refused,
      1,
      /^k8ts: this machine lacks containerd, and --no-install forbids to install: run apt-get install containerd$/,
    );
    const noApt = await run(join(root, 'k8ts'), ['up', '--name', 'e2e-lacks'], { env });
    assertSaid(noApt, 1, /^k8ts: this machine lacks containerd and has no apt-get: /);
    const doctor = await run(join(root, 'k8ts'), ['doctor'], { env });
    assert.equal(doctor.code, 1);
    assert.match(doctor.stdout, /^MISSING +packages +missing: apt-get install containerd$/m);
  });

  test('no root: says what still works, and that works', { skip: !isRoot && 'needs root to give it up' }, async (t) => {
    const home = machine.path('home');
    mkdirSync(home, { recursive: true });
    chmodSync(machine.folder, 0o755);
    chmodSync(home, 0o777);
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    const env = {
      ...node,
      HOME: home,
      KUBECONFIG: join(home, 'kubeconfig'),
      XDG_RUNTIME_DIR: undefined,
      XDG_DATA_HOME: undefined,
    };
    const reachable = await run('setpriv', [...nobody, 'test', '-r', join(root, 'package.json')]);
    // A clone that only root can read is read through a user namespace, in which this process is not root either.
    const drop =
      reachable.code === 0 ? ['setpriv', ...nobody] : ['unshare', '--user', '--map-user=65534', '--map-group=65534'];
    const [program = '', ...prefix] = drop;
    const k8ts = (...args: string[]): Promise<Result> =>
      run(program, [...prefix, join(root, 'k8ts'), ...args], { env, timeoutMs: 60_000 });
    assertSaid(
      await k8ts('up', '--name', 'e2e-nobody'),
      1,
      /^k8ts: nodes with real containers need root: .*k8ts up --nodes 0 --simulate 3$/,
    );
    t.after(() => k8ts('down', '--delete', '--name', 'e2e-nobody'));
    const up = await k8ts('up', '--nodes', '0', '--simulate', '2', '--name', 'e2e-nobody');
    assert.equal(up.code, 0, up.stderr);
    const kubectl = join(root, '.cache/tools/kubectl-1.35');
    const nodes = await run(kubectl, ['get', 'nodes', '--no-headers'], { env });
    assert.match(nodes.stdout, /^sim-0 +Ready .*\nsim-1 +Ready /, nodes.stderr);
    assert.match((await k8ts('list')).stdout, /^e2e-nobody +running +0 +2 /m);
    assertSaid(await k8ts('node', 'add', 'worker1', '--name', 'e2e-nobody'), 1, /need root/);
    const down = await k8ts('down', '--delete', '--name', 'e2e-nobody');
    assert.equal(down.code, 0, down.stderr);
    assert.equal(existsSync(join(home, '.local/share/k8ts/e2e-nobody')), false);
  });
});

describe('a full disk', { skip: !isRoot && 'needs root to mount a small disk' }, () => {
  const machine = new Machine('e2e-full');
  const disk = machine.path('disk');
  const dataDir = join(disk, 'data');
  before(async () => {
    await run('ip', ['link', 'set', 'lo', 'up']);
    mkdirSync(disk, { recursive: true });
    const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'k8ts-e2e', disk]);
    assert.equal(mounted.code, 0, mounted.stderr);
    await machine.up('--nodes', '0', '--data-dir', dataDir);
  });
  after(async () => {
    await machine.k8ts('down', '--delete', '--name', machine.name, '--data-dir', dataDir);
    await run('umount', ['-l', disk]);
    await machine.remove();
  });

  const put = (name: string): Promise<Answer> =>
    ask(
      machine,
      'POST',
      '/api/v1/namespaces/default/secrets',
      'application/json',
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, labels: { set: 'fill' } },
        data: { x: Buffer.alloc(700_000, name).toString('base64') },
      }),
    );

  test('writes are refused with the reason, reads and deletes go on', async () => {
    let refused: Answer | undefined;
    let count = 0;
    while (refused === undefined && count < 60) {
      const answer = await put(`fill-${count}`);
      if (answer.code === 201) count++;
      else refused = answer;
    }
    assert.ok(refused, 'the disk never filled');
    assert.equal(refused.code, 507, refused.body.slice(0, 500));
    assert.match(messageOf(refused), /the store is full .*: delete objects or make room on its disk/);
    assert.ok(count > 5, `${count} were written`);

    const names = (await machine.must('get', 'secrets', '-l', 'set=fill', '-o', 'name')).trim().split('\n');
    assert.equal(names.length, count, 'what was acknowledged is there, and nothing else');
    assert.equal(await machine.must('get', '--raw', '/livez'), 'ok');
    const { bavail, bsize } = statfsSync(disk);
    assert.ok(bavail * bsize < 3 << 20, `${bavail * bsize} bytes are free`);

    await machine.must('delete', 'secrets', '-l', 'set=fill');
    assert.equal(await machine.must('get', 'secrets', '-l', 'set=fill', '-o', 'name'), '');
    assert.equal(await machine.must('get', '--raw', '/livez'), 'ok');
  });

  test('the room of what was deleted is used again', async () => {
    await eventually('writes are taken again', async () => {
      const answer = await put('after');
      if (answer.code !== 201) throw new Error(messageOf(answer));
      return true;
    });
    for (let count = 0; count < 8; count++) {
      const answer = await put(`more-${count}`);
      assert.equal(answer.code, 201, messageOf(answer));
    }
  });
});

describe('containers and their runtime', { skip: whyNoContainers() ?? false }, () => {
  const machine = new Machine('e2e-runtime');
  before(async () => {
    await machine.prepare();
    await machine.up('--image', machine.images);
  });
  after(() => machine.remove());

  interface PodJson {
    status: {
      podIP: string;
      containerStatuses?: { restartCount: number; containerID: string; state: Record<string, { reason?: string }> }[];
    };
  }
  const waitingReason = async (pod: string): Promise<string | undefined> =>
    (await machine.json<PodJson>('pod', pod)).status.containerStatuses?.[0]?.state.waiting?.reason;
  const containerdPid = async (): Promise<number | undefined> => {
    const { stdout } = await machine.k8ts('status', '--name', machine.name, '-o', 'json');
    const { processes } = JSON.parse(stdout) as { processes: { name: string; pid: number }[] };
    return processes.find((one) => one.name === 'containerd')?.pid;
  };

  test('an image that does not exist, and a program that ends at once, say so', async () => {
    await machine.must('run', 'absent', '--image=127.0.0.1:1/none:1');
    await machine.must('run', 'crash', '--image=docker.io/library/busybox:1', '--', 'sh', '-c', 'echo bye; exit 3');
    await eventually('ImagePullBackOff', async () => (await waitingReason('absent')) === 'ImagePullBackOff');
    assert.match(await machine.must('describe', 'pod', 'absent'), /Failed to pull image .*connection refused/);
    await eventually('CrashLoopBackOff', async () => (await waitingReason('crash')) === 'CrashLoopBackOff');
    const described = await machine.must('describe', 'pod', 'crash');
    assert.match(described, /Exit Code: +3/);
    assert.match(described, /Back-off restarting failed container/);
    assert.equal(await machine.must('logs', 'crash'), 'bye\n');
    await machine.must('delete', 'pod', 'absent', 'crash', '--now');
  });

  test('containerd killed: containers go on, the agent starts it again, the node is Ready', async () => {
    await machine.must('run', 'web', '--image=k8ts.test/web:1', '--port=8080');
    await machine.must('wait', '--for=condition=Ready', 'pod/web', '--timeout=90s');
    await machine.must('expose', 'pod', 'web', '--type=NodePort', '--name=web');
    const nodePort = await machine.must('get', 'service', 'web', '-o', 'jsonpath={.spec.ports[0].nodePort}');
    const address = await machine.must('get', 'node', 'master', '-o', 'jsonpath={.status.addresses[0].address}');
    const url = `http://${address}:${nodePort}/`;
    const answers = async (): Promise<boolean> =>
      (await (await fetch(url, { signal: AbortSignal.timeout(1_000) })).text()) === 'one web\n';
    await eventually('it answers', answers, 10_000);
    const before = await machine.json<PodJson>('pod', 'web');
    const pid = await containerdPid();
    assert.ok(pid);
    process.kill(pid, 'SIGKILL');
    assert.equal(await answers(), true, 'the container goes on without its runtime');
    await eventually('containerd runs again', async () => {
      const now = await containerdPid();
      return now !== undefined && now !== pid;
    });
    await eventually('exec works again', async () => (await machine.kubectl('exec', 'web', '--', 'true')).code === 0);
    assert.equal(await answers(), true);
    await machine.must('run', 'next', '--image=k8ts.test/web:2');
    await machine.must('wait', '--for=condition=Ready', 'pod/next', 'node/master', '--timeout=90s');
    const now = await machine.json<PodJson>('pod', 'web');
    assert.deepEqual(
      now.status.containerStatuses?.map((one) => [one.containerID, one.restartCount]),
      before.status.containerStatuses?.map((one) => [one.containerID, one.restartCount]),
    );
  });
});
