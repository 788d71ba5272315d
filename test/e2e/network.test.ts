import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { NetworkPolicy } from '#api';
import { resource } from '#api';
import { type Client, openClient, openKubeconfigTransport } from '#client';
import type { HttpsTransport } from '#wire';
import { eventually, Machine, type Result, run, whyNoContainers } from './harness.ts';
import { busyboxImage } from './images.ts';

const skip = whyNoContainers() ?? false;

interface PodJson {
  metadata: { name: string };
  spec: { nodeName: string };
  status: { podIP: string; hostIP: string; conditions?: { type: string; status: string }[] };
}
interface NodeJson {
  metadata: { name: string };
  status: { conditions: { type: string; status: string; message: string }[] };
}

const policyKind = resource('networking.k8s.io/v1', 'networkpolicies');

describe('network policies, through the tunnel', { skip }, () => {
  const machine = new Machine('e2e-policy');
  let transport: HttpsTransport | undefined;
  let client: Client;
  let server = '';
  const node = (name: string): string => `k8ts-${machine.name}-${name}`;
  const pods = async (...names: string[]): Promise<PodJson[]> =>
    Promise.all(names.map((name) => machine.json<PodJson>('pod', name)));
  const reaches = async (from: string, url: string, namespace = 'default'): Promise<boolean> =>
    (await machine.kubectl('exec', '-n', namespace, from, '--', 'timeout', '1', 'fetch', url)).stdout.startsWith('one');
  const untilReaches = (from: string, url: string, namespace = 'default'): Promise<true> =>
    eventually(`${from} reaches ${url}`, async () => (await reaches(from, url, namespace)) || undefined);
  const policy = (name: string, spec: NetworkPolicy['spec']): Promise<NetworkPolicy> =>
    client.create<NetworkPolicy>(policyKind, { metadata: { name, namespace: 'default' }, spec });
  const drop = (name: string): Promise<void> => client.delete(policyKind, name, { namespace: 'default' });
  const rules = async (name: string): Promise<string> =>
    (await run('ip', ['netns', 'exec', node(name), 'nft', 'list', 'tables'])).stdout;

  before(async () => {
    await machine.prepare();
    await machine.up('--nodes', '2', '--network-mode', 'vxlan', '--image', machine.images);
    await machine.must('taint', 'nodes', 'master', 'node-role.kubernetes.io/control-plane-');
    await machine.must('create', 'namespace', 'other');
    await machine.must('label', 'namespace', 'other', 'team=two');
    const pod = (name: string, nodeName: string, more: string) =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, ${more}}\nspec:\n  nodeName: ${nodeName}\n  terminationGracePeriodSeconds: 0\n  containers:\n`;
    const idle =
      '  - {name: c, image: "docker.io/library/busybox:1", command: [sh, -c, "trap \\"exit 0\\" TERM; sleep 3600 & wait"]}\n';
    await machine.apply(
      [
        `${pod('server', 'worker1', 'labels: {app: server}')}  - name: c\n    image: k8ts.test/web:1\n    ports: [{name: http, containerPort: 8080}]\n    readinessProbe: {httpGet: {port: http, path: /}, periodSeconds: 1, failureThreshold: 1}\n`,
        `${pod('friend', 'master', 'labels: {role: friend}')}${idle}`,
        `${pod('near', 'worker1', 'labels: {role: near}')}${idle}`,
        `${pod('guest', 'master', 'namespace: other, labels: {role: friend}')}${idle}`,
        'apiVersion: v1\nkind: Service\nmetadata: {name: shop}\nspec: {selector: {app: server}, ports: [{port: 80, targetPort: http}]}\n',
      ].join('---\n'),
    );
    await machine.must('wait', '--for=condition=Ready', 'pod', '--all', '-A', '--timeout=60s');
    server = `http://${(await pods('server'))[0]?.status.podIP}:8080`;
    transport = await openKubeconfigTransport({ file: machine.path('kubeconfig') });
    client = openClient({ transport, userAgent: 'test' });
  });
  after(async () => {
    await transport?.close();
    if (skip === false) await machine.remove();
  });

  test('pods of two nodes reach each other through the tunnel, with packets as large as fit', async () => {
    assert.ok(await reaches('friend', server));
    const { stdout: route } = await run('ip', ['-n', node('master'), 'route', 'show', 'proto', '118']);
    assert.match(route, /^(10\.244\.\d\.0)\/24 via \1 dev k8ts\.vxlan onlink/m);
    const { stdout: link } = await run('ip', ['-n', node('master'), 'link', 'show', 'dev', 'k8ts.vxlan']);
    assert.match(link, /[<,]UP[,>].* mtu 1450 /);
    assert.match(await machine.must('exec', 'friend', '--', 'ip', 'link', 'show', 'eth0'), /mtu 1450/);
    const address = server.slice(7).split(':')[0] as string;
    await machine.must('exec', 'friend', '--', 'ping', '-c', '1', '-W', '5', '-s', '1422', address);
  });

  test('nothing is loaded while no policy exists', async () => {
    assert.doesNotMatch(await rules('worker1'), /k8ts_policy/);
  });

  test('a policy that lets nobody in isolates at once; the node, its probes and what is established pass', async () => {
    // A connection of before the policy goes on: a line that is sent later still arrives.
    const address = server.slice(7).split(':')[0] as string;
    const heard = machine.kubectl('exec', 'server', '--', 'timeout', '120', 'nc', '-l', '-p', '9000');
    const connections = (state: RegExp) =>
      eventually(String(state), async () => state.test(await machine.must('exec', 'server', '--', 'netstat', '-tna')));
    await connections(/:9000 /);
    const bash = ['/opt/glibc/loader', '--library-path', '/opt/glibc', '/opt/glibc/bash', '-c'];
    const talk = machine.kubectl(
      ...['exec', 'friend', '--', ...bash],
      `exec 3<>/dev/tcp/${address}/9000; until [ -e /tmp/go ]; do /bin/sleep 0.1; done; echo late >&3`,
    );
    await connections(/:9000 .*(ESTABLISHED|FIN_WAIT2)/);
    await policy('closed', { podSelector: { matchLabels: { app: 'server' } } });
    await eventually('rules', async () => (await rules('worker1')).includes('k8ts_policy'));
    assert.equal(await reaches('friend', server), false, 'from the other node');
    assert.equal(await reaches('near', server), false, 'from the same node');
    assert.equal(await reaches('near', 'http://shop'), false, 'through the Service');
    assert.ok(await reaches('server', server), 'a pod reaches itself');
    assert.ok(await reaches('server', 'http://shop'), 'also through its Service');
    const own = await run('ip', [
      ...['netns', 'exec', node('worker1'), 'timeout', '5', 'bash', '-c'],
      `exec 3<>/dev/tcp/${address}/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`,
    ]);
    assert.match(own.stdout, /one/, 'its node reaches it');
    await machine.must('exec', 'friend', '--', 'touch', '/tmp/go');
    await talk;
    assert.match((await heard).stdout, /late/, 'what is established goes on');
    const [pod] = await pods('server');
    assert.equal(pod?.status.conditions?.find((one) => one.type === 'Ready')?.status, 'True', 'its probes pass');
    assert.doesNotMatch(await rules('master'), /k8ts_policy/, 'a node without such pods has no rules');
  });

  test('peers by pod, by namespace and by both, named ports, blocks with exceptions', async () => {
    const friend = { podSelector: { matchLabels: { role: 'friend' } } };
    await policy('friends', {
      podSelector: { matchLabels: { app: 'server' } },
      ingress: [{ from: [friend], ports: [{ port: 'http' }] }],
    });
    await untilReaches('friend', server);
    await untilReaches('friend', 'http://shop');
    assert.equal(await reaches('near', server), false);
    assert.equal(await reaches('guest', server, 'other'), false, 'the same labels in another namespace are others');
    await policy('guests', {
      podSelector: {},
      ingress: [
        {
          from: [{ ...friend, namespaceSelector: { matchLabels: { team: 'two' } } }],
          ports: [{ port: 8000, endPort: 8100 }],
        },
      ],
    });
    await untilReaches('guest', server, 'other');
    await machine.must('label', 'namespace', 'other', 'team=three', '--overwrite');
    await eventually('a namespace that loses its label', async () => !(await reaches('guest', server, 'other')));
    await machine.must('label', 'pod', 'near', 'role=friend', '--overwrite');
    await untilReaches('near', server);
    await machine.must('label', 'pod', 'near', 'role=near', '--overwrite');
    await drop('friends');
    await drop('guests');
    const address = (await pods('near'))[0]?.status.podIP;
    await policy('block', {
      podSelector: { matchLabels: { app: 'server' } },
      ingress: [{ from: [{ ipBlock: { cidr: '10.244.0.0/16', except: [`${address}/32`] } }] }],
    });
    await untilReaches('friend', server);
    assert.equal(await reaches('near', server), false);
    await drop('block');
    await drop('closed');
    await untilReaches('near', server);
    await eventually('no rules are left', async () => !(await rules('worker1')).includes('k8ts_policy'));
  });

  test('a policy takes effect within 100 ms', async (t) => {
    const times: number[] = [];
    const until = async (there: boolean): Promise<void> => {
      const endMs = performance.now() + 60_000;
      while ((await rules('worker1')).includes('k8ts_policy') !== there)
        assert.ok(performance.now() < endMs, `rules ${there ? 'missing' : 'left'}`);
    };
    for (let round = 0; round < 5; round++) {
      await policy('fast', { podSelector: { matchLabels: { app: 'server' } } });
      const storedMs = performance.now();
      await until(true);
      times.push(performance.now() - storedMs);
      await drop('fast');
      await until(false);
    }
    times.sort((a, b) => a - b);
    t.diagnostic(`policy stored → rules seen in the kernel: ${times.map((one) => one.toFixed(0)).join(', ')} ms`);
    assert.ok((times[2] as number) < 1_000, 'a slow machine may take longer, but not that long');
  });

  test('a new pod of an isolated selection does not run before its rules are there; others do not wait', async () => {
    await machine.must('delete', 'networkpolicies', '--all');
    await policy('silent', { podSelector: { matchLabels: { app: 'silent' } }, policyTypes: ['Egress'] });
    const address = server.slice(7).split(':')[0];
    const pod = (name: string): string => `apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: ${name.split('-')[0]}}}
spec:
  nodeName: worker1
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: "docker.io/library/busybox:1", command: [sh, -c, "timeout 1 fetch http://${address}:8080 >/dev/null 2>&1 && echo OPEN || echo CLOSED; trap 'exit 0' TERM; sleep 3600 & wait"]}
`;
    const said = (name: string): Promise<string> =>
      eventually(name, async () => (await machine.kubectl('logs', name)).stdout.trim() || undefined);
    await machine.apply([pod('silent-1'), pod('silent-2'), pod('loud-1')].join('---\n'));
    assert.deepEqual(await Promise.all(['silent-1', 'silent-2', 'loud-1'].map(said)), ['CLOSED', 'CLOSED', 'OPEN']);
    // Now nothing can write rules on that node.
    const nft = (await run('sh', ['-c', 'readlink -f "$(command -v nft)"'])).stdout.trim();
    const onNode = (...command: string[]) =>
      run('nsenter', [`--mount=/run/k8ts/${machine.name}/ns/worker1.mnt`, '--', ...command]);
    assert.equal((await onNode('mount', '--bind', '/bin/false', nft)).code, 0);
    try {
      await machine.apply([pod('silent-3'), pod('loud-2')].join('---\n'));
      assert.equal(await said('loud-2'), 'OPEN');
      const { status } = await machine.json<{ status: { phase: string } }>('pod', 'silent-3');
      assert.equal(status.phase, 'Pending');
      assert.equal((await machine.kubectl('logs', 'silent-3')).stdout, '');
    } finally {
      await onNode('umount', nft);
    }
    assert.equal(await said('silent-3'), 'CLOSED');
    await machine.must('delete', 'pod', '-l', 'app in (silent, loud)', '--wait=false');
    await drop('silent');
  });

  test('rules that someone removed come back, and a killed agent leaves them in force', async () => {
    await machine.must('delete', 'networkpolicies', '--all');
    await policy('closed', { podSelector: { matchLabels: { app: 'server' } } });
    await eventually('rules', async () => (await rules('worker1')).includes('k8ts_policy'));
    await run('ip', ['netns', 'exec', node('worker1'), 'nft', 'flush', 'ruleset']);
    await eventually('rules again', async () => (await rules('worker1')).includes('k8ts_policy'));
    const { stdout } = await machine.k8ts('status', '--name', machine.name, '-o', 'json');
    const { processes } = JSON.parse(stdout) as { processes: { name: string; node: string; pid: number }[] };
    const agent = processes.find((one) => one.name === 'agent' && one.node === 'worker1');
    assert.ok(agent);
    process.kill(agent.pid, 'SIGKILL');
    await eventually('it is dead', async () => (await run('kill', ['-0', String(agent.pid)])).code !== 0);
    assert.match(await rules('worker1'), /k8ts_policy/);
    await drop('closed');
    await machine.up();
    await eventually(
      'the new agent sees that the policy is gone',
      async () => !(await rules('worker1')).includes('k8ts_policy'),
    );
    await untilReaches('friend', server);
  });
});

