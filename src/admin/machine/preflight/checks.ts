import { messageOf } from '#base';
import { overlap, parseRange } from '../addresses.ts';
import type { MachineFacts } from './facts.ts';

/** Something that keeps, or may keep, a machine from working in a cluster; `name` is kubeadm's where kubeadm has the check. */
export interface Finding {
  readonly name: string;
  readonly level: 'error' | 'warning';
  readonly text: string;
}

export interface CheckWishes {
  readonly controlPlane: boolean;
  readonly podCidr?: string;
  readonly serviceCidr?: string;
}

const minimumProcessors = 2;
const minimumMemoryMib = 1700;
const requiredControllers = ['cpu', 'cpuset', 'memory', 'pids'];
const oldestContainerd = [1, 6] as const;
/** No machine that runs this was set up before. */
const earliestMs = Date.UTC(2026, 0, 1);
const mib = 2 ** 20;

/** What stands against making this machine part of a cluster. */
export function planPreflight(facts: MachineFacts, wishes: CheckWishes): Finding[] {
  const findings: Finding[] = [];
  const error = (name: string, text: string): void => void findings.push({ name, level: 'error', text });
  const warning = (name: string, text: string): void => void findings.push({ name, level: 'warning', text });

  if (!facts.isRoot) error('IsPrivilegedUser', 'this needs root: run it with sudo');
  if (wishes.controlPlane && facts.processors < minimumProcessors)
    error('NumCPU', `${facts.processors} processor, and a control plane needs ${minimumProcessors}`);
  if (wishes.controlPlane && facts.memoryBytes < minimumMemoryMib * mib) {
    error('Mem', `${Math.floor(facts.memoryBytes / mib)} MiB of memory, and a control plane needs ${minimumMemoryMib}`);
  }
  if (facts.hasSwap && facts.cgroups.version === 1) {
    warning('Swap', 'swap is on: with cgroup version 1 pods may use it without a limit (swapoff -a turns it off)');
  }
  for (const port of facts.takenPorts)
    error(`Port-${port}`, `port ${port} is in use: ss -ltnp 'sport = :${port}' names what listens there`);
  for (const { path, place } of facts.leftovers) {
    error(
      `${/\.\w+$/.test(path) ? 'File' : 'Dir'}Available-${place.replaceAll('/', '-')}`,
      `${path} is there already: this machine is or was in a cluster (k8ts reset removes it from that)`,
    );
  }
  if (!/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(facts.hostName)) {
    error('Hostname', `"${facts.hostName}" cannot be the name of a node: give one in lower case with --node-name`);
  }
  if (facts.sysctls['net/ipv4/ip_forward'] !== '1' && !facts.writableSysctls) {
    error(
      'FileContent--proc-sys-net-ipv4-ip_forward',
      'net.ipv4.ip_forward is not 1 and cannot be set: sysctl -w net.ipv4.ip_forward=1',
    );
  }
  if (facts.sysctls['net/bridge/bridge-nf-call-iptables'] === '0') {
    warning(
      'FileContent--proc-sys-net-bridge-bridge-nf-call-iptables',
      'net.bridge.bridge-nf-call-iptables is 0: a network made of bridges (not the built-in one) loses Service traffic',
    );
  }
  const [major = 0, minor = 0] = facts.kernel.split('.').map(Number);
  if (major < 5 || (major === 5 && minor < 4))
    warning('SystemVerification', `kernel ${facts.kernel} is older than 5.4, which is not tested`);
  for (const feature of facts.missingFeatures)
    error(
      'SystemVerification',
      `the kernel does not offer ${feature}: modprobe ${feature} loads it, or install a kernel that has it`,
    );
  if (facts.cgroups.version === 0) error('SystemVerification', 'no control groups are mounted at /sys/fs/cgroup');
  else {
    if (facts.cgroups.version === 1)
      warning('SystemVerification', 'cgroup version 1 is in maintenance: version 2 is preferred');
    const missing = requiredControllers.filter((one) => !facts.cgroups.controllers.includes(one));
    if (missing.length > 0)
      error('SystemVerification', `the kernel lacks the control group controllers ${missing.join(', ')}`);
  }
  for (const one of facts.missingPackages)
    error(`FileExisting-${one.package}`, `${one.name} is not installed: apt-get install ${one.package}`);
  if (facts.criTrouble !== undefined) error('CRI', `the container runtime does not answer: ${facts.criTrouble}`);
  if (facts.criDriver === 'systemd') {
    error(
      'CgroupDriver',
      'the container runtime lets systemd manage control groups, and this kubelet manages them itself: set SystemdCgroup = false in /etc/containerd/config.toml and restart containerd',
    );
  }
  const version = /\bv?(\d+)\.(\d+)\.\d+/.exec(facts.containerd ?? '');
  if (version !== null) {
    const [, a = '0', b = '0'] = version;
    const [leastMajor, leastMinor] = oldestContainerd;
    if (Number(a) < leastMajor || (Number(a) === leastMajor && Number(b) < leastMinor))
      error(
        'ContainerRuntimeVersion',
        `containerd ${version[0]} is older than ${oldestContainerd.join('.')}, the first with CRI v1`,
      );
  }
  if (facts.nowMs < earliestMs)
    error(
      'Clock',
      `the clock says ${new Date(facts.nowMs).toISOString()}: set it (a time service does: chrony, systemd-timesyncd)`,
    );
  else if (facts.clockSynchronised === false)
    warning(
      'Clock',
      'the clock is not synchronised: certificates and tokens need clocks that agree (timedatectl set-ntp true)',
    );
  findings.push(...rangeFindings(facts, wishes));
  for (const name of facts.proxies)
    warning('HTTPProxy', `${name} is set: requests to the API may go through that proxy`);
  if (facts.hasFirewalld)
    warning('Firewalld', 'firewalld is active: the ports 6443 and 10250 and the pod network must be allowed');
  return findings;
}

