import { join } from 'node:path';
import type { ClusterKeeping } from '../local/state.ts';
import { type MachineLayout, machineLayout } from '../machine/layout.ts';
import type { BackupPlaces } from './take-backup.ts';

const auditPolicyName = 'audit-policy.yaml';

/** The files of a control plane's machine that are backed up, below its folder of settings. */
export const machineFiles = {
  server: 'k8ts/server.json',
  agent: 'k8ts/agent.json',
  machine: 'k8ts/machine.json',
  admin: 'admin.conf',
  auditPolicy: auditPolicyName,
} as const;

/** The machine's own copy of the audit policy. */
export function machineAuditPolicyFile(root: string): string {
  return join(machineLayout(root).etcDir, auditPolicyName);
}

/** Where snapshots by schedule lie unless another place is named. */
export function machineSnapshotDir(root: string): string {
  return join(machineLayout(root).dataDir, 'snapshots');
}

export function planMachineBackup(layout: MachineLayout, cluster: string, version: string): BackupPlaces {
  return {
    kind: 'machine',
    cluster,
    pkiDir: layout.pkiDir,
    configurationDir: layout.etcDir,
    configurationFiles: Object.values(machineFiles),
    version,
  };
}

/** What a server on this machine is told of history, snapshots and the audit log. */
export function planMachineKeeping(
  layout: MachineLayout,
  keeping: ClusterKeeping,
  of: { readonly cluster: string; readonly version: string },
): object {
  const { historyMs, snapshots, audit, slowRequestMs } = keeping;
  const { policy, logPath = join(layout.logDir, 'audit.log'), ...limits } = audit ?? {};
  const policyFile = machineAuditPolicyFile(layout.root);
  const dir = snapshots?.dir ?? machineSnapshotDir(layout.root);
  const places = planMachineBackup(layout, of.cluster, of.version);
  return {
    ...(historyMs === undefined ? {} : { historyMs }),
    ...(slowRequestMs === undefined ? {} : { slowRequestMs }),
    ...(audit === undefined ? {} : { audit: { logPath, ...limits, ...(policy === undefined ? {} : { policyFile }) } }),
    ...(snapshots === undefined ? {} : { snapshots: { ...snapshots, dir, places } }),
  };
}

/** The same of a backup's server, its paths moved from its root to this machine's. */
export function planRestoredKeeping(layout: MachineLayout, server: object): object {
  const { pkiDir, historyMs, snapshots, audit, slowRequestMs } = server as {
    pkiDir?: string;
    historyMs?: number;
    slowRequestMs?: number;
    snapshots?: object;
    audit?: object;
  };
  const oldRoot = pkiDir?.endsWith(pkiBelowRoot) === true ? pkiDir.slice(0, -pkiBelowRoot.length) : '';
  const moved = (value: unknown): unknown => {
    if (typeof value !== 'string' || !value.startsWith(`${oldRoot}/`)) return value;
    return join(layout.root, value.slice(oldRoot.length));
  };
  const movedFields = (fields: object): object =>
    Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [
        name,
        typeof value === 'object' && value !== null && !Array.isArray(value) ? movedFields(value) : moved(value),
      ]),
    );
  return {
    ...(historyMs === undefined ? {} : { historyMs }),
    ...(slowRequestMs === undefined ? {} : { slowRequestMs }),
    ...(snapshots === undefined ? {} : { snapshots: movedFields(snapshots) }),
    ...(audit === undefined ? {} : { audit: movedFields(audit) }),
  };
}

const pkiBelowRoot = '/etc/kubernetes/pki';
