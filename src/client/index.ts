export { type ClientOptions, openClient } from './client.ts';
export type {
  Change,
  Client,
  DeleteOptions,
  Informer,
  InformerOptions,
  Informers,
  ListOptions,
  ObjectOptions,
  Patch,
  WatchOptions,
  WriteOptions,
} from './contract.ts';
export {
  type ControllerOptions,
  changesOf,
  type Outcome,
  type RunningController,
  type Source,
  startController,
} from './controller.ts';
export { type EventRecorder, type EventRecorderOptions, openEventRecorder, referenceTo } from './event-recorder.ts';
export { type InformersOptions, openInformers } from './informers.ts';
export {
  emptyKubeconfig,
  type Kubeconfig,
  KubeconfigError,
  type KubeconfigTarget,
  kubeconfigTarget,
  mergeKubeconfig,
  parseKubeconfig,
  removeFromKubeconfig,
} from './kubeconfig.ts';
export { kubeconfigCredentials, readKubeconfig, writeKubeconfig } from './kubeconfig-file.ts';
export { openKubeconfigTransport } from './kubeconfig-transport.ts';
export { type LeaderElection, type LeaderElectionOptions, startLeaderElection } from './leader-election.ts';
export { keyOf, splitKey } from './object-cache.ts';
export { openWorkQueue, type WorkQueue, type WorkQueueOptions } from './work-queue.ts';
