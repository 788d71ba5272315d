import { chmod, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeDirectory } from '#base';
import type { Pod, VolumeMount } from '#api';
import type { MountConfig } from '../cri/contract.ts';
import type { MountedVolume } from '../volumes/pod-volumes.ts';
import type { PodContainer } from './containers.ts';
import type { PodContext } from './context.ts';
import { ContainerConfigError } from './environment.ts';
import { expandVariables } from './expansion.ts';
import { hostsFile, podHostname } from './hosts-file.ts';
import { terminationFile } from './termination-message.ts';

export interface MountsInput {
  readonly pod: Pod;
  readonly container: PodContainer;
  readonly attempt: number;
  readonly volumes: ReadonlyMap<string, MountedVolume>;
  readonly environment: ReadonlyMap<string, Buffer>;
  readonly podIps: readonly string[];
}

export interface ContainerMounts {
  readonly mounts: MountConfig[];
  readonly devices: { container_path: string; host_path: string; permissions: string }[];
  readonly groups: number[];
}

const propagations = {
  None: 'PROPAGATION_PRIVATE',
  HostToContainer: 'PROPAGATION_HOST_TO_CONTAINER',
  Bidirectional: 'PROPAGATION_BIDIRECTIONAL',
} as const;

/** All that is bound into a container: its volumes, its /etc/hosts and its termination file; these two are written here. */
export async function containerMounts(context: PodContext, input: MountsInput): Promise<ContainerMounts> {
  const { pod, container, volumes } = input;
  const wanted = container.spec.volumeMounts ?? [];
  const mounts: MountConfig[] = [];
  const groups = new Set<number>();
  for (const [index, mount] of wanted.entries()) {
    const volume = volumes.get(mount.name);
    if (volume === undefined) {
      throw new ContainerConfigError(
        'VolumeMissing',
        `cannot find volume "${mount.name}" to mount into container "${container.spec.name}"`,
      );
    }
    for (const group of volume.groups) groups.add(group);
    mounts.push(await volumeMount(context, input, { mount, index, volume }));
  }
  if (!wanted.some(({ mountPath }) => mountPath === '/etc/hosts')) mounts.push(await managedHosts(context, input));
  mounts.push(await terminationMount(context, input));
  const devices = (container.spec.volumeDevices ?? []).map(({ name, devicePath }) => {
    const volume = volumes.get(name);
    if (volume === undefined)
      throw new ContainerConfigError(
        'VolumeMissing',
        `cannot find volume "${name}" to pass into container "${container.spec.name}"`,
      );
    return { container_path: devicePath, host_path: volume.path, permissions: volume.readOnly ? 'r' : 'mrw' };
  });
  return { mounts, devices, groups: [...groups] };
}

async function volumeMount(
  context: PodContext,
  { pod, container, environment }: MountsInput,
  { mount, index, volume }: { mount: VolumeMount; index: number; volume: MountedVolume },
): Promise<MountConfig> {
  const { name, mountPath, readOnly, mountPropagation, subPath, subPathExpr, recursiveReadOnly } = mount;
  // IfPossible is a wish, and here not met: what is mounted inside the volume keeps its own rights.
  if (recursiveReadOnly === 'Enabled')
    throw new ContainerConfigError(
      'RecursiveReadOnly',
      `volume mount "${name}": recursiveReadOnly Enabled is not supported by this node; use IfPossible or leave it out`,
    );
  let part = subPath ?? '';
  if (subPathExpr) {
    part = expandVariables(subPathExpr, (variable) => {
      const value = environment.get(variable)?.toString('utf8');
      if (value === undefined)
        throw new ContainerConfigError('SubPath', `missing value for "${variable}" in subPathExpr "${subPathExpr}"`);
      return value;
    });
  }
  if (part.startsWith('/') || part.split('/').includes('..')) {
    throw new ContainerConfigError('SubPath', `subPath must be a relative path without '..': "${part}"`);
  }
  const path =
    part === ''
      ? volume.path
      : await context.volumes.subPath(pod, {
          container: container.spec.name,
          index,
          volume,
          volumeName: name,
          subPath: part,
        });
  return {
    container_path: mountPath.startsWith('/') ? mountPath : `/${mountPath}`,
    host_path: path,
    readonly: readOnly === true || volume.readOnly,
    propagation: propagations[(mountPropagation ?? 'None') as keyof typeof propagations],
  };
}

async function managedHosts(context: PodContext, { pod, podIps }: MountsInput): Promise<MountConfig> {
  const path = join(context.volumes.podDirectory(pod.metadata.uid), 'etc-hosts');
  const { clusterDomain } = context.dns();
  const hostFile = pod.spec?.hostNetwork ? await context.hostsFile() : '';
  await makeDirectory(dirname(path), 0o750);
  await writeFile(path, hostsFile({ pod, podIps, hostFile, ...podHostname(pod, clusterDomain) }), { mode: 0o644 });
  return { container_path: '/etc/hosts', host_path: path };
}

async function terminationMount(context: PodContext, { pod, container, attempt }: MountsInput): Promise<MountConfig> {
  const path = terminationFile(context.volumes.podDirectory(pod.metadata.uid), container.spec.name, attempt);
  await makeDirectory(dirname(path), 0o750);
  await writeFile(path, '', { mode: 0o666 });
  await chmod(path, 0o666);
  return { container_path: container.spec.terminationMessagePath || '/dev/termination-log', host_path: path };
}
