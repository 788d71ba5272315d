export { readBackupSummary, verifyBackup } from './backup-file.ts';
export { planFirstRevision, planRestoredState, restoreLocalCluster } from './restore-local.ts';
export { listSnapshots, planNextMs, planRetention, startSnapshots } from './snapshots.ts';
export { archiveOfDirectory, archiveOverApi, takeBackup } from './take-backup.ts';
