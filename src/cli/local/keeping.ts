import { createHash } from 'node:crypto';
import { copyFileSync, chmodSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import type { ClusterAudit, ClusterKeeping } from '#admin';
import { CodedError, makeDirectorySync } from '#base';
import { parseCount, parseIntervalMs, parseThresholdMs } from '../options.ts';

/** What a user may ask a control plane to keep: history, snapshots, an audit log. */
export interface KeepingOptions {
  readonly history?: number;
  readonly snapshotEvery?: number;
  readonly snapshotKeep?: number;
  readonly snapshotDir?: string;
  readonly auditPolicyFile?: string;
  readonly auditLogPath?: string;
  readonly auditLogMaxsize?: number;
  readonly auditLogMaxbackup?: number;
  readonly auditLogMaxage?: number;
  readonly logRequests?: number;
}

const defaultSnapshotsKept = 24;
const off = 'off';

export function withKeeping(command: Command): Command {
  return command
    .option('--history <duration>', 'how far back k8ts restore --at may go (default: 1h)', parseIntervalMs)
    .option('--snapshot-every <duration>', 'take backups by schedule; 0: no longer', parseIntervalMs)
    .option('--snapshot-keep <n>', 'how many of those stay (default: 24)', parseCount)
    .option('--snapshot-dir <dir>', 'where they lie (default: snapshots in the data folder)')
    .option('--audit-policy-file <file>', 'record requests as this audit.k8s.io/v1 Policy says')
    .option('--audit-log-path <file>', 'where to (default: audit.log among the logs); off: no longer')
    .option('--audit-log-maxsize <mib>', 'put the file aside at this size (default: 100)', parseCount)
    .option('--audit-log-maxbackup <n>', 'keep so many of those (default: 10)', parseCount)
    .option('--audit-log-maxage <days>', 'and for so long (default: no limit)', parseCount)
    .option('--log-requests <all|duration>', 'log requests that take so long, or all (default: 1s)', parseThresholdMs);
}

/**
 * What the control plane is to keep: as asked now, else as before (`had`). An audit policy is checked, and copied to `ownPolicy`.
 * Throws CodedError `AuditPolicy`, `WrongUsage`.
 */
export async function keepingAsked(
  ownPolicy: string,
  had: ClusterKeeping | undefined,
  options: KeepingOptions,
): Promise<{ keeping?: ClusterKeeping }> {
  const before = had ?? {};
  const historyMs = options.history ?? before.historyMs ?? 0;
  const snapshots = snapshotsAsked(before.snapshots, options);
  const audit = await auditAsked(ownPolicy, before.audit, options);
  const slowRequestMs = options.logRequests ?? before.slowRequestMs;
  const keeping = {
    ...(historyMs === 0 ? {} : { historyMs }),
    ...(snapshots === undefined ? {} : { snapshots }),
    ...(audit === undefined ? {} : { audit }),
    ...(slowRequestMs === undefined ? {} : { slowRequestMs }),
  };
  return Object.keys(keeping).length === 0 && had === undefined ? {} : { keeping };
}

function snapshotsAsked(before: ClusterKeeping['snapshots'], options: KeepingOptions): ClusterKeeping['snapshots'] {
  const { snapshotEvery, snapshotKeep, snapshotDir } = options;
  const more = snapshotKeep !== undefined || snapshotDir !== undefined;
  if (more && snapshotEvery === undefined && before === undefined)
    throw new CodedError('WrongUsage', '--snapshot-keep and --snapshot-dir go with --snapshot-every');
  if (snapshotKeep === 0) throw new CodedError('WrongUsage', '--snapshot-keep: at least one snapshot stays');
  const everyMs = snapshotEvery ?? before?.everyMs ?? 0;
  if (everyMs === 0) return undefined;
  const dir = snapshotDir === undefined ? before?.dir : resolve(snapshotDir);
  return { everyMs, keep: snapshotKeep ?? before?.keep ?? defaultSnapshotsKept, ...(dir === undefined ? {} : { dir }) };
}

async function auditAsked(
  ownPolicy: string,
  before: ClusterAudit | undefined,
  options: KeepingOptions,
): Promise<ClusterAudit | undefined> {
  const { auditPolicyFile: file, auditLogPath } = options;
  const limits = {
    maxSizeMib: options.auditLogMaxsize ?? before?.maxSizeMib,
    maxBackups: options.auditLogMaxbackup ?? before?.maxBackups,
    maxAgeDays: options.auditLogMaxage ?? before?.maxAgeDays,
  };
  if (auditLogPath === off) return undefined;
  if (limits.maxSizeMib === 0) throw new CodedError('WrongUsage', '--audit-log-maxsize: at least 1 MiB');
  const asked = file !== undefined || auditLogPath !== undefined || before !== undefined;
  if (!asked) {
    if (Object.values(limits).some((one) => one !== undefined))
      throw new CodedError('WrongUsage', '--audit-log-max… go with --audit-log-path or --audit-policy-file');
    return undefined;
  }
  const policy = file === undefined ? before?.policy : await takePolicy(ownPolicy, resolve(file));
  const logPath = auditLogPath === undefined ? before?.logPath : resolve(auditLogPath);
  const given = Object.entries(limits).filter(([, value]) => value !== undefined);
  return {
    ...(logPath === undefined ? {} : { logPath }),
    ...(policy === undefined ? {} : { policy }),
    ...Object.fromEntries(given),
  };
}

/** Checks a policy and copies it; gives its SHA-256, by which a change is noticed. */
async function takePolicy(own: string, file: string): Promise<string> {
  const { checkAuditPolicy } = await import('#assembly');
  await checkAuditPolicy(file);
  makeDirectorySync(dirname(own), 0o711);
  copyFileSync(file, own);
  chmodSync(own, 0o600);
  return createHash('sha256').update(readFileSync(own)).digest('hex');
}
