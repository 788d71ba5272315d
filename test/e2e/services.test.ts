import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, describe, test, type TestContext } from 'node:test';
import { type Answer, decode, encode, type Packet } from 'dns-packet';
import { eventually, Machine, run, whyNoContainers } from './harness.ts';

const skip = whyNoContainers() ?? false;
const machine = new Machine('e2e-services');
const clientScript = `
const socket = require('dgram').createSocket('udp4');
const [address, port] = process.argv.slice(1);
process.stdin.on('data', () => socket.send('x', Number(port), address));
socket.on('message', (answer) => console.log(String(answer)));
socket.on('error', (error) => console.log(error.code));
`;
/** The tail of the link's addresses: this machine is .1, nodes are .10 and .11. */
let link = '';
const address = (last: number): string => `${link}.${last}`;
const netns = (node: string): string => `k8ts-${machine.name}-${node}`;

async function get(url: string, timeoutMs = 2_000): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), headers: { connection: 'close' } });
  return response.text();
}
async function whyNot(url: string, timeoutMs = 1_500): Promise<string> {
  try {
    return `answered: ${await get(url, timeoutMs)}`;
  } catch (error) {
    const { name, cause } = error as { name: string; cause?: { code?: string } };
    return cause?.code ?? name;
  }
}
const fromPod = async (pod: string, url: string): Promise<string> => {
  const { code, stdout, stderr } = await machine.kubectl('exec', pod, '--', 'timeout', '3', 'fetch', url);
  return code === 0 ? stdout.trim() : `${code}: ${stderr}`;
};
const service = (name: string, spec: string, more = ''): string => `
apiVersion: v1
kind: Service
metadata: {name: ${name}${more}}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}], ${spec}}
`;
const ingressOf = async (name: string): Promise<string> =>
  machine.must('get', 'service', name, '-o', 'jsonpath={.status.loadBalancer.ingress[*].ip}');
const addressOf = (name: string): Promise<string> =>
  eventually(`${name} has an address`, async () => (await ingressOf(name)) || undefined);
const nodePortOf = (name: string): Promise<string> =>
  machine.must('get', 'service', name, '-o', 'jsonpath={.spec.ports[0].nodePort}');
const podOn = (node: string): Promise<string> =>
  machine
    .must('get', 'pod', '-l', 'app=web', '--field-selector', `spec.nodeName=${node}`, '-o', 'name')
    .then((name) => name.trim().replace('pod/', ''));
/** A Service without selector and a slice for each of its endpoints, all on this machine. */
const outsideService = (name: string, spec: string, ports: readonly number[], protocol = 'TCP'): string =>
  [
    `
apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec: {ports: [{port: 80, protocol: ${protocol}}], ${spec}}
`,
    ...ports.map((port) => outsideSlice(name, port, protocol)),
  ].join('---');
