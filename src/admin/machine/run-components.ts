import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, readProcess, runCommand } from '#base';
import { enterCgroup, makeCgroup } from '../local/cgroups.ts';
import { signal, spawnBackground, stopProcess } from '../local/processes.ts';
import { type ComponentPlan, type OwnCommand, systemdUnit, unitName } from './components.ts';
import { writeJson } from './files.ts';
import type { MachineLayout } from './layout.ts';
import { configFile } from './record.ts';

const unitFolder = '/etc/systemd/system';

/** Whether systemd runs this machine's components: where it is process 1, and for the machine itself, not one below `--root`. */
export function usesSystemd(layout: MachineLayout): boolean {
  return layout.root === '/' && existsSync('/run/systemd/system');
}

export function supervisorPidFile(layout: MachineLayout): string {
  return join(layout.runDir, 'supervisor.pid');
}

/** How a machine's components are kept running: what the supervisor reads, or systemd. Kept aside, it can be started again. */
export interface Supervision {
  readonly programs: readonly ComponentPlan[];
  /** Where the supervisor's own process is noted. */
  readonly pidFile: string;
  /** Its command line. */
  readonly supervisor: { readonly program: string; readonly args: readonly string[] };
  /** Texts of systemd's units by name. */
  readonly units: Readonly<Record<string, string>>;
}

export function planSupervision(
  layout: MachineLayout,
  programs: readonly ComponentPlan[],
  ownCommand: OwnCommand,
): Supervision {
  return {
    programs,
    pidFile: supervisorPidFile(layout),
    supervisor: ownCommand('supervise', '--config', configFile(layout, 'supervisor')),
    units: Object.fromEntries(programs.map((one) => [unitName(one), systemdUnit(one)])),
  };
}

/** As it was started last; undefined before the first time. */
export function readSupervision(layout: MachineLayout): Supervision | undefined {
  const file = configFile(layout, 'supervisor');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Supervision) : undefined;
}

/** Starts components and keeps them running from now on, also when this program has ended. */
export async function startComponents(layout: MachineLayout, supervision: Supervision): Promise<void> {
  makeCgroup(layout.cgroup);
  writeJson(configFile(layout, 'supervisor'), supervision);
  if (usesSystemd(layout)) {
    const units = Object.entries(supervision.units);
    for (const [name, text] of units) writeFileSync(join(unitFolder, name), text, { mode: 0o644 });
    await runCommand('systemctl', ['daemon-reload']);
    await runCommand('systemctl', ['enable', '--now', ...units.map(([name]) => name)]);
    return;
  }
  const pidFile = supervisorPidFile(layout);
  if (readProcess(pidFile) !== undefined) return;
  const logFile = join(layout.logDir, 'supervisor.log');
  const record = spawnBackground({ ...supervision.supervisor, pidFile, logFile });
  enterCgroup(layout.cgroup, record.pid);
}

/** Stops the components and whoever restarts them; containers go on. What does not run is no error. */
export async function stopComponents(options: {
  readonly layout: MachineLayout;
  readonly components: readonly Pick<ComponentPlan, 'name' | 'pidFile'>[];
  readonly clock: Clock;
}): Promise<void> {
  const { layout, components, clock } = options;
  if (usesSystemd(layout)) {
    for (const one of components.toReversed()) {
      if (!existsSync(join(unitFolder, unitName(one)))) continue;
      await runCommand('systemctl', ['disable', '--now', unitName(one)], { timeoutMs: 60_000 });
    }
    return;
  }
  await stopProcess(clock, supervisorPidFile(layout), 45_000);
  for (const one of components.toReversed()) await stopProcess(clock, one.pidFile, 20_000);
}

export async function removeUnits(layout: MachineLayout, components: readonly ComponentPlan[]): Promise<void> {
  if (!usesSystemd(layout)) return;
  for (const one of components) rmSync(join(unitFolder, unitName(one)), { force: true });
  await runCommand('systemctl', ['daemon-reload']);
}

/** Tells a running control plane to load the certificates that are on disk; false when none runs. */
export async function reloadServer(layout: MachineLayout): Promise<boolean> {
  if (usesSystemd(layout)) {
    const { code } = await runCommand('systemctl', ['reload', 'k8ts-server.service'], { okCodes: [0, 1, 3, 4, 5] });
    return code === 0;
  }
  const record = readProcess(join(layout.runDir, 'server.pid'));
  if (record !== undefined) signal(record.pid, 'SIGHUP');
  return record !== undefined;
}

/** Has the node's agent start anew, with what is on disk; containers go on. */
export async function restartAgent(layout: MachineLayout): Promise<void> {
  if (usesSystemd(layout)) {
    await runCommand('systemctl', ['restart', 'k8ts-agent.service'], { timeoutMs: 60_000 });
    return;
  }
  const record = readProcess(join(layout.runDir, 'agent.pid'));
  if (record !== undefined) signal(record.pid, 'SIGTERM');
}
