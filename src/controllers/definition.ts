import type { KeyObject } from 'node:crypto';
import type { Clock, Closable, Log, Random } from '#base';
import type { Client, EventRecorder, Informers } from '#client';
import type { Authority } from '#pki';
import type { ResourceDirectory } from './discovery/directory.ts';

/** What an operator may set; every default is upstream's unless said. */
export interface ControllerSettings {
  /** Range from which nodes get their pod ranges; absent: no ranges are given out. */
  readonly clusterCidr?: string;
  /** Prefix length of a node's pod range; default 24. */
  readonly nodeCidrMaskSize?: number;
  /** Addresses for load balancers, `FIRST-LAST` or a network; none: the nodes' own addresses. */
  readonly loadBalancerRanges?: readonly string[];
  /** How long a node may be silent before its state counts as unknown; default 40 s. */
  readonly nodeMonitorGraceMs?: number;
  /** The same for a node that has never been heard; default 60 s. */
  readonly nodeStartupGraceMs?: number;
  /** How often silence is looked for; default 5 s. */
  readonly nodeMonitorPeriodMs?: number;
  /** Nodes a second that may be tainted NoExecute; default 0.1. */
  readonly nodeEvictionRate?: number;
  /** Finished pods kept before the oldest are removed; default 12500. */
  readonly terminatedPodThreshold?: number;
  /** PEM of the CA that signs the API server's certificate; absent: not published to namespaces. */
  readonly rootCa?: string;
  /** Signs the tokens of Secrets of type kubernetes.io/service-account-token; absent: they stay empty. */
  readonly serviceAccountKey?: () => KeyObject;
  /** Signs approved certificate requests of kubelets and API clients; absent: nothing is signed. */
  readonly signer?: Authority;
  /** Longest life of a certificate signed here; default one year. */
  readonly certificateDurationMs?: number;
}

/** What every controller is given. */
export interface ControllerContext {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly settings: ControllerSettings;
  /** Every resource the server serves now, custom ones too. */
  readonly directory: ResourceDirectory;
  /** The event recorder of a component, e.g. `deployment-controller`. */
  events(component: string): EventRecorder;
}

/** A part of a controller at work. `idle`: it has nothing to do until something changes or a time comes. */
export interface RunningPart extends Closable {
  readonly idle: boolean;
}

export interface ControllerDefinition {
  /** Upstream's name, as in `--controllers`. */
  readonly name: string;
  readonly start: (context: ControllerContext) => RunningPart;
}

export function defineController(definition: ControllerDefinition): ControllerDefinition {
  return Object.freeze(definition);
}

/** Several parts that start and end together. */
export function together(parts: readonly RunningPart[]): RunningPart {
  return {
    get idle() {
      return parts.every((part) => part.idle);
    },
    async close() {
      await Promise.all(parts.map((part) => part.close()));
    },
  };
}
