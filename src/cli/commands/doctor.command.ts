import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { missingPrerequisites } from '#admin';
import { messageOf, runCommand } from '#base';
import { findRangeClashes, type HostRoute } from '#machinery';
import { defineCommand } from '../command.ts';
import { isRoot } from '../local/programs.ts';
import { parseOutput } from '../options.ts';
import { printJson } from '../print.ts';

interface Finding {
  readonly check: string;
  readonly ok: boolean;
  /** A packet that did not arrive, rather than something that is missing. */
  readonly lost?: boolean;
  readonly detail: string;
}

/** Tries each thing that nodes need, in a namespace of its own, and takes it away again. */
async function examine(): Promise<Finding[]> {
  const findings: Finding[] = [];
  const find = (check: string, ok: boolean, detail: string): void => void findings.push({ check, ok, detail });
  find(
    'root',
    isRoot(),
    isRoot()
      ? 'nodes with containers can be made'
      : 'only simulated nodes (k8ts up --nodes 0 --simulate 3); real ones need root',
  );
  const missing = missingPrerequisites();
  find(
    'packages',
    missing.length === 0,
    missing.length === 0 ? 'all there' : `missing: apt-get install ${missing.map((one) => one.package).join(' ')}`,
  );
  const memory = totalmem() / 2 ** 30;
  find('memory', memory >= 1, `${memory.toFixed(1)} GiB`);
  const disk = statfsSync('/var/lib');
  const free = (disk.bavail * disk.bsize) / 2 ** 30;
  find('disk', free >= 2, `${free.toFixed(1)} GiB free below /var/lib`);
  const unified = existsSync('/sys/fs/cgroup/cgroup.controllers');
  find('cgroups', unified || existsSync('/sys/fs/cgroup/memory'), unified ? 'version 2' : 'version 1');
  find(
    'overlayfs',
    /\boverlay\b/.test(readFileSync('/proc/filesystems', 'utf8')),
    'the file system of containers (modprobe overlay when missing)',
  );
  if (isRoot() && missing.length === 0) {
    const inside = (program: string, ...args: string[]) =>
      runCommand('unshare', ['--net', '--mount', program, ...args]);
    const attempt = async (check: string, detail: string, work: () => Promise<unknown>): Promise<void> => {
      try {
        await work();
        find(check, true, detail);
      } catch (error) {
        find(check, false, messageOf(error));
      }
    };
    await attempt('bridge', 'bridges can be made', () => inside('ip', 'link', 'add', 'k8tsprobe', 'type', 'bridge'));
    await attempt('veth', 'links between namespaces can be made', () =>
      inside('ip', 'link', 'add', 'k8tsprobe', 'type', 'veth', 'peer', 'name', 'k8tsother'),
    );
    const rules =
      'add table ip k8tsprobe; add map ip k8tsprobe m { typeof ip daddr . numgen random mod 2 : ip daddr . th dport; }; add chain ip k8tsprobe c { type nat hook prerouting priority 0; }';
    await attempt('nftables', 'address translation and maps work', () => inside('nft', rules));
    await attempt('VXLAN', 'nodes behind routers can be reached', () =>
      inside('ip', 'link', 'add', 'k8tsprobe', 'type', 'vxlan', 'id', '1', 'dstport', '4789'),
    );
    const { stdout } = await runCommand('ip', ['-j', '-4', 'route', 'show', 'table', 'main']);
    const routes = JSON.parse(stdout === '' ? '[]' : stdout) as HostRoute[];
    // A machine that is a node has routes to pods, its own among them.
    const isNode = routes.some((one) => one.protocol === '118');
    const clashes = findRangeClashes({
      ranges: [
        { name: 'pods', cidr: '10.244.0.0/16' },
        { name: 'Services', cidr: '10.96.0.0/12' },
      ],
      nodeAddresses: [],
      routes: isNode ? [] : routes,
    });
    find('ranges', clashes.length === 0, clashes[0] ?? 'those of pods and Services are free here');
    const { examinePath } = await import('#assembly');
    for (const one of await examinePath()) findings.push({ ...one, lost: !one.ok });
  }
  return findings;
}

export const doctorCommand = defineCommand('doctor', (command) => {
  command.option('-o, --output <format>', 'json', parseOutput).action(async (options: { output?: 'json' }) => {
    const findings = await examine();
    if (options.output === 'json') printJson(findings);
    else
      for (const one of findings)
        process.stdout.write(
          `${one.ok ? 'ok     ' : one.lost ? 'LOST   ' : 'MISSING'}  ${one.check.padEnd(10)}  ${one.detail}\n`,
        );
    if (findings.some((one) => !one.ok)) process.exitCode = 1;
  });
});
