import { readFile } from 'node:fs/promises';
import { runCommand } from '#base';

const patienceMs = 10_000;

export interface MountEntry {
  readonly path: string;
  readonly type: string;
  /** What is mounted, as the file system names it: a device, `server:/path`, `tmpfs`. */
  readonly source: string;
  /** The directory of the file system that is shown at `path`; `/` unless it is a bind mount of a part. */
  readonly root: string;
  /** `major:minor` of the file system. */
  readonly device: string;
}

/** The mounts of this process's namespace, innermost last. */
export async function listMounts(): Promise<MountEntry[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const fields = line.split(' ');
      const dash = fields.indexOf('-');
      return {
        path: unescapeMountPath(fields[4] ?? ''),
        type: fields[dash + 1] ?? '',
        source: unescapeMountPath(fields[dash + 2] ?? ''),
        root: unescapeMountPath(fields[3] ?? ''),
        device: fields[2] ?? '',
      };
    });
}

/** Whether something is mounted exactly there. */
export async function isMounted(path: string): Promise<boolean> {
  return (await listMounts()).some((one) => one.path === path);
}

/** mountinfo writes space, tab, newline and backslash as octal. */
function unescapeMountPath(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

export async function mountTmpfs(path: string, options: { sizeBytes?: number; mode?: string } = {}): Promise<void> {
  const { sizeBytes, mode = '0755' } = options;
  const flags = [`mode=${mode}`, 'nosuid', 'nodev', ...(sizeBytes === undefined ? [] : [`size=${sizeBytes}`])];
  await runCommand('mount', ['-t', 'tmpfs', '-o', flags.join(','), 'tmpfs', path]);
}

/** Binds what an open file descriptor of this process points at, whatever happens to its path meanwhile. */
export async function bindDescriptor(fd: number, target: string): Promise<void> {
  await runCommand('mount', ['--no-canonicalize', '--bind', `/proc/${process.pid}/fd/${fd}`, target]);
}

/**
 * Unmounts everything at or below `path`, innermost first; what is busy, or on a server that does not answer, is detached. Deletes nothing.
 * Paths are taken as the kernel says them: resolving them could wait for a dead server.
 */
export async function unmountBelow(path: string): Promise<void> {
  const below = async (): Promise<string[]> =>
    (await listMounts()).map((one) => one.path).filter((one) => one === path || one.startsWith(`${path}/`));
  for (const one of (await below()).reverse())
    await runCommand('umount', ['--no-canonicalize', '--', one], { okCodes: [0, 32], timeoutMs: patienceMs }).catch(
      () => {},
    );
  for (const one of (await below()).reverse())
    await runCommand('umount', ['--no-canonicalize', '--lazy', '--', one], { okCodes: [0, 32] });
}
