import type { Clock, Log, Random } from '#base';
import type { Pod, Secret, Service } from '#api';
import type { Client } from '#client';
import type { PodCgroups } from '../cgroups/pod-cgroups.ts';
import type { Cri } from '../cri/contract.ts';
import type { ImagePuller } from '../images/puller.ts';
import type { PodVolumes } from '../volumes/pod-volumes.ts';
import type { ReferencedObjects } from '../volumes/referenced-objects.ts';
import type { DnsFacts } from './dns.ts';
import type { PodEvents } from './events.ts';
import type { StatusWriter } from './status-writer.ts';

/** What every pod's worker shares with the others of its node. */
export interface PodContext {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly cri: Cri;
  readonly volumes: PodVolumes;
  readonly objects: ReferencedObjects;
  readonly images: ImagePuller;
  readonly cgroups: PodCgroups;
  readonly events: PodEvents;
  readonly statusWriter: StatusWriter;
  readonly dns: () => DnsFacts;
  /** Services of the cluster, once known. */
  readonly services: () => Promise<readonly Service[]>;
  readonly pullSecrets: (pod: Pod) => Promise<readonly Secret[]>;
  /** The runtime's handler for the pod's RuntimeClass; empty for the default. */
  readonly runtimeHandler: (pod: Pod) => Promise<string>;
  /** Runs heavy work of the runtime with a bound on how much runs at once. */
  readonly limited: <T>(work: () => Promise<T>) => Promise<T>;
  readonly nodeIps: readonly string[];
  readonly allocatable: () => Readonly<Record<string, string>>;
  readonly memoryBytes: number;
  readonly podLogsDir: string;
  readonly containerLogsDir: string;
  readonly seccompDir: string;
  readonly hostsFile: () => Promise<string>;
  /** Awaited before containers start in a sandbox of its own network. */
  readonly beforeContainers?: (pod: Pod, addresses: readonly string[]) => Promise<void>;
  /** `containerd`: the scheme of container ids. */
  readonly runtimeName: string;
}
