import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cniPluginFolder } from '#admin';
import { buildImages, pauseImage, pauseImageName } from '#kubelet';
import { eventually, run, whyNoContainers } from './harness.ts';
import { busyboxImage } from './images.ts';
import { Machines, runPage } from './machines.ts';

const skip = whyNoContainers() ?? false;
const machines = new Machines('k8m');
const repository = new URL('../..', import.meta.url).pathname;

const joinLine = async (more = ''): Promise<string> =>
  (await machines.must('master', `k8ts token create --print-join-command ${more}`)).trim();
const kubectl = (script: string): Promise<string> => machines.must('master', `kubectl ${script}`);

/** Network namespaces of pods that have an address. */
async function podNamespaces(address: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of readdirSync('/run/netns').filter((one) => one.startsWith('cni-'))) {
    const { stdout } = await run('ip', ['-n', name, '-br', 'address']);
    if (stdout.includes(` ${address}/`)) found.push(name);
  }
  return found;
}

/** Everything of a machine that a reset must give back. */
async function traces(name: string): Promise<Record<string, unknown>> {
  const machine = machines.of(name);
  const list = (script: string) => machines.must(name, script);
  const id = createHash('sha256').update(machine.root).digest('hex').slice(0, 8);
  const cgroups = ['/sys/fs/cgroup', '/sys/fs/cgroup/memory'].map((one) =>
    existsSync(join(one, 'k8ts', `machine-${id}`)),
  );
  const { stdout } = await run('ps', ['-eo', 'args']);
  return {
    files: readdirSync(machine.root, { recursive: true }).sort(),
    mounts: readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(machine.root)),
    addresses: await list("ip -br address | grep -v fe80 | awk '{print $1, $3}'"),
    routes: await list('ip route'),
    rules: await list('nft list ruleset'),
    cgroups,
    processes: stdout.split('\n').filter((line) => line.includes(machine.root)),
  };
}

before(async () => {
  if (skip === false) await machines.make(['master', 'worker1', 'worker2']);
});
after(async () => {
  if (skip === false) await machines.remove();
});

describe('a cluster of three machines', { skip }, () => {
  test('the tutorial page "set up" runs as printed, and the three nodes are Ready', async () => {
    const outputs = await runPage('01-set-up', machines);
    assert.match(
      outputs[0] ?? '',
      /mkdir -p \$HOME\/\.kube\n.*sudo cp -i .*admin\.conf \$HOME\/\.kube\/config\n.*sudo chown/,
    );
    const nodes = (await kubectl('get nodes --no-headers')).trim().split('\n');
    assert.deepEqual(
      nodes.map((line) => line.split(/\s+/).slice(0, 3)),
      [
        ['master', 'Ready', 'control-plane'],
        ['worker1', 'Ready', '<none>'],
        ['worker2', 'Ready', '<none>'],
      ],
    );
    const modes = await machines.must('master', 'stat -c "%a %n" /etc/kubernetes/*.conf /etc/kubernetes/pki/*.key');
    for (const line of modes.trim().split('\n')) assert.match(line, /^600 /);
  });

  test('containers on both workers answer through a Service from every machine; logs and exec go through the API', async () => {
    const cmd = [
      'sh',
      '-c',
      'mkdir -p /w; hostname > /w/index.html; trap "exit 0" TERM; httpd -f -p 8080 -h /w & wait',
    ];
    const image = await busyboxImage('k8ts.test/web:1', { cmd });
    for (const name of ['worker1', 'worker2']) await machines.loadImages(name, [image]);
    await kubectl('create deployment web --image=k8ts.test/web:1 --replicas=4');
    await kubectl('expose deployment web --port=80 --target-port=8080');
    await kubectl('wait --for=condition=Available deployment/web --timeout=60s');
    const on = await kubectl(`get pods -l app=web -o jsonpath='{range .items[*]}{.spec.nodeName}{"\\n"}{end}'`);
    assert.deepEqual([...new Set(on.trim().split('\n'))].sort(), ['worker1', 'worker2']);
    const address = await kubectl(`get service web -o jsonpath='{.spec.clusterIP}'`);
    for (const { name } of machines.all) {
      const answers = await machines.must(
        name,
        `for i in 1 2 3 4 5 6 7 8; do curl -sS -m 5 --retry 5 --retry-connrefused http://${address}/; done`,
      );
      assert.ok(new Set(answers.trim().split('\n')).size > 1, `${name} reaches several pods: ${answers}`);
    }
    const [pod = ''] = (await kubectl('get pods -l app=web -o name')).split('\n');
    assert.match(await kubectl(`exec ${pod} -- hostname`), /^web-/);
    await kubectl(`logs ${pod}`);
  });

  test('what dies is started again: control plane, agent, container runtime; pods run on', async () => {
    const pods = await kubectl(`get pods -l app=web -o jsonpath='{.items[*].status.containerStatuses[*].containerID}'`);
    for (const [name, file] of [
      ['master', 'server.pid'],
      ['worker1', 'agent.pid'],
      ['worker1', 'containerd/containerd.pid'],
    ] as const) {
      const path = join(machines.of(name).root, 'run/kubernetes', file);
      const pidOf = (): number => JSON.parse(readFileSync(path, 'utf8')).pid as number;
      const killed = pidOf();
      process.kill(killed, 'SIGKILL');
      await eventually(`${file} on ${name} names a new process`, async () => pidOf() !== killed);
    }
    await eventually('the API answers', async () => (await machines.shell('master', 'kubectl get nodes')).code === 0);
    await kubectl('wait --for=condition=Ready node/worker1 --timeout=60s');
    await kubectl('wait --for=condition=Available deployment/web --timeout=60s');
    assert.equal(
      await kubectl(`get pods -l app=web -o jsonpath='{.items[*].status.containerStatuses[*].containerID}'`),
      pods,
    );
  });

  test('another version takes over with all data, and one that does not come up gives way to the old', async () => {
    const next = join(machines.folder, 'next');
    mkdirSync(next);
    for (const name of ['src', 'k8ts', 'package-lock.json'])
      cpSync(join(repository, name), join(next, name), { recursive: true });
    symlinkSync(join(repository, 'node_modules'), join(next, 'node_modules'));
    const description = readFileSync(join(repository, 'package.json'), 'utf8');
    writeFileSync(join(next, 'package.json'), description.replace(/"version": "[^"]*"/, '"version": "99.0.0"'));
    const server = join(next, 'src/assembly/server.ts');
    writeFileSync(server, 'throw new Error("broken on purpose");\n');
    const failed = await machines.shell('master', `${next}/k8ts upgrade apply --wait 3s`);
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /99\.0\.0 did not come up, and \S+ runs again, with its data/);
    assert.match(await kubectl('get deployment web -o name'), /web/);

    cpSync(join(repository, 'src/assembly/server.ts'), server);
    assert.match(await machines.must('master', `${next}/k8ts upgrade plan`), /k8ts upgrade apply, here/);
    await machines.must('master', `${next}/k8ts upgrade apply`);
    assert.match(await kubectl('get --raw /version'), /\+k8ts\.99\.0\.0/);
    assert.match(await kubectl('get deployment web -o name'), /web/);
    const older = await machines.shell('master', 'k8ts upgrade apply');
    assert.equal(older.code, 1);
    assert.match(older.stderr, /older than 99\.0\.0, which runs/);
  });
});