const outsideSlice = (name: string, port: number, protocol = 'TCP'): string => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}-${port}, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{name: "", port: ${port}, protocol: ${protocol}}]
endpoints: [{addresses: ["${address(1)}"]}]
`;

describe('Services on two nodes', { skip, concurrency: false }, () => {
  before(async () => {
    await machine.prepare();
    await machine.up('--nodes', '2', '--image', machine.images);
    const { stdout } = await machine.k8ts('status', '--name', machine.name, '-o', 'json');
    const [node] = (JSON.parse(stdout) as { nodes: { address: string }[] }).nodes;
    link = (node?.address ?? '').split('.').slice(0, 3).join('.');
    await machine.apply(`
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      tolerations: [{operator: Exists}]
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: k8ts.test/web:1
        command:
        - sh
        - -c
        - |
          mkdir -p /www/cgi-bin
          hostname > /www/index.html
          printf '#!/bin/sh\\nprintf "Content-type: text/plain\\\\r\\\\n\\\\r\\\\n$REMOTE_ADDR"\\n' > /www/cgi-bin/client
          chmod +x /www/cgi-bin/client
          trap "exit 0" TERM
          httpd -f -p 8080 -h /www & wait
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
`);
    await machine.must('rollout', 'status', 'daemonset/web', '--timeout=60s');
  });
  after(async () => {
    const removed = await machine.remove();
    assert.equal(removed.code, 0, removed.stderr);
  });

  test('a load balancer has an address that answers from this machine at once, and refuses other ports', async (t) => {
    const beganMs = performance.now();
    await machine.apply(service('balanced', 'type: LoadBalancer'));
    const vip = await addressOf('balanced');
    await eventually('it answers', async () => (await get(`http://${vip}/`)).startsWith('web-'), 10_000);
    t.diagnostic(`${(performance.now() - beganMs).toFixed(0)} ms from kubectl apply to the first answer`);
    const seen = new Set<string>();
    await eventually('both pods answer', async () => seen.add(await get(`http://${vip}/`)).size === 2);
    assert.equal(vip, address(128));
    assert.equal(await whyNot(`http://${vip}:10250/`), 'ECONNREFUSED', "the node's own ports do not listen there");
    assert.match(await fromPod(await podOn('worker1'), `http://${vip}/`), /^web-/);
    const { status } = await machine.json<{ status: unknown }>('service', 'balanced');
    assert.deepEqual(status, { loadBalancer: { ingress: [{ ip: vip, ipMode: 'VIP' }] } });
    assert.match(
      await machine.must('get', 'service', 'balanced'),
      new RegExp(`LoadBalancer .* ${vip.replaceAll('.', '\\.')} `),
    );
    assert.match(await machine.must('describe', 'service', 'balanced'), /EnsuredLoadBalancer/);
  });

  test('an asked address, source ranges, no node ports; a taken address and another class wait', async () => {
    await machine.apply(
      [
        service(
          'asked',
          `type: LoadBalancer, loadBalancerIP: ${address(200)}, allocateLoadBalancerNodePorts: false, loadBalancerSourceRanges: [10.0.0.0/8]`,
        ),
        service('late', `type: LoadBalancer, loadBalancerIP: ${address(128)}`),
        service('other', 'type: LoadBalancer, loadBalancerClass: example.com/other'),
      ].join('---'),
    );
    assert.equal(await addressOf('asked'), address(200));
    assert.equal(await nodePortOf('asked'), '');
    assert.match(
      await fromPod(await podOn('worker1'), `http://${address(200)}/`),
      /^web-/,
      'a pod is inside the range',
    );
    assert.equal(await whyNot(`http://${address(200)}/`, 500), 'TimeoutError', 'this machine is not');
    await machine.must(
      'patch',
      'service',
      'asked',
      '-p',
      `{"spec":{"loadBalancerSourceRanges":["10.0.0.0/8","${address(0)}/24"]}}`,
    );
    await eventually('now it is', async () => (await get(`http://${address(200)}/`, 500)).startsWith('web-'), 10_000);
    await eventually('the reason is told', async () =>
      (await machine.must('describe', 'service', 'late')).includes(`${address(128)} is in use by default/balanced`),
    );
    assert.equal(await ingressOf('other'), '');
    await machine.must('delete', 'service', 'asked', 'late', 'other');
  });

  test('another type gives the address back', async () => {
    await machine.must('patch', 'service', 'balanced', '-p', '{"spec":{"type":"ClusterIP"}}');
    assert.equal(await ingressOf('balanced'), '');
    await eventually('no node holds it', async () => {
      const held = await Promise.all(['master', 'worker1'].map((one) => run('ip', ['-n', netns(one), 'address'])));
      return held.every(({ stdout }) => !stdout.includes(`${address(128)}/`));
    });
    await machine.apply(service('next', 'type: LoadBalancer'));
    assert.equal(await addressOf('next'), address(128));
    await machine.must('delete', 'service', 'next', 'balanced');
  });

  test('externalTrafficPolicy Local: the client is seen, only nodes with a pod answer and say so', async () => {
    const [here, there] = [await podOn('worker1'), await podOn('master')];
    await machine.must('label', 'pod', here, 'only=this');
    await machine.apply(
      service('local', 'type: LoadBalancer, externalTrafficPolicy: Local').replace('{app: web}', '{only: this}'),
    );
    const vip = await addressOf('local');
    const thisMachine = `[::ffff:${address(1)}]`;
    const client = await eventually('it answers', () => get(`http://${vip}/cgi-bin/client`), 10_000);
    assert.equal(client, thisMachine, 'not a node');
    const port = await machine.must('get', 'service', 'local', '-o', 'jsonpath={.spec.healthCheckNodePort}');
    const healthy = await fetch(`http://${address(11)}:${port}/`);
    assert.equal(healthy.status, 200);
    assert.deepEqual(await healthy.json(), {
      service: { namespace: 'default', name: 'local' },
      localEndpoints: 1,
      serviceProxyHealthy: true,
    });
    assert.equal((await fetch(`http://${address(10)}:${port}/`)).status, 503);
    const nodePort = await nodePortOf('local');
    assert.equal(await get(`http://${address(11)}:${nodePort}/cgi-bin/client`), thisMachine);
    assert.equal(await whyNot(`http://${address(10)}:${nodePort}/`, 500), 'TimeoutError');
    assert.equal(await fromPod(there, `http://${vip}/`), here, 'a pod of another node gets there all the same');

    await machine.must('label', 'pod', here, 'only-');
    await machine.must('label', 'pod', there, 'only=this');
    await eventually(
      'the address goes with the pod',
      async () => (await get(`http://${vip}/`, 500)).trim() === there,
      15_000,
    );
    await machine.must('delete', 'service', 'local');
    await eventually(
      'the health port is closed',
      async () => (await whyNot(`http://${address(10)}:${port}/`)) === 'ECONNREFUSED',
    );
    await machine.must('label', 'pod', there, 'only-');
  });

  test('without endpoints, and at an address that no Service has, connections are refused at once', async () => {
    await machine.apply(service('empty', 'type: NodePort').replace('{app: web}', '{app: none}'));
    const nodePort = await nodePortOf('empty');
    await eventually('refused', async () => (await whyNot(`http://${address(10)}:${nodePort}/`)) === 'ECONNREFUSED');
    const pod = await podOn('worker1');
    for (const url of ['http://empty/', 'http://10.111.222.33/']) {
      const beganMs = performance.now();
      assert.match(await fromPod(pod, url), /refused/i);
      assert.ok(performance.now() - beganMs < 2_500);
    }
    await machine.must('delete', 'service', 'empty');
    const denied = await run('bash', ['-c', 'exit 0']).then(() =>
      machine.apply(service('stolen', 'externalIPs: [192.0.2.1]')).then(() => '', String),
    );
    assert.match(denied, /Use of external IPs is denied by admission control/);
  });

  test('near endpoints are preferred, Local keeps inside traffic on its node, a pod reaches itself', async () => {
    await machine.apply(
      [
        service('near', 'trafficDistribution: PreferSameNode'),
        service('inside', 'internalTrafficPolicy: Local'),
        service('every', 'type: ClusterIP'),
      ].join('---'),
    );
    for (const node of ['master', 'worker1']) {
      const pod = await podOn(node);
      await eventually(`near leads to ${pod}`, async () => (await fromPod(pod, 'http://near/')) === pod);
      const loop = 'for i in 1 2 3 4 5 6; do fetch http://near/; fetch http://inside/; done';
      const answers = (await machine.must('exec', pod, '--', 'sh', '-c', loop)).trim().split('\n');
      assert.equal(answers.length, 12);
      assert.deepEqual([...new Set(answers)], [pod]);
      await eventually('it reaches itself', async () => (await fromPod(pod, 'http://every/')) === pod);
    }
    await machine.must('delete', 'service', 'near', 'inside', 'every');
  });

  test('a client keeps its endpoint, and another one for good when that goes', async (t) => {
    const ports = await Promise.all([1, 2, 3].map(() => pageServer(t)));
    await machine.apply(outsideService('sticky', 'type: NodePort, sessionAffinity: ClientIP', ports));
    const url = `http://${address(10)}:${await nodePortOf('sticky')}/`;
    const first = await eventually('it answers', () => get(url));
    const ask = async (): Promise<string[]> => {
      const answers = new Set<string>();
      for (let i = 0; i < 10; i++) answers.add(await get(url));
      return [...answers];
    };
    assert.deepEqual(await ask(), [first]);
    await machine.must('delete', 'endpointslice', `sticky-${first}`);
    const second = await eventually('another answers', async () => {
      const answer = await get(url);
      return answer !== first && answer;
    });
    assert.deepEqual(await ask(), [second]);
    await machine.must('delete', 'service', 'sticky');
  });

  test('a UDP flow that goes on and on follows the endpoints: another, none, some again, no Service, a new one', async (t) => {
    const [one, two] = [await echoServer(t), await echoServer(t)] as const;
    await machine.apply(outsideService('flow', 'type: NodePort', [one.port], 'UDP'));
    const clusterIp = await machine.must('get', 'service', 'flow', '-o', 'jsonpath={.spec.clusterIP}');
    const nodePort = await nodePortOf('flow');
    const clients = [
      udpClient(t, [], address(10), nodePort),
      udpClient(t, ['ip', 'netns', 'exec', netns('worker1')], clusterIp, '80'),
    ];
    const all = (expected: string): Promise<boolean> =>
      eventually(`both clients hear ${expected}`, async () => {
        const answers = await Promise.all(clients.map((client) => client.ask()));
        return answers.every((answer) => (expected === '' ? !/^\d+$/.test(answer) : answer === expected));
      });
    const silent = async (): Promise<void> => {
      await all('');
      const heard = one.heard() + two.heard();
      for (let i = 0; i < 5; i++) await all('');
      assert.equal(one.heard() + two.heard(), heard, 'no packet goes to an endpoint that is none');
    };
    await all(String(one.port));
    for (const [next, last] of [
      [two, one],
      [one, two],
    ] as const) {
      await machine.apply(outsideSlice('flow', next.port, 'UDP'));
      await machine.must('delete', 'endpointslice', `flow-${last.port}`);
      await all(String(next.port));
    }
    await machine.must('delete', 'endpointslice', `flow-${one.port}`);
    await silent();
    await machine.apply(outsideSlice('flow', two.port, 'UDP'));
    await all(String(two.port));
    await machine.must('delete', 'service', 'flow');
    await silent();
    await machine.must('delete', 'endpointslice', `flow-${two.port}`);
    const again = outsideService('flow', `type: NodePort, clusterIP: ${clusterIp}`, [one.port], 'UDP');
    await machine.apply(again.replace('{port: 80', `{nodePort: ${nodePort}, port: 80`));
    await all(String(one.port));
    await machine.must('delete', 'service', 'flow');
  });

  test('no change of rules was refused by the kernel until here', async () => {
    const { stdout } = await run('grep', ['-rh', 'service rules not written', `/var/lib/k8ts/${machine.name}/log`]);
    assert.equal(stdout, '');
  });

  test('a NodePort answers at an address that a node gets later', async () => {
    await machine.apply(service('later', 'type: NodePort'));
    const added = await run('ip', ['-n', netns('worker1'), 'address', 'add', `${address(77)}/24`, 'dev', 'eth0']);
    assert.equal(added.code, 0, added.stderr);
    const url = `http://${address(77)}:${await nodePortOf('later')}/`;
    await eventually('it answers', async () => (await get(url, 500)).startsWith('web-'));
    await machine.must('delete', 'service', 'later');
  });

  test('rules that somebody removes or empties are written anew', async () => {
    await machine.apply(service('again', 'type: NodePort'));
    const url = `http://${address(10)}:${await nodePortOf('again')}/`;
    await eventually('it answers', () => get(url));
    const maps = (await run('ip', ['netns', 'exec', netns('master'), 'nft', 'list', 'maps'])).stdout;
    const random = /map (random_\d+)/.exec(maps)?.[1] as string;
    for (const harm of [
      ['flush', 'table', 'ip', 'k8ts'],
      ['flush', 'ruleset'],
      ['flush', 'map', 'ip', 'k8ts', random],
    ]) {
      const harmed = await run('ip', ['netns', 'exec', netns('master'), 'nft', ...harm]);
      assert.equal(harmed.code, 0, harmed.stderr);
      await eventually(`it answers after nft ${harm.join(' ')}`, async () => (await get(url, 300)).startsWith('web-'));
    }
    await machine.must('delete', 'service', 'again');
  });

  test('names: Services, headless ones, SRV, PTR; stub domains by ConfigMap', async (t) => {
    await machine.apply(
      [
        service('named', 'type: ClusterIP').replace('{port: 80', '{name: http, port: 80'),
        service('headless', 'clusterIP: None'),
        `
apiVersion: v1
kind: Service
metadata: {name: far}
spec: {type: ExternalName, externalName: db.corp.example}
`,
      ].join('---'),
    );
    const clusterIp = await machine.must('get', 'service', 'named', '-o', 'jsonpath={.spec.clusterIP}');
    const ask = (name: string, type = 'A'): Promise<unknown[]> => dnsAsk(address(10), name, type);
    await eventually('its name is there', async () => (await ask('named.default.svc.cluster.local')).length === 1);
    assert.deepEqual(await ask('named.default.svc.cluster.local'), [clusterIp]);
    assert.deepEqual(await ask('_http._tcp.named.default.svc.cluster.local', 'SRV'), [
      { priority: 0, weight: 100, port: 80, target: 'named.default.svc.cluster.local' },
    ]);
    const reverse = `${clusterIp.split('.').reverse().join('.')}.in-addr.arpa`;
    assert.deepEqual(await ask(reverse, 'PTR'), ['named.default.svc.cluster.local']);
    await eventually('both pods', async () => (await ask('headless.default.svc.cluster.local')).length === 2);
    const port = await stubResolver(t);
    await machine.must(
      'create',
      'configmap',
      'kube-dns',
      '-n',
      'kube-system',
      `--from-literal=stubDomains={"corp.example": ["${address(1)}:${port}"]}`,
    );
    await eventually('the stub domain is asked', async () => (await ask('far.default.svc.cluster.local')).length === 2);
    assert.deepEqual(await ask('far.default.svc.cluster.local'), ['db.corp.example', '192.0.2.77']);
    const pod = await podOn('worker1');
    assert.match(await fromPod(pod, 'http://named/'), /^web-/, 'by its short name');
  });

  test('names are answered while the API is gone, even by an agent that starts then', async () => {
    const ask = (): Promise<unknown[]> => dnsAsk(address(11), 'headless.default.svc.cluster.local', 'A');
    const before = (await ask()).toSorted();
    const { stdout } = await machine.k8ts('status', '--name', machine.name, '-o', 'json');
    const { processes } = JSON.parse(stdout) as { processes: { name: string; node: string; pid: number }[] };
    const server = processes.find((one) => one.name === 'server');
    const agent = processes.find((one) => one.name === 'agent' && one.node === 'worker1');
    assert.ok(server && agent, stdout);
    const file = `/var/lib/k8ts/${machine.name}/nodes/worker1/kubelet/dns-records.json`;
    await eventually('the names are kept', async () => {
      const kept = JSON.parse(readFileSync(file, 'utf8')) as { services: [string, { endpoints: unknown[] }][] };
      return kept.services.some(([key, { endpoints }]) => key === 'default/headless' && endpoints.length === 2);
    });
    const command = readFileSync(`/proc/${agent.pid}/cmdline`, 'utf8')
      .split('\0')
      .filter((one) => one !== '');
    process.kill(server.pid, 'SIGKILL');
    assert.deepEqual((await ask()).toSorted(), before);
    process.kill(agent.pid, 'SIGKILL');
    await eventually('DNS is silent', () =>
      ask().then(
        () => false,
        () => true,
      ),
    );
    const folder = `/run/k8ts/${machine.name}/ns`;
    const enter = [
      `--net=/run/netns/${netns('worker1')}`,
      `--mount=${folder}/worker1.mnt`,
      `--uts=${folder}/worker1.uts`,
      '--',
    ];
    const again = execFile('nsenter', [...enter, ...command]);
    try {
      const found = await eventually('DNS answers again', ask);
      assert.deepEqual(found.toSorted(), before);
    } finally {
      again.kill('SIGKILL');
    }
  });
});

