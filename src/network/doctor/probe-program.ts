/**
 * What runs in a throw-away namespace of `k8ts doctor`, as `node probe-program.ts ROLE`: `nodea`/`nodeb` keep routes, rules and names as
 * a node's agent does; `podb` answers; `poda` and `outside` ask. Says `ready`, then results as JSON lines; ends with its input.
 */
import { createServer } from 'node:net';
import { connect } from 'node:net';
import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import type { KubeObject } from '#api';
import { messageOf, silentLog, sleep, systemClock, systemRandom } from '#base';
import { startDnsServer } from '../dns/dns-server.ts';
import { startServiceProxy } from '../proxy/service-proxy.ts';
import { startPodRoutes } from '../routes/pod-routes.ts';
import { fixedInformers } from './fixed-informers.ts';
import { addresses, type Place, podRanges, ports, type Probe, probes } from './path.ts';

const role = process.argv[2] as Place;
const say = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
const patienceMs = 1_500;

const node = (name: 'nodea' | 'nodeb'): object => ({
  metadata: { name, uid: name },
  spec: { podCIDR: podRanges[name] },
  status: { addresses: [{ type: 'InternalIP', address: addresses[name] }] },
});
const probe = { name: 'probe', namespace: 'default', uid: 'probe' };
const objects = {
  nodes: [node('nodea'), node('nodeb')],
  services: [
    {
      metadata: probe,
      spec: {
        type: 'NodePort',
        clusterIP: addresses.service,
        clusterIPs: [addresses.service],
        ports: [{ port: ports.service, targetPort: ports.pod, nodePort: ports.node, protocol: 'TCP' }],
      },
    },
  ],
  endpointslices: [
    {
      metadata: { ...probe, labels: { 'kubernetes.io/service-name': 'probe' } },
      addressType: 'IPv4',
      ports: [{ name: '', port: ports.pod, protocol: 'TCP' }],
      endpoints: [{ addresses: [addresses.podb], nodeName: 'nodeb', conditions: { ready: true } }],
    },
  ],
} as unknown as Readonly<Record<string, readonly KubeObject[]>>;

async function runNode(name: 'nodea' | 'nodeb'): Promise<void> {
  for (const setting of ['ip_forward', 'conf/all/rp_filter', 'conf/default/rp_filter'])
    writeFileSync(`/proc/sys/net/ipv4/${setting}`, setting === 'ip_forward' ? '1' : '0');
  const informers = fixedInformers(objects);
  const shared = { informers, clock: systemClock, log: silentLog };
  const network = { nodeAddresses: [addresses[name]], clusterCidr: '10.244.0.0/16', uplink: 'eth0' };
  const ways = await startPodRoutes({ ...shared, nodeName: name, nodeIp: addresses[name], uplink: 'eth0' });
  // Nothing changes here: the routes are there when it has ended.
  await ways.close();
  const proxy = await startServiceProxy({ ...shared, nodeName: name, network, podInformers: informers });
  if (name === 'nodea') {
    await startDnsServer({
      ...shared,
      addresses: [addresses.dns],
      domain: 'cluster.local',
      upstreams: [],
      ranges: [],
      random: systemRandom,
    });
  }
  for (let waitedMs = 0; !proxy.synced(); waitedMs += 10) {
    if (waitedMs > 3_000)
      throw new Error('the rules of Services could not be written (nft -f of maps and address translation)');
    await sleep(systemClock, 10);
  }
}

function askTcp(one: Probe): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: one.address, port: one.port, localPort: one.sourcePort });
    const end = (answer: string | undefined): void => {
      timer.cancel();
      socket.destroy();
      resolve(answer);
    };
    const timer = systemClock.setTimer(() => end('no answer'), patienceMs);
    socket.on('error', (error) => end(messageOf(error)));
    socket.on('data', (data) => end(data.toString() === 'k8ts' ? undefined : 'a stranger answered'));
  });
}

function askDns(one: Probe): Promise<string | undefined> {
  const labels = ['probe', 'default', 'svc', 'cluster', 'local'].map((label) =>
    Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]),
  );
  const query = Buffer.concat([
    Buffer.from([0x4b, 0x38, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ...labels,
    Buffer.from([0, 0, 1, 0, 1]),
  ]);
  const wanted = Buffer.from(addresses.service.split('.').map(Number));
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const end = (answer: string | undefined): void => {
      timer.cancel();
      socket.close();
      resolve(answer);
    };
    const timer = systemClock.setTimer(() => end('no answer'), patienceMs);
    socket.on('error', (error) => end(messageOf(error)));
    socket.on('message', (message) => end(message.includes(wanted) ? undefined : 'the name was not found'));
    socket.bind(one.sourcePort, () => socket.send(query, one.port, one.address));
  });
}

try {
  if (role === 'nodea' || role === 'nodeb') await runNode(role);
  else if (role === 'podb') {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end('k8ts');
    });
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject);
      server.listen(ports.pod, '0.0.0.0', resolve);
    });
  }
  say({ ready: true });
} catch (error) {
  say({ failed: messageOf(error) });
}
process.stdin.on('end', () => process.exit(0));
process.stdin.on('data', async () => {
  for (const one of probes) {
    if (one.from !== role) continue;
    const startMs = systemClock.monotonicMs();
    const error = await (one.protocol === 'tcp' ? askTcp(one) : askDns(one));
    say({ probe: one.name, tookMs: systemClock.monotonicMs() - startMs, ...(error === undefined ? {} : { error }) });
  }
  say({ done: true });
});
