export { defaultAddress } from './addresses.ts';
export {
  type BootstrapToken,
  defaultTokenTtlMs,
  generateToken,
  type ListedToken,
  listedToken,
  parseToken,
  type TokenWishes,
  tokenSecretType,
  tokenText,
} from './bootstrap-token.ts';
export { checkCertificates, renewable, userKubeconfig } from './certificates.ts';
export { createToken, readClusterConfig } from './cluster-objects.ts';
export type { OwnCommand } from './components.ts';
export { caCertHash, discoverCluster, joinCommand } from './discovery.ts';
export { JoinError, type JoinObstacle } from './errors.ts';
export { writeAtomically } from './files.ts';
export { type InitOptions, type InitResult, openAdmin } from './init.ts';
export type { Telling } from './machine-options.ts';
export type { JoinOptions } from './join.ts';
export { type KubeadmConfig, parseLabels, readKubeadmConfig } from './kubeadm-config.ts';
export { initMachine, joinMachine, renewCertificates, resetMachine, upgradeMachine } from './locked.ts';
export { type MachineLayout, machineLayout } from './layout.ts';
export { type NodeCertificateOptions, requestNodeCertificate } from './node-certificate.ts';
export { type MachineRecord, readRecord, requireRecord } from './record.ts';
export type { ResetOptions } from './reset.ts';
export {
  type ClusterSettings,
  defaultApiPort,
  defaultCluster,
  hostOf,
  type NodeSettings,
  type TaintSetting,
  withPort,
} from './settings.ts';
export { compareVersions, planUpgrade, type UpgradeOptions, type UpgradePlan } from './upgrade.ts';
export { requireEtcd } from './etcd/local-etcd.ts';
export { parseCertificateKey, uploadCertificates } from './etcd/shared-certificates.ts';
export { type JoinControlPlaneOptions, joinControlPlane } from './join-control-plane.ts';
