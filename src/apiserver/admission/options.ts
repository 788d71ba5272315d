import type { Clock, Log, Random } from '#base';
import type { ServerObjects } from '../contract.ts';
import type { ClusterAuthorizer } from '../authz/index.ts';
import type { PodSecurityDefaults } from './pod-security/policy.ts';
import type { ServiceResolver } from './webhook/webhook-client.ts';

/** What admission plugins are given. */
export interface AdmissionOptions {
  readonly objects: ServerObjects;
  readonly authorizer: ClusterAuthorizer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Where a webhook's Service is reached; default: its cluster IP. */
  readonly resolveService?: ServiceResolver;
  /** Pod Security levels of namespaces without labels; default: nothing enforced, baseline warned and audited. */
  readonly podSecurity?: PodSecurityDefaults;
  /** How long pods stay on a node that does not answer; default 300, as upstream. */
  readonly defaultTolerationSeconds?: number;
}
