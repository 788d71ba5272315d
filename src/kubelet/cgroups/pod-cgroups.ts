import { readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Log, messageOf, makeDirectory } from '#base';
import type { Pod } from '#api';
import { podQos } from '../pods/qos.ts';
import { type PodLimits, podLimits } from '../pods/resources.ts';

/** One control group a pod, by quality of service, with the pod's limits; the runtime makes its containers' groups inside. */
export interface PodCgroups {
  /** Path of the pod's group from the root of the hierarchy: the sandbox's cgroup_parent. */
  parentOf(pod: Pod): string;
  /** Makes the pod's group and sets its limits. */
  prepare(pod: Pod): Promise<void>;
  /** Removes the pod's group once nothing runs in it. */
  remove(uid: string): Promise<void>;
}

type Layout =
  | { readonly version: 2; readonly root: string }
  | { readonly version: 1; readonly controllers: ReadonlyMap<string, string> };

const qosDirectories = { Guaranteed: '', Burstable: '/burstable', BestEffort: '/besteffort' } as const;

/** Finds how this machine mounts control groups and opens the pods' part below `cgroupRoot` (`/`, or a node's own subtree). */
export async function openPodCgroups(options: { readonly cgroupRoot: string; readonly log: Log }): Promise<PodCgroups> {
  const { log } = options;
  const base = `${options.cgroupRoot.replace(/\/+$/, '')}/kubepods`;
  const layout = await findLayout();
  const nameOf = (uid: string, qos: keyof typeof qosDirectories): string => `${base}${qosDirectories[qos]}/pod${uid}`;

  return {
    parentOf: (pod) => nameOf(pod.metadata.uid, podQos(pod)),
    async prepare(pod) {
      const name = nameOf(pod.metadata.uid, podQos(pod));
      try {
        if (layout.version === 2) await prepareUnified(layout.root, name, podLimits(pod));
        else await prepareLegacy(layout.controllers, name, podLimits(pod));
      } catch (error) {
        log.warn({ pod: pod.metadata.name, error: messageOf(error) }, 'the limits of a pod could not be set');
      }
    },
    async remove(uid) {
      const roots = layout.version === 2 ? [layout.root] : [...layout.controllers.values()];
      for (const root of roots) {
        for (const qos of ['Guaranteed', 'Burstable', 'BestEffort'] as const)
          await removeGroup(join(root, nameOf(uid, qos)));
      }
    },
  };
}

async function findLayout(): Promise<Layout> {
  const lines = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  const legacy = lines.filter(([, , type]) => type === 'cgroup');
  if (legacy.length === 0)
    return { version: 2, root: lines.find(([, , type]) => type === 'cgroup2')?.[1] ?? '/sys/fs/cgroup' };
  const controllers = new Map<string, string>();
  for (const [, path = '', , flags = ''] of legacy) {
    for (const flag of flags.split(',')) controllers.set(flag.startsWith('name=') ? flag : flag, path);
  }
  for (const general of ['rw', 'ro', 'relatime', 'nosuid', 'nodev', 'noexec', 'xattr']) controllers.delete(general);
  return { version: 1, controllers };
}

async function prepareLegacy(controllers: ReadonlyMap<string, string>, name: string, limits: PodLimits): Promise<void> {
  const cpu = controllers.get('cpu');
  const memory = controllers.get('memory');
  if (cpu !== undefined) {
    const group = join(cpu, name);
    await makeDirectory(group);
    await writeFile(join(group, 'cpu.shares'), String(limits.cpuShares));
    if (limits.cpuQuota !== undefined) {
      await writeFile(join(group, 'cpu.cfs_period_us'), String(limits.cpuPeriod)).catch(() => {});
      await writeFile(join(group, 'cpu.cfs_quota_us'), String(limits.cpuQuota)).catch(() => {});
    }
  }
  if (memory !== undefined && limits.memoryBytes !== undefined) {
    const group = join(memory, name);
    await makeDirectory(group);
    await writeFile(join(group, 'memory.limit_in_bytes'), String(limits.memoryBytes));
  }
}

/** cgroup v2: every group above must hand the controllers down before the pod's own can be limited. */
async function prepareUnified(root: string, name: string, limits: PodLimits): Promise<void> {
  const parts = name.split('/').filter(Boolean);
  let group = root;
  for (const part of parts) {
    await writeFile(join(group, 'cgroup.subtree_control'), '+cpu +memory +pids').catch(() => {});
    group = join(group, part);
    await makeDirectory(group);
  }
  await writeFile(join(group, 'cpu.weight'), String(cpuWeight(limits.cpuShares)));
  if (limits.cpuQuota !== undefined) await writeFile(join(group, 'cpu.max'), `${limits.cpuQuota} ${limits.cpuPeriod}`);
  if (limits.memoryBytes !== undefined) await writeFile(join(group, 'memory.max'), String(limits.memoryBytes));
}

/** cgroup v1 shares 2…262144 as v2 weight 1…10000. */
export function cpuWeight(shares: number): number {
  return Math.floor(1 + ((shares - 2) * 9999) / 262_142);
}

/** Removes a control group with the groups inside it; one that is gone, or still in use, is left to the next attempt. */
async function removeGroup(path: string): Promise<void> {
  const pending = [path];
  const visited: string[] = [];
  for (let group = pending.pop(); group !== undefined && visited.length < 1000; group = pending.pop()) {
    const entries = await readdir(group, { withFileTypes: true }).catch(() => undefined);
    if (entries === undefined) continue;
    visited.push(group);
    for (const entry of entries) if (entry.isDirectory()) pending.push(join(group, entry.name));
  }
  for (const group of visited.reverse()) await rmdir(group).catch(() => {});
}