/** An HTTP server on this machine that answers with its port. */
async function pageServer(t: TestContext): Promise<number> {
  const server = createServer((_, response) => {
    response.setHeader('connection', 'close');
    response.end(String((server.address() as { port: number }).port));
  });
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, address(1), resolve));
  return (server.address() as { port: number }).port;
}

/** A UDP server on this machine that answers with its port and counts what it hears. */
async function echoServer(t: TestContext): Promise<{ port: number; heard: () => number }> {
  const socket = createSocket('udp4');
  let heard = 0;
  t.after(() => socket.close());
  socket.on('message', (_, from) => {
    heard++;
    socket.send(String(socket.address().port), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, address(1), resolve));
  return { port: socket.address().port, heard: () => heard };
}

/** One UDP socket, the same for every question: what it hears within 200 ms, or ''. */
function udpClient(t: TestContext, enter: readonly string[], to: string, port: string): { ask(): Promise<string> } {
  const [program = '', ...args] = [...enter, process.execPath, '-e', clientScript, to, port];
  const child: ChildProcess = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  return {
    ask: () =>
      new Promise((resolve) => {
        const end = (answer: string): void => {
          clearTimeout(timer);
          child.stdout?.off('data', hear);
          resolve(answer);
        };
        const hear = (data: Buffer): void => end(data.toString().trim());
        const timer = setTimeout(() => end(''), 200);
        child.stdout?.on('data', hear);
        child.stdin?.write('.');
      }),
  };
}

/** A resolver that knows one name, in the way of everybody's own. */
async function stubResolver(t: TestContext): Promise<number> {
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  socket.on('message', (message, from) => {
    const { id, questions } = decode(message);
    const [question] = questions ?? [];
    const answers = question?.type === 'A' ? [{ type: 'A', name: question.name, ttl: 5, data: '192.0.2.77' }] : [];
    socket.send(encode({ type: 'response', id, questions, answers } as Packet), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, address(1), resolve));
  return socket.address().port;
}

/** Asks a DNS server; the answers' data. Rejects after a second. */
function dnsAsk(server: string, name: string, type: string): Promise<unknown[]> {
  const socket = createSocket('udp4');
  return new Promise<unknown[]>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer from ${server}`)), 1_000);
    socket.on('error', reject);
    socket.on('message', (message) => {
      clearTimeout(timer);
      resolve((decode(message).answers ?? []).map((one: Answer) => (one as { data: unknown }).data));
    });
    socket.connect(53, server, () =>
      socket.send(encode({ type: 'query', id: 5, flags: 0x100, questions: [{ type: type as 'A', name }] })),
    );
  }).finally(() => socket.close());
}
