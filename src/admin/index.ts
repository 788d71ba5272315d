export type { BackupContent, BackupManifest, BackupSummary, VerifiedBackup } from './backup/backup-file.ts';
export { loadBackup } from './backup/load.ts';
export type { Restored } from './backup/restore-local.ts';
export { requireWholeRestore } from './backup/restore-mark.ts';
export type { Snapshot, SnapshotOptions } from './backup/snapshots.ts';
export type { BackupPlaces } from './backup/take-backup.ts';
export {
  areNodesReady,
  areNodesRegistered,
  hasDefaultServiceAccount,
  isApiReady,
  type OwnCommand,
  reach,
  startAgentProcess,
  startServerProcess,
  until,
} from './local/bring-up.ts';
export {
  type ClusterWishes,
  changeNode,
  describeCluster,
  listClusters,
  makeMachines,
  nodeName,
  requireNode,
  requirePort,
  requireState,
  serverPidFile,
  stopCluster,
} from './local/cluster.ts';
export {
  apiUrl,
  auditPolicyFile,
  backupPlaces,
  openPki,
  snapshotDir,
  writeAdminKubeconfig,
  writeServerConfiguration,
} from './local/configure.ts';
export { defaultKubeconfigFile } from './local/kubeconfig-file.ts';
export { type ClusterLayout, clusterLayout, type NodeLayout, nodeLayout } from './local/layout.ts';
export { withClusterLock } from './local/lock.ts';
export { enterArguments } from './local/namespaces.ts';
export { cutPower, makeNode, startOnNode } from './local/nodes.ts';
export { cniPluginFolder, installPrerequisites, missingPrerequisites, requireCgroups } from './local/prerequisites.ts';
export { isAlive, readProcess, residentBytes, spawnBackground, stopProcess } from './local/processes.ts';
export {
  type ClusterAudit,
  type ClusterKeeping,
  type ClusterState,
  type NodeState,
  nodeAddress,
  readState,
  writeState,
} from './local/state.ts';
export { superviseCluster } from './local/supervise.ts';
export { leaveUnsupervised, supervisorPidFile } from './local/supervisor-process.ts';

export type { MachineLayout } from './machine/layout.ts';

/** Machines of a cluster of several (init, join, reset …), loaded when first needed. */
export const loadMachine = () => import('./machine/index.ts');
/** How a node asks for its certificates: loaded by the agent that needs one, without the rest. */
export const loadNodeCertificate = async () => ({
  ...(await import('./machine/node-certificate.ts')),
  ...(await import('./machine/files.ts')),
});
