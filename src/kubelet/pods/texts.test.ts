import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod, PodSpec, Service } from '#api';
import { parseResolvConf, podResolver } from './dns.ts';
import { containerEnvironment } from './environment.ts';
import { expandVariables } from './expansion.ts';
import { fieldValue, resourceValue } from './field-values.ts';
import { hostsFile, kernelHostname, podHostname } from './hosts-file.ts';
import { containerResources, cpuShares, podAmount, podLimits } from './resources.ts';
import { RestartBackoff } from './restart-backoff.ts';
import { seccompOf } from './security.ts';
import { serviceVariables } from './service-environment.ts';

const podOf = (spec: Partial<PodSpec> = {}, metadata: object = {}): Pod =>
  ({
    metadata: { name: 'p', namespace: 'ns', uid: 'u', ...metadata },
    spec: { containers: [{ name: 'a' }], ...spec },
  }) as unknown as Pod;
const facts = { podIps: ['10.0.0.1', 'fd00::1'], nodeIps: ['192.168.0.1'], allocatable: { cpu: '4', memory: '8Gi' } };

test('variables are expanded as upstream does', () => {
  const known: Readonly<Record<string, string>> = { A: '1', 'B.C': '2' };
  const expand = (text: string): string => expandVariables(text, (name) => known[name]);
  for (const [text, expected] of [
    ['$(A)', '1'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$1'],
    ['x$(B.C)y', 'x2y'],
    ['$(NO)', '$(NO)'],
    ['$(A', '$(A'],
    ['$', '$'],
    ['$$', '$'],
    ['$x', '$x'],
    ['', ''],
    ['$(A)$(A)', '11'],
  ] as const) {
    assert.equal(expand(text), expected, text);
  }
});

test('fields and resources of the downward API', () => {
  const pod = podOf(
    { containers: [{ name: 'a', resources: { requests: { cpu: '250m' }, limits: { memory: '100Mi' } } }] },
    { labels: { b: '2"', a: '1' } },
  );
  assert.equal(fieldValue(pod, 'metadata.labels', facts), 'a="1"\nb="2\\""');
  assert.equal(fieldValue(pod, "metadata.labels['a']", facts), '1');
  assert.equal(fieldValue(pod, "metadata.annotations['none']", facts), '');
  assert.equal(fieldValue(pod, 'status.podIPs', facts), '10.0.0.1,fd00::1');
  assert.throws(() => fieldValue(pod, 'spec.x', facts));
  const own = pod.spec?.containers[0];
  assert.equal(resourceValue(pod, own, { resource: 'requests.cpu' }, facts), '1');
  assert.equal(resourceValue(pod, own, { resource: 'requests.cpu', divisor: '1m' }, facts), '250');
  assert.equal(resourceValue(pod, own, { resource: 'limits.cpu' }, facts), '4');
  assert.equal(
    resourceValue(pod, undefined, { containerName: 'a', resource: 'limits.memory', divisor: '1Mi' }, facts),
    '100',
  );
});

const service = (name: string, namespace: string, clusterIP: string, ports: object[]): Service =>
  ({ metadata: { name, namespace }, spec: { clusterIP, ports } }) as unknown as Service;

test('services as variables', () => {
  const services = [
    service('kubernetes', 'default', '10.96.0.1', [{ name: 'https', port: 443, protocol: 'TCP' }]),
    service('my-db', 'ns', '10.96.0.7', [
      { name: 'sql', port: 5432 },
      { port: 53, protocol: 'UDP' },
    ]),
    service('headless', 'ns', 'None', [{ port: 1 }]),
    service('other', 'elsewhere', '10.96.0.8', [{ port: 1 }]),
  ];
  const linked = Object.fromEntries(serviceVariables(services, 'ns', true));
  assert.equal(linked.MY_DB_SERVICE_HOST, '10.96.0.7');
  assert.equal(linked.MY_DB_SERVICE_PORT_SQL, '5432');
  assert.equal(linked.MY_DB_PORT, 'tcp://10.96.0.7:5432');
  assert.equal(linked.MY_DB_PORT_53_UDP_PROTO, 'udp');
  assert.equal(linked.KUBERNETES_SERVICE_HOST, '10.96.0.1');
  assert.ok(!('OTHER_SERVICE_HOST' in linked) && !('HEADLESS_SERVICE_HOST' in linked));
  const master = serviceVariables(services, 'ns', false);
  assert.ok(master.has('KUBERNETES_SERVICE_PORT_HTTPS') && !master.has('MY_DB_SERVICE_HOST'));
});

test('environment: precedence, and what a missing source says', async () => {
  const objects = {
    configMap: async (_: string, name: string) =>
      name === 'cm' ? ({ data: { k: 'v', A: 'from' } } as never) : undefined,
    secret: async () => undefined,
  };
  const environment = async (container: object): Promise<Record<string, string>> => {
    const made = await containerEnvironment({
      pod: podOf(),
      container: container as never,
      services: [],
      objects,
      facts,
    });
    return Object.fromEntries([...made].map(([name, value]) => [name, value.toString()]));
  };
  assert.deepEqual(
    await environment({
      envFrom: [{ configMapRef: { name: 'cm' } }],
      env: [
        { name: 'A', value: 'own' },
        { name: 'B', value: '$(A)' },
      ],
    }),
    { k: 'v', A: 'own', B: 'own' },
  );
  const key = (name: string, key: string) => ({ env: [{ name: 'X', valueFrom: { configMapKeyRef: { name, key } } }] });
  await assert.rejects(environment(key('cm', 'z')), /couldn't find key z in ConfigMap ns\/cm/);
  await assert.rejects(environment(key('no', 'z')), /configmap "no" not found/);
  await assert.rejects(environment({ envFrom: [{ secretRef: { name: 'no' } }] }), /secret "no" not found/);
});

test('resolvers by policy', () => {
  const host = parseResolvConf('# x\nnameserver 1.1.1.1\nsearch corp.example. .\noptions timeout:2\n');
  const dns = { clusterDns: ['10.96.0.10'], clusterDomain: 'cluster.local', host };
  const cluster = {
    servers: ['10.96.0.10'],
    searches: ['ns.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'corp.example'],
    options: ['ndots:5'],
  };
  assert.deepEqual(podResolver(podOf(), dns), cluster);
  assert.deepEqual(podResolver(podOf({ hostNetwork: true }), dns), {
    servers: ['1.1.1.1'],
    searches: ['corp.example'],
    options: ['timeout:2'],
  });
  assert.deepEqual(podResolver(podOf({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' }), dns), cluster);
  const dnsConfig = {
    nameservers: ['8.8.8.8'],
    searches: ['a'],
    options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }],
  };
  assert.deepEqual(podResolver(podOf({ dnsPolicy: 'None', dnsConfig }), dns), {
    servers: ['8.8.8.8'],
    searches: ['a'],
    options: ['ndots:2', 'edns0'],
  });
  assert.deepEqual(podResolver(podOf({ dnsConfig }), dns).options, ['ndots:2', 'edns0']);
});

test('hosts file and host names', () => {
  const pod = podOf({ hostname: 'web', subdomain: 'sub', hostAliases: [{ ip: '1.2.3.4', hostnames: ['x', 'y'] }] });
  const text = hostsFile({ pod, podIps: ['10.0.0.1'], hostFile: '', ...podHostname(pod, 'cluster.local') });
  assert.ok(text.startsWith('# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n'));
  assert.ok(text.includes('\n10.0.0.1\tweb.sub.ns.svc.cluster.local\tweb\n'));
  assert.ok(text.endsWith('\n# Entries added by HostAliases.\n1.2.3.4\tx\ty\n'));
  assert.ok(
    hostsFile({
      pod: podOf({ hostNetwork: true }),
      podIps: [],
      hostname: 'n',
      hostFile: '127.0.0.1 localhost\n',
    }).startsWith('# Kubernetes-managed hosts file (host network).\n127'),
  );
  assert.equal(kernelHostname(podOf({ setHostnameAsFQDN: true, subdomain: 's' }), 'c.l'), 'p.s.ns.svc.c.l');
  assert.equal(podHostname(podOf({}, { name: `${'a'.repeat(62)}.b` }), 'c').hostname, 'a'.repeat(62));
});

test('resources in the kernel’s terms', () => {
  assert.deepEqual([0, 1, 100, 1000, 999_999_999].map(cpuShares), [2, 2, 102, 1024, 262_144]);
  const pod = podOf({
    initContainers: [
      { name: 'i', resources: { requests: { cpu: '2' } } },
      { name: 's', restartPolicy: 'Always', resources: { requests: { cpu: '100m' } } },
    ],
    containers: [
      { name: 'a', resources: { requests: { cpu: '500m', memory: '1Gi' }, limits: { cpu: '1', memory: '2Gi' } } },
    ],
  });
  assert.equal(
    podAmount(pod, 'cpu', 'requests', (text) => Number.parseFloat(text) * (text.endsWith('m') ? 1 : 1000)).total,
    2000,
  );
  const container = containerResources(pod, pod.spec?.containers[0] as never, 8 * 2 ** 30);
  assert.deepEqual(container, {
    cpu_shares: 512,
    cpu_period: 100_000,
    cpu_quota: 100_000,
    memory_limit_in_bytes: 2 ** 31,
    oom_score_adj: 875,
  });
  assert.equal(podLimits(pod).memoryBytes, undefined);
  assert.equal(
    podLimits(podOf({ containers: [{ name: 'a', resources: { limits: { memory: '1Gi' } } }] })).memoryBytes,
    2 ** 30,
  );
});

test('restarts: the first at once, then 10 s, 20 s … 300 s, and anew after a long run', () => {
  const backoff = new RestartBackoff();
  let now = 0;
  const crash = (): number => {
    const wait = backoff.waitMs('c', now, now);
    now += wait;
    backoff.restarted('c', now - wait, now);
    return wait / 1000;
  };
  assert.deepEqual(Array.from({ length: 8 }, crash), [0, 10, 20, 40, 80, 160, 300, 300]);
  now += 600_001;
  assert.equal(crash(), 0);
  assert.equal(crash(), 10);
});

test('a seccomp profile outside its directory is refused, not ignored', () => {
  for (const localhostProfile of ['', '.', '../x', 'a//b', '/etc/x', 'a/../../x']) {
    assert.throws(
      () => seccompOf({ type: 'Localhost', localhostProfile }, { privileged: false, directory: '/s' }),
      localhostProfile,
    );
  }
  assert.deepEqual(
    seccompOf({ type: 'Localhost', localhostProfile: 'a/b.json' }, { privileged: false, directory: '/s' }),
    { profile_type: 'Localhost', localhost_ref: '/s/a/b.json' },
  );
  assert.equal(seccompOf(undefined, { privileged: false, directory: '/s' }).profile_type, 'RuntimeDefault');
});
