import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { runCommand, makeDirectorySync } from '#base';
import type { NodeLayout } from './layout.ts';
import { mountOwnFolders } from './own-folders.ts';
import { cniPluginFolder } from './prerequisites.ts';

/**
 * A node's mount and host-name namespaces are kept by files, not by a process: whatever dies, the node can be entered again,
 * and a power cut is to kill its processes and drop the files, after which the kernel forgets every mount of the node.
 */
export async function makeNamespaces(layout: NodeLayout, options: { foreignNetwork?: boolean } = {}): Promise<void> {
  await keepNamespaceFolder(layout);
  await unshareNode(layout);
  const enter = (program: string, ...args: string[]) =>
    runCommand('nsenter', [`--mount=${layout.mountnsFile}`, '--', program, ...args]);
  if (options.foreignNetwork) await mountOwnFolders(layout, cniPluginFolder());
  // Before mounts are shared: what is mounted below it later shows there alone.
  await showKubeletFolder(layout);
  await enter('mount', '--make-rshared', '/');
  // What CNI keeps of pods, and their network namespaces, are the node's own: nothing of them is left on this machine.
  makeDirectorySync('/var/lib/cni');
  await enter('mount', '-t', 'tmpfs', '-o', 'mode=700,size=64m', 'k8ts-cni', '/var/lib/cni');
  await enter('mount', '-t', 'tmpfs', '-o', 'mode=755,size=16m', 'k8ts-netns', '/run/netns');
}

/** Where every node has its kubelet's files: what storage drivers and their manifests expect. */
export const kubeletFolder = '/var/lib/kubelet';

/** Shows the node its own folder there. What lies there on this machine is not seen by the node, and not touched. */
export async function showKubeletFolder(layout: NodeLayout): Promise<void> {
  const mark = join(layout.runDir, 'kubelet-folder');
  if (existsSync(mark)) return;
  const own = join(layout.dataDir, 'kubelet');
  makeDirectorySync(own);
  makeDirectorySync(kubeletFolder);
  await runCommand('nsenter', [`--mount=${layout.mountnsFile}`, '--', 'mount', '--rbind', own, kubeletFolder]);
  writeFileSync(mark, '');
}

/**
 * Makes the two namespaces and their files. Since Linux 6.18 the kernel numbers namespaces in blocks a processor, and refuses (EINVAL)
 * to mount one whose number is not above that of the namespace we are in; so each processor is tried in turn.
 */
async function unshareNode(layout: NodeLayout): Promise<void> {
  const files = [layout.mountnsFile, layout.utsnsFile];
  const processors = availableParallelism();
  for (let attempt = 0; ; attempt++) {
    for (const file of files) writeFileSync(file, '');
    const namespaces = [`--mount=${layout.mountnsFile}`, `--uts=${layout.utsnsFile}`, '--propagation', 'slave'];
    const pin = attempt === 0 ? [] : ['taskset', '--cpu-list', String((attempt - 1) % processors)];
    const [program = '', ...args] = [...pin, 'unshare', ...namespaces, 'hostname', layout.name];
    try {
      await runCommand(program, args);
      return;
    } catch (error) {
      await removeNamespaces(layout);
      if (attempt >= 2 * processors) throw error;
    }
  }
}

/** Files that keep a mount namespace must lie on a private mount, or the kernel refuses the loop. */
export async function keepNamespaceFolder(layout: NodeLayout): Promise<void> {
  const folder = dirname(layout.mountnsFile);
  makeDirectorySync(folder, 0o700);
  const mounted = await runCommand('mountpoint', ['-q', folder], { okCodes: [0, 1, 32] });
  if (mounted.code === 0) return;
  await runCommand('mount', ['--bind', folder, folder]);
  await runCommand('mount', ['--make-private', folder]);
}

export function hasNamespaces(layout: NodeLayout): boolean {
  return existsSync(layout.mountnsFile) && existsSync(layout.netnsFile);
}

export async function removeNamespaces(layout: NodeLayout): Promise<void> {
  for (const file of [layout.mountnsFile, layout.utsnsFile]) {
    await runCommand('umount', ['-l', file], { okCodes: [0, 1, 32] });
    rmSync(file, { force: true });
  }
}

/** Lets go of the folder that held the files, once the last node is gone. */
export async function removeNamespaceFolder(layout: NodeLayout): Promise<void> {
  await runCommand('umount', ['-l', dirname(layout.mountnsFile)], { okCodes: [0, 1, 32] });
}

/** Arguments of nsenter that put a program on a node. */
export function enterArguments(layout: NodeLayout): string[] {
  return [`--net=${layout.netnsFile}`, `--mount=${layout.mountnsFile}`, `--uts=${layout.utsnsFile}`, '--'];
}