/** Ranges of the cluster that meet routes of this machine, or each other. */
export function rangeFindings(facts: Pick<MachineFacts, 'routes'>, wishes: CheckWishes): Finding[] {
  const findings: Finding[] = [];
  const ranges = [
    { name: 'PodSubnet', option: '--pod-network-cidr', range: wishes.podCidr },
    { name: 'ServiceSubnet', option: '--service-cidr', range: wishes.serviceCidr },
  ];
  for (const { name, option, range } of ranges) {
    if (range === undefined) continue;
    try {
      parseRange(range, option);
    } catch (error) {
      findings.push({ name, level: 'error', text: messageOf(error) });
      continue;
    }
    for (const { destination, link } of facts.routes) {
      if (!/^[\d./]+$/.test(destination) || !overlap(range, destination)) continue;
      const text = `${range} overlaps the route to ${destination} (${link}) of this machine: choose another with ${option}`;
      findings.push({ name, level: 'error', text });
    }
  }
  const { podCidr, serviceCidr } = wishes;
  if (findings.length === 0 && podCidr !== undefined && serviceCidr !== undefined && overlap(podCidr, serviceCidr)) {
    const text = `the pod network ${podCidr} overlaps the range of Services ${serviceCidr}: choose another with --pod-network-cidr`;
    findings.push({ name: 'PodSubnet', level: 'error', text });
  }
  return findings;
}

/** Errors that were asked to be ignored become warnings; `all` means every one. Names are compared without regard to case. */
export function ignoreFindings(findings: readonly Finding[], ignored: readonly string[]): Finding[] {
  const names = new Set(ignored.map((one) => one.trim().toLowerCase()));
  const isIgnored = (name: string): boolean => names.has('all') || names.has(name.toLowerCase());
  return findings.map((one) => (one.level === 'error' && isIgnored(one.name) ? { ...one, level: 'warning' } : one));
}
