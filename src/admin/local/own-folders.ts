import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { runCommand, makeDirectorySync } from '#base';
import type { NodeLayout } from './layout.ts';

/**
 * What a network applied as a manifest expects to be a machine's own, and nodes of one machine would else share: the folders of CNI
 * (a DaemonSet writes its configuration and plugins there by hostPath), Calico's notes, and all of /run.
 */
const ownFolders = [
  { path: '/etc/cni/net.d', name: 'net.d' },
  { path: '/opt/cni/bin', name: 'bin' },
  { path: '/var/lib/calico', name: 'calico' },
] as const;
/** Of this machine's /run a node still needs its own sockets and the list of name servers. */
const sharedRun = ['k8ts', 'systemd/resolve'];
const madeFile = '/run/k8ts/host-folders';

/** Where a node keeps the CNI configuration and plugins of a network that someone else brings; survive a power cut. */
export function ownCniFolders(layout: NodeLayout): { readonly conf: string; readonly bin: string } {
  return { conf: join(layout.dataDir, 'cni', 'net.d'), bin: join(layout.dataDir, 'cni', 'bin') };
}

/** Gives a node its own folders, inside its mount namespace; the distribution's plugins are there by links. */
export async function mountOwnFolders(layout: NodeLayout, pluginFolder: string): Promise<void> {
  const enter = (program: string, ...args: string[]) =>
    runCommand('nsenter', [`--mount=${layout.mountnsFile}`, '--', program, ...args]);
  for (const { path, name } of ownFolders) {
    const own = join(layout.dataDir, 'cni', name);
    makeDirectorySync(own);
    makeMountPoint(path);
    await enter('mount', '--bind', own, path);
  }
  linkPlugins(pluginFolder, ownCniFolders(layout).bin);
  const stage = join(layout.runDir, 'run');
  makeDirectorySync(stage);
  await enter('mount', '-t', 'tmpfs', '-o', 'mode=755,size=20%', 'k8ts-run', stage);
  for (const name of sharedRun) {
    if (!existsSync(join('/run', name))) continue;
    await enter('mkdir', '-p', join(stage, name));
    await enter('mount', '--bind', join('/run', name), join(stage, name));
  }
  await enter('mkdir', '-p', ...['netns', 'lock', 'mount'].map((name) => join(stage, name)));
  await enter('mount', '--move', stage, '/run');
}

/** The plugins of the distribution (containernetworking-plugins), which other networks build on. */
export const distributionPlugins: readonly string[] =
  'bandwidth bridge dhcp dummy firewall host-device host-local ipvlan loopback macvlan portmap ptp sbr static tap tuning vlan vrf'.split(
    ' ',
  );

/** Offers the distribution's plugins in the folder where a network that someone applies puts its own; what is there stays. */
export function linkPlugins(from: string, to: string): void {
  makeDirectorySync(to);
  for (const name of readdirSync(from)) {
    if (!distributionPlugins.includes(name)) continue;
    const link = join(to, name);
    try {
      if (readlinkSync(link) === join(from, name)) continue;
    } catch {}
    if (!existsSync(link)) {
      rmSync(link, { force: true });
      symlinkSync(join(from, name), link);
    }
  }
}

/** A mount point must exist on this machine too; folders made for it are remembered, to be removed with the last node. */
function makeMountPoint(path: string): void {
  const missing: string[] = [];
  for (let folder: string = path; !existsSync(folder); folder = dirname(folder)) missing.unshift(folder);
  if (missing.length === 0) return;
  makeDirectorySync(path);
  const before = existsSync(madeFile) ? readFileSync(madeFile, 'utf8') : '';
  makeDirectorySync(dirname(madeFile), 0o711);
  writeFileSync(madeFile, before + missing.map((one) => `${one}\n`).join(''), { mode: 0o600 });
}

/** Removes the mount points that `mountOwnFolders` made on this machine, as far as they are empty; not while another cluster runs. */
export function removeMountPoints(): void {
  if (!existsSync(madeFile)) return;
  if (readdirSync(dirname(madeFile), { withFileTypes: true }).some((one) => one.isDirectory())) return;
  const made = readFileSync(madeFile, 'utf8').split('\n').filter(Boolean);
  for (const folder of made.sort((a, b) => b.length - a.length)) {
    try {
      rmdirSync(folder);
    } catch {}
  }
  rmSync(madeFile, { force: true });
}
