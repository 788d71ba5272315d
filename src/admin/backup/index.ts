export { readBackupSummary, verifyBackup } from './backup-file.ts';
export { restoreLocalCluster } from './restore-local.ts';
export { machineAuditPolicyFile, planMachineKeeping } from './machine-keeping.ts';
export {
  archiveSourceOfMachine,
  machineBackupPlaces,
  machineSnapshots,
  newestRevision,
  restoreMachine,
} from './restore-machine.ts';
export { listSnapshots, planNextMs, planRetention, startSnapshots } from './snapshots.ts';
export { archiveOfDirectory, archiveOverApi, takeBackup } from './take-backup.ts';