describe('a machine that may not join says why, in less than ten seconds, and keeps nothing', { skip }, () => {
  const attempt = async (line: string, because: RegExp): Promise<void> => {
    const { root } = machines.of('worker2');
    const startMs = performance.now();
    const { code, stderr } = await machines.shell('worker2', line);
    const tookMs = performance.now() - startMs;
    assert.equal(code, 1, stderr);
    assert.match(stderr, because);
    assert.ok(tookMs < 10_000, `${line}: ${tookMs} ms`);
    assert.deepEqual(readdirSync(root), []);
  };
  let line = '';
  before(async () => {
    if (skip !== false) return;
    await machines.must('worker2', 'k8ts reset --force');
    line = await joinLine();
  });

  test('a token that nobody made', () =>
    attempt(line.replace(/--token \S+/, '--token abcdef.0123456789abcdef'), /does not know the token abcdef\.…/));
  test('a token with a mistake', () =>
    attempt(line.replace(/(--token \w+)\.\S+/, '$1.0123456789abcdef'), /token .* other sixteen characters/));
  test('a token that has expired', async () => {
    const expired = await joinLine('--ttl 1s');
    const token = /--token (\w+)/.exec(expired)?.[1] ?? '?';
    await eventually(
      'the token has expired',
      async () => !(await machines.must('master', 'k8ts token list')).includes(token),
    );
    await attempt(expired, /token .* expired/);
  });
  test('the hash of another CA', () =>
    attempt(
      line.replace(/sha256:\w{4}/, 'sha256:0000'),
      /the cluster's CA has the hash sha256:\w{64}, not sha256:0000/,
    ));
  test('a name that a living node has', () =>
    attempt(`${line} --node-name worker1`, /a node worker1 is in the cluster already/));
  test('a port where nothing listens', () =>
    attempt(line.replace(':6443', ':6444'), /192\.168\.60\.10:6444 .*nothing listens/));
  test('an address where nobody is', () =>
    attempt(line.replace('192.168.60.10', '192.168.60.99'), /192\.168\.60\.99:6443 cannot be reached/));
  test('its own port taken', async () => {
    const script = `node -e "require('net').createServer().listen(10250, () => console.log('on'))" > port 2>&1 & echo $! > pid; until grep -q on port; do :; done`;
    await machines.must('worker2', script);
    try {
      await attempt(line, /port 10250 is in use/);
    } finally {
      await machines.must('worker2', 'kill $(cat pid); rm pid port');
    }
  });
  test('a pod network that its own network overlaps', async () => {
    await machines.must('worker2', 'ip route add 10.244.7.0/24 dev eth0');
    try {
      await attempt(line, /10\.244\.0\.0\/16 overlaps the route to 10\.244\.7\.0\/24 \(eth0\)/);
    } finally {
      await machines.must('worker2', 'ip route delete 10.244.7.0/24');
    }
  });
});

