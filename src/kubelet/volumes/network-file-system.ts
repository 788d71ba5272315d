import { CodedError, messageOf, runCommand, makeDirectory } from '#base';
import type { NFSVolumeSource } from '#api';
import { VolumeError } from './errors.ts';
import { isMounted } from './mounts.ts';

const mountMs = 25_000;

export interface NfsMount {
  readonly source: Pick<NFSVolumeSource, 'server' | 'path' | 'readOnly'>;
  readonly target: string;
  readonly options?: readonly string[] | undefined;
}

/** Mounts an NFS export with the machine's own helper. Idempotent. Throws VolumeError that says what the node lacks, or why it was refused. */
export async function mountNfs({ source, target, options = [] }: NfsMount): Promise<void> {
  if (await isMounted(target)) return;
  const { server, path } = source;
  // Arguments, never a shell; a server that begins with a dash would still be read as an option.
  if (server.startsWith('-') || /[\s\0]/.test(server) || !path.startsWith('/') || path.includes('\0'))
    throw new VolumeError('InvalidSource', `not an NFS export: server "${server}", path "${path}"`);
  await makeDirectory(target, 0o750);
  const remote = `${server.includes(':') && !server.startsWith('[') ? `[${server}]` : server}:${path}`;
  const flags = [...(source.readOnly ? ['ro'] : []), ...options];
  const choice = flags.length === 0 ? [] : ['-o', flags.join(',')];
  try {
    await runCommand('mount.nfs', [remote, target, ...choice], { timeoutMs: mountMs });
  } catch (error) {
    if (error instanceof CodedError && error.code === 'CommandMissing')
      throw new VolumeError(
        'HelperMissing',
        'this node has no mount.nfs: install the package nfs-common (Debian, Ubuntu) or nfs-utils (Fedora, RHEL, SUSE), the volume is then mounted by itself',
        { cause: error },
      );
    throw new VolumeError('MountFailed', `mounting ${remote} failed: ${messageOf(error)}`, { cause: error });
  }
  if (!(await isMounted(target)))
    throw new VolumeError('MountFailed', `mount.nfs ended without an error, but ${remote} is not mounted at ${target}`);
}