describe('nodes behind a router', { skip: skip || (process.getuid?.() === 0 ? false : 'needs root') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'k8ts-ways-'));
  const id = process.pid;
  const [a, b, router] = [`k8tsa${id}`, `k8tsb${id}`, `k8tsr${id}`] as const;
  const file = join(folder, 'nodes.json');
  const object = (name: string, address: string, podCIDR: string) => ({
    metadata: { name },
    spec: { podCIDR },
    status: { addresses: [{ type: 'InternalIP', address }] },
  });
  const both = [object('a', '10.1.0.2', '10.244.0.0/24'), object('b', '10.2.0.2', '10.244.1.0/24')];
  const keepers: ChildProcess[] = [];
  const ip = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run('ip', args);
    assert.equal(code, 0, `ip ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const inside = (namespace: string, ...command: string[]): Promise<Result> =>
    run('ip', ['netns', 'exec', namespace, ...command]);
  const said = (keeper: ChildProcess, what: () => void = () => {}): Promise<void> =>
    new Promise((resolve, reject) => {
      keeper.stdout?.once('data', () => resolve());
      keeper.once('exit', (code) => reject(new Error(`ended with ${code}`)));
      what();
    });
  const keep = async (name: string, namespace: string, address: string): Promise<ChildProcess> => {
    const keeper = spawn(
      'ip',
      [
        ...['netns', 'exec', namespace, process.execPath, '--disable-warning=ExperimentalWarning'],
        ...[join(import.meta.dirname, 'network/keep-ways.ts'), name, address, 'eth0', file],
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    keepers.push(keeper);
    await said(keeper);
    return keeper;
  };
  const end = (keeper: ChildProcess): Promise<void> =>
    new Promise((resolve) => {
      keeper.once('exit', () => resolve());
      keeper.stdin?.end();
    });
  const pings = async (size = 56): Promise<boolean> =>
    (await inside(a, 'busybox', 'ping', '-c', '1', '-W', '2', '-s', String(size), '-I', '10.244.0.5', '10.244.1.5'))
      .code === 0;

  before(async () => {
    for (const name of [a, b, router]) {
      await ip('netns', 'add', name);
      await ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    for (const [name, link, subnet, pod] of [
      [a, 'ra', '10.1.0', '10.244.0.5'],
      [b, 'rb', '10.2.0', '10.244.1.5'],
    ] as const) {
      await ip('link', 'add', 'eth0', 'netns', name, 'type', 'veth', 'peer', 'name', link, 'netns', router);
      await ip('-n', name, 'address', 'add', `${subnet}.2/24`, 'dev', 'eth0');
      await ip('-n', router, 'address', 'add', `${subnet}.1/24`, 'dev', link);
      await ip('-n', name, 'link', 'set', 'eth0', 'up');
      await ip('-n', router, 'link', 'set', link, 'up');
      await ip('-n', name, 'route', 'add', '10.0.0.0/14', 'via', `${subnet}.1`);
      // Stands for a pod.
      await ip('-n', name, 'address', 'add', `${pod}/32`, 'dev', 'lo');
    }
    await inside(router, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1');
    writeFileSync(file, JSON.stringify(both));
  });
  after(async () => {
    for (const keeper of keepers) keeper.kill('SIGKILL');
    for (const name of [a, b, router]) await run('ip', ['netns', 'delete', name]);
    rmSync(folder, { recursive: true, force: true });
  });

  test('pods reach each other across the router; a node that goes takes everything of it along; a restart changes nothing', async () => {
    assert.equal(await pings(), false, 'there is no way yet');
    const [one, two] = await Promise.all([keep('a', a, '10.1.0.2'), keep('b', b, '10.2.0.2')]);
    await eventually('a way', () => pings());
    assert.ok(await pings(1422), 'as large as the tunnel carries');
    assert.ok(await pings(4000), 'and larger, in pieces');
    const ways = async () =>
      [
        await ip('-n', a, 'route', 'show', 'proto', '118'),
        await ip('-n', a, '-d', 'link', 'show', 'k8ts.vxlan'),
        await ip('-n', a, 'neighbour', 'show', 'dev', 'k8ts.vxlan'),
        (await inside(a, 'bridge', 'fdb', 'show', 'dev', 'k8ts.vxlan')).stdout,
        (await inside(a, 'nft', 'list', 'ruleset')).stdout,
      ].join('');
    const first = await ways();
    assert.match(first, /10\.244\.1\.0 lladdr 02:6b:0a:02:00:02 PERMANENT/);
    await end(one);
    assert.equal(await ways(), first, 'the end of the process takes nothing away');
    const monitor = spawn('ip', ['-n', a, 'monitor', 'link', 'route', 'neigh']);
    let changes = '';
    monitor.stdout.on('data', (piece) => {
      changes += piece;
    });
    const again = await keep('a', a, '10.1.0.2');
    await eventually('it has looked', async () => (await ways()) === first);
    await ip('-n', a, 'route', 'add', 'blackhole', '10.99.0.0/24');
    await eventually('the monitor is up to date', async () => changes.includes('10.99.0.0'));
    monitor.kill();
    assert.doesNotMatch(changes, /10\.244\.|02:6b/, 'what is right is not touched');

    // Someone who is no node may not send wrapped packets.
    const drops = async () => (await inside(a, 'nft', 'list', 'chain', 'ip', 'k8ts_tunnel', 'input')).stdout;
    assert.match(await drops(), /udp dport 4789 .* ip saddr != @nodes drop/);

    writeFileSync(file, JSON.stringify(both.slice(0, 1)));
    await said(again, () => again.stdin?.write('\n'));
    await eventually('nothing of the tunnel is left', async () => {
      const { stdout } = await inside(a, 'nft', 'list', 'ruleset');
      const { code } = await run('ip', ['-n', a, 'link', 'show', 'k8ts.vxlan']);
      return code !== 0 && stdout === '' && (await ip('-n', a, 'route', 'show', 'proto', '118')) === '';
    });
    await Promise.all([end(again), end(two)]);
  });
});

describe('a network that is applied as a manifest', { skip }, () => {
  const machine = new Machine('e2e-cni');

  /**
   * What Calico and Flannel do, small: a privileged program in the node's network writes a plugin to /opt/cni/bin and a configuration
   * to /etc/cni/net.d, and sets routes to the other nodes. Pods of the node 172.29.N.X get 10.77.X.0/24.
   */
  const network = `set -e
last=\${HOST_IP##*.}; link=\${HOST_IP%.*}
printf '#!/bin/sh\\nexec /opt/cni/bin/ptp "$@"\\n' > /host/bin/testnet.part; chmod 755 /host/bin/testnet.part; mv /host/bin/testnet.part /host/bin/testnet
for other in $(seq 10 20); do [ $other = $last ] || ip route replace 10.77.$other.0/24 via $link.$other; done
mkdir -p /run/testnet; echo "10.77.$last.0/24" > /run/testnet/subnet.env
cat > /host/net.d/10-testnet.conflist.part <<END
{"cniVersion":"0.4.0","name":"testnet","plugins":[{"type":"testnet","ipam":{"type":"host-local","ranges":[[{"subnet":"10.77.$last.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
END
mv /host/net.d/10-testnet.conflist.part /host/net.d/10-testnet.conflist
trap 'exit 0' TERM; sleep 3600 & wait
`;
  const manifest = `apiVersion: apps/v1
kind: DaemonSet
metadata: {name: testnet, namespace: kube-system}
spec:
  selector: {matchLabels: {app: testnet}}
  template:
    metadata: {labels: {app: testnet}}
    spec:
      hostNetwork: true
      tolerations: [{operator: Exists}]
      terminationGracePeriodSeconds: 1
      containers:
      - name: network
        image: k8ts.test/network:1
        securityContext: {privileged: true}
        env: [{name: HOST_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}]
        volumeMounts:
        - {name: bin, mountPath: /host/bin}
        - {name: conf, mountPath: /host/net.d}
        - {name: run, mountPath: /run/testnet}
      volumes:
      - {name: bin, hostPath: {path: /opt/cni/bin}}
      - {name: conf, hostPath: {path: /etc/cni/net.d}}
      - {name: run, hostPath: {path: /run/testnet, type: DirectoryOrCreate}}
`;
  const nodes = async (): Promise<NodeJson[]> => (await machine.json<{ items: NodeJson[] }>('nodes')).items;
  const ready = (node: NodeJson) => node.status.conditions.find((one) => one.type === 'Ready');

  before(async () => {
    await machine.prepare([await busyboxImage('k8ts.test/network:1', { cmd: ['sh', '-c', network] })]);
  });
  after(async () => {
    if (skip === false) await machine.remove();
  });

  test('nodes wait for it, and are Ready with it; pods and Services work; nothing of it is on this machine', async () => {
    const before = await listing();
    await machine.up('--nodes', '2', '--cni', 'none', '--image', machine.images);
    for (const node of await nodes()) {
      assert.equal(ready(node)?.status, 'False', node.metadata.name);
      assert.match(ready(node)?.message ?? '', /cni plugin not initialized/);
    }
    await machine.must('taint', 'nodes', 'master', 'node-role.kubernetes.io/control-plane-');
    await machine.apply(manifest);
    await machine.must('wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=60s');
    await machine.apply(`apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: web, image: "k8ts.test/web:1"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`);
    await machine.must('rollout', 'status', 'daemonset/web', '--timeout=60s');
    const { items: pods } = await machine.json<{ items: PodJson[] }>('pods', '-l', 'app=web');
    assert.equal(pods.length, 2);
    for (const { status } of pods) assert.ok(status.podIP.startsWith(`10.77.${status.hostIP.split('.')[3]}.`));
    const [one, two] = pods as [PodJson, PodJson];
    for (const url of [`http://${two.status.podIP}:8080`, 'http://web.default.svc.cluster.local'])
      await eventually(url, async () =>
        (await machine.kubectl('exec', one.metadata.name, '--', 'timeout', '2', 'fetch', url)).stdout.startsWith('one'),
      );
    assert.deepEqual(await listing(), before, 'each node has its own /run, and CNI folders are not shared');
    assert.equal((await machine.k8ts('down', '--name', machine.name)).code, 0);
    await machine.up();
    await machine.must('rollout', 'status', 'daemonset/web', '--timeout=60s');
  });

  /** What of a pod network this machine's own folders hold. */
  async function listing(): Promise<string[]> {
    const { stdout } = await run('find', ['/etc/cni', '/opt/cni', '/run/testnet', '-type', 'f']);
    return stdout.split('\n').filter(Boolean);
  }
});

describe('k8ts doctor', { skip: skip || (process.getuid?.() === 0 ? false : 'needs root') }, () => {
  const doctor = async () => {
    const { code, stdout } = await run(join(import.meta.dirname, '../../k8ts'), ['doctor', '-o', 'json']);
    const findings = JSON.parse(stdout) as { check: string; ok: boolean; detail: string }[];
    return { code, of: (check: string) => findings.find((one) => one.check === check) };
  };
  const left = async (): Promise<string> =>
    [(await run('ip', ['netns', 'list'])).stdout, (await run('ip', ['-o', 'link'])).stdout]
      .join('')
      .match(/k8td\S*/g)
      ?.join() ?? '';

  test('packets arrive on every way; a filter of this machine is found, at its hop; nothing is left', async (t) => {
    const startMs = performance.now();
    const well = await doctor();
    t.diagnostic(`doctor took ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
    for (const check of ['pod to pod', 'Service', 'NodePort', 'DNS'])
      assert.match(well.of(check)?.detail ?? '', /^arrives, /, check);
    await run('nft', [
      'add table bridge wall; add chain bridge wall f { type filter hook forward priority 0; policy drop; }',
    ]);
    try {
      const ill = await doctor();
      assert.equal(ill.code, 1);
      assert.match(
        ill.of('Service')?.detail ?? '',
        /^the packet left the first node and never came to the second node: .*table bridge wall/,
      );
      assert.equal(ill.of('DNS')?.ok, true, 'the answer comes from the same node');
    } finally {
      await run('nft', ['delete', 'table', 'bridge', 'wall']);
    }
    assert.equal(await left(), '');
  });
});