test('reset gives back everything, twice in a row, and keeps what was there before', { skip }, async () => {
  await machines.must('worker2', 'mkdir -p /etc/kubernetes; echo mine > /etc/kubernetes/audit.yaml');
  const clean = await traces('worker2');
  const others = readdirSync('/run/netns');
  await machines.must('worker2', await joinLine());
  const image = await busyboxImage('k8ts.test/web:1', { cmd: ['sleep', '1000000'] });
  await machines.loadImages('worker2', [image]);
  await kubectl(`run stays --image=k8ts.test/web:1 --overrides='{"spec":{"nodeName":"worker2"}}'`);
  await kubectl('wait --for=condition=Ready pod/stays --timeout=60s');
  const address = await kubectl(`get pod stays -o jsonpath='{.status.podIP}'`);
  const own = (await podNamespaces(address)).filter((one) => !others.includes(one));
  assert.equal(own.length, 1);
  await machines.must('worker2', 'k8ts reset --force');
  assert.deepEqual(
    (await podNamespaces(address)).filter((one) => own.includes(one)),
    [],
  );
  assert.deepEqual(await traces('worker2'), clean);
  assert.match(await machines.must('worker2', 'k8ts reset --force'), /nothing to take away/);
  assert.match(await kubectl('get node worker2'), /NotReady/);
  assert.equal(await kubectl('get pods --field-selector spec.nodeName=worker2 -o name'), '');
});

test("a machine joins by kubeadm's configuration on a containerd that runs there already, and reset leaves that alone", {
  skip,
}, async () => {
  const folder = join(machines.folder, 'runtime');
  mkdirSync(folder);
  const socket = join(folder, 'c.sock');
  writeFileSync(
    join(folder, 'config.toml'),
    `version = 2
root = "${folder}/root"
state = "${folder}/state"
[grpc]
  address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImageName}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${cniPluginFolder()}"
    conf_dir = "${machines.of('worker2').root}/etc/cni/net.d"
`,
  );
  await machines.must(
    'worker2',
    `containerd --config ${folder}/config.toml > ${folder}/log 2>&1 & echo $! > ${folder}/pid`,
  );
  try {
    const images = join(folder, 'images.tar');
    writeFileSync(
      images,
      buildImages([pauseImage(), await busyboxImage('k8ts.test/web:1', { cmd: ['sleep', '1000000'] })]),
    );
    await eventually('containerd has the images', async () => {
      return (await machines.shell('worker2', `ctr -a ${socket} -n k8s.io images import ${images}`)).code === 0;
    });
    const [, token, hash] = /--token (\S+) .*(sha256:\S+)/.exec(await joinLine()) ?? [];
    writeFileSync(
      join(folder, 'join.yaml'),
      `apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken:
    apiServerEndpoint: 192.168.60.10:6443
    token: ${token}
    caCertHashes: ["${hash}"]
nodeRegistration:
  name: by-file
  criSocket: unix://${socket}
  kubeletExtraArgs:
  - {name: node-labels, value: disk=ssd}
`,
    );
    await machines.must('worker2', `k8ts join --config ${folder}/join.yaml`);
    await kubectl(`run there --image=k8ts.test/web:1 --overrides='{"spec":{"nodeSelector":{"disk":"ssd"}}}'`);
    await kubectl('wait --for=condition=Ready pod/there --timeout=60s');
    assert.equal(await kubectl(`get pod there -o jsonpath='{.spec.nodeName}'`), 'by-file');
    await machines.must('worker2', 'k8ts reset --force');
    assert.equal(await machines.must('worker2', `ctr -a ${socket} -n k8s.io tasks list -q`), '');
    assert.match(await machines.must('worker2', `ctr -a ${socket} -n k8s.io images list -q`), /k8ts\.test\/web:1/);
  } finally {
    await machines.must(
      'worker2',
      `kill $(cat ${folder}/pid); while kill -0 $(cat ${folder}/pid) 2>/dev/null; do :; done`,
    );
  }
});
