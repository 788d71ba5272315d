import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError, environmentVariable, runCommand } from '#base';

/** A program that nodes need and the Debian package that brings it. */
export interface Prerequisite {
  readonly name: string;
  readonly package: string;
  /** Any of these must be there: a program in PATH, or an absolute path. */
  readonly anyOf: readonly string[];
}

export const prerequisites: readonly Prerequisite[] = [
  { name: 'containerd', package: 'containerd', anyOf: ['containerd'] },
  { name: 'runc', package: 'runc', anyOf: ['runc'] },
  {
    name: 'CNI plugins',
    package: 'containernetworking-plugins',
    anyOf: ['/usr/lib/cni/ptp', '/opt/cni/bin/ptp', '/usr/libexec/cni/ptp'],
  },
  { name: 'nft', package: 'nftables', anyOf: ['nft'] },
  { name: 'ip', package: 'iproute2', anyOf: ['ip'] },
];

const extraPath = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

function inPath(program: string): boolean {
  if (program.startsWith('/')) return existsSync(program);
  const folders = [...(environmentVariable('PATH') ?? '').split(':'), ...extraPath];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export function missingPrerequisites(): Prerequisite[] {
  return prerequisites.filter((one) => !one.anyOf.some(inPath));
}

/** Throws when no control groups are mounted: without them the runtime starts nothing. */
export function requireCgroups(mounts = readFileSync('/proc/self/mounts', 'utf8')): void {
  if (/^\S+ \S+ cgroup2? /m.test(mounts)) return;
  throw new CodedError(
    'NoControlGroups',
    'no control groups are mounted here: containers cannot start. In a network namespace that ip netns exec entered they are hidden: enter it with nsenter --net=/run/netns/NAME instead',
  );
}

/** The folder with the CNI plugins of the distribution. */
export function cniPluginFolder(): string {
  const found = prerequisites[2]?.anyOf.find((path) => existsSync(path)) ?? '/opt/cni/bin/ptp';
  return found.slice(0, found.lastIndexOf('/'));
}

/** Installs what is missing through apt, or says what to install by hand. */
export async function installPrerequisites(options: { install: boolean; say: (line: string) => void }): Promise<void> {
  const missing = missingPrerequisites();
  if (missing.length === 0) return;
  const names = missing.map((one) => one.name).join(', ');
  const packages = missing.map((one) => one.package);
  const byHand = `apt-get install ${packages.join(' ')}`;
  if (!options.install) {
    throw new CodedError(
      'PrerequisiteMissing',
      `this machine lacks ${names}, and --no-install forbids to install: run ${byHand}`,
    );
  }
  if (!inPath('apt-get')) {
    throw new CodedError(
      'PrerequisiteMissing',
      `this machine lacks ${names} and has no apt-get: install them with its package tool (Debian's names: ${packages.join(' ')})`,
    );
  }
  options.say(`installing ${packages.join(' ')} (apt-get)`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const install = () =>
    runCommand('apt-get', ['install', '-yq', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', ...packages], {
      timeoutMs: 600_000,
      env,
    });
  try {
    await install().catch(async () => {
      await runCommand('apt-get', ['update', '-q'], { timeoutMs: 300_000, env });
      return install();
    });
  } catch (error) {
    throw new CodedError(
      'PrerequisiteMissing',
      `could not install ${names}: run ${byHand} by hand and read what it says`,
      { cause: error },
    );
  }
  if (missing.some((one) => one.package === 'containerd')) await quietSystemService();
}

/** Debian starts a containerd of its own when the package comes in; nodes have theirs, so the fresh one is not needed. */
async function quietSystemService(): Promise<void> {
  if (!existsSync('/run/systemd/system')) return;
  await runCommand('systemctl', ['disable', '--now', 'containerd.service'], { timeoutMs: 30_000 }).catch(() => {});
}
