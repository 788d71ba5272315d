import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ignoreFindings, planPreflight } from './checks.ts';
import type { MachineFacts } from './facts.ts';

const sound: MachineFacts = {
  isRoot: true,
  processors: 2,
  memoryBytes: 2 ** 31,
  hasSwap: true,
  hostName: 'master',
  kernel: '6.1.0',
  takenPorts: [],
  missingFeatures: [],
  sysctls: { 'net/ipv4/ip_forward': '0' },
  writableSysctls: true,
  cgroups: { version: 2, controllers: ['cpu', 'cpuset', 'io', 'memory', 'pids'] },
  containerd: 'containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3',
  missingPackages: [],
  leftovers: [],
  nowMs: Date.UTC(2026, 10, 23),
  routes: [{ destination: '192.168.60.0/24', link: 'eth0' }],
  proxies: [],
  hasFirewalld: false,
};
const wishes = { controlPlane: true, podCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/12' };
const namesOf = (change: Partial<MachineFacts>, more = {}): string[] =>
  planPreflight({ ...sound, ...change }, { ...wishes, ...more }).map(({ level, name }) => `${level} ${name}`);

test('a sound machine has no finding, swap or not', () => assert.deepEqual(namesOf({}), []));

test('each thing that a machine lacks has its name', () => {
  const rows: [Partial<MachineFacts>, string][] = [
    [{ isRoot: false }, 'error IsPrivilegedUser'],
    [{ processors: 1 }, 'error NumCPU'],
    [{ memoryBytes: 2 ** 30 }, 'error Mem'],
    [{ takenPorts: [6443] }, 'error Port-6443'],
    [
      { leftovers: [{ path: '/r/etc/kubernetes/admin.conf', place: '/etc/kubernetes/admin.conf' }] },
      'error FileAvailable--etc-kubernetes-admin.conf',
    ],
    [{ hostName: 'Master' }, 'error Hostname'],
    [{ writableSysctls: false }, 'error FileContent--proc-sys-net-ipv4-ip_forward'],
    [{ missingFeatures: ['overlay'] }, 'error SystemVerification'],
    [{ cgroups: { version: 2, controllers: ['cpu', 'memory', 'pids'] } }, 'error SystemVerification'],
    [{ missingPackages: [{ name: 'nft', package: 'nftables' }] }, 'error FileExisting-nftables'],
    [{ criTrouble: 'no answer' }, 'error CRI'],
    [{ containerd: 'containerd github.com/containerd/containerd v1.5.9' }, 'error ContainerRuntimeVersion'],
    [{ criDriver: 'systemd' }, 'error CgroupDriver'],
    [{ nowMs: 0 }, 'error Clock'],
    [{ clockSynchronised: false }, 'warning Clock'],
    [{ routes: [{ destination: '10.244.3.0/24', link: 'docker0' }] }, 'error PodSubnet'],
    [{ routes: [{ destination: '10.0.0.0/8', link: 'vpn0' }] }, 'error PodSubnet'],
    [{ routes: [{ destination: '10.96.0.1', link: 'lo' }] }, 'error ServiceSubnet'],
    [{ proxies: ['https_proxy'] }, 'warning HTTPProxy'],
    [{ hasFirewalld: true }, 'warning Firewalld'],
  ];
  for (const [change, name] of rows) assert.ok(namesOf(change).includes(name), `${name}: ${namesOf(change)}`);
});

test('a worker may be smaller, and ranges that are no ranges, or meet each other, are told', () => {
  assert.deepEqual(namesOf({ processors: 1, memoryBytes: 2 ** 29 }, { controlPlane: false }), []);
  assert.deepEqual(namesOf({}, { podCidr: '10.244.0.0' }), ['error PodSubnet']);
  assert.deepEqual(namesOf({}, { podCidr: '10.96.0.0/16' }), ['error PodSubnet']);
});

test('errors are ignored by name, in any case, or all', () => {
  const findings = planPreflight({ ...sound, processors: 1, takenPorts: [6443] }, wishes);
  const levels = (...names: string[]) => ignoreFindings(findings, names).map((one) => one.level);
  assert.deepEqual(levels('numcpu'), ['warning', 'error']);
  assert.deepEqual(levels('NumCPU', 'Port-6443'), ['warning', 'warning']);
  assert.deepEqual(levels('all'), ['warning', 'warning']);
  assert.deepEqual(levels('Swap'), ['error', 'error']);
});
