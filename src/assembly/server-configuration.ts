import type { BackupPlaces } from '#admin';
import type { AuditConfiguration } from './audit.ts';
import type { OpenIdConfiguration } from '#pki';
import type { ElectionSettings } from './elected.ts';

/** All that a control plane must know; `k8ts server --config FILE` reads it as JSON. */
export interface ServerConfiguration {
  readonly clusterName: string;
  readonly pkiDir: string;
  /** `memory`, `lmdb:DIR`, `etcd:URL[,URL]`. */
  readonly store: string;
  /** Files with what `etcd:https://…` needs. */
  readonly etcdTls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
  /** A member of etcd runs on this machine: names and addresses in its certificates, which are renewed with the others. */
  readonly etcdMember?: { readonly names: readonly string[]; readonly addresses: readonly string[] };
  /** How controllers and scheduler elect who acts, when the store is shared. */
  readonly election?: ElectionSettings;
  /** Addresses to listen on, all with `port`. */
  readonly listen: readonly string[];
  readonly port: number;
  /** The address that nodes and pods are told. */
  readonly advertiseAddress: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly clusterDomain: string;
  /** Of service account tokens; default: the Service of the API by its name in the cluster. */
  readonly issuer?: string;
  /** Sign-in by an OpenID Connect provider. */
  readonly openId?: OpenIdConfiguration;
  readonly clusterDns: string;
  /** Names of nodes that get the role control-plane. */
  readonly controlPlaneNodes?: readonly string[];
  /** Simulated nodes sim-0 … */
  readonly simulate: number;
  /** Where the administrator's kubeconfig is written. */
  readonly adminKubeconfig: string;
  /** Addresses for Services of type LoadBalancer on the nodes' link, `FIRST-LAST` or a network; none: the nodes' own addresses. */
  readonly loadBalancerRanges?: readonly string[];
  /** A node silent for so long counts as lost; default 40,000 ms, as upstream. */
  readonly nodeMonitorGraceMs?: number;
  /** How long pods stay on a lost node; default 300 s, as upstream. */
  readonly defaultTolerationSeconds?: number;
  /** Nodes may join with bootstrap tokens. */
  readonly joinable?: boolean;
  /** Names and addresses in the API server's certificate beside those that every cluster has. */
  readonly certificateNames?: readonly string[];
  readonly certificateAddresses?: readonly string[];
  /**
   * How much history of the store stays readable; default one hour. Of history older than five minutes the newest 20,000 revisions
   * stay at most.
   */
  readonly historyMs?: number;
  /** Requests worked on at once; default 600, which priority levels divide. */
  readonly seats?: number;
  /** Requests that take so long are logged; default 1,000. 0: each request is. */
  readonly slowRequestMs?: number;
  /** Requests are recorded in a file; absent: not. */
  readonly audit?: AuditConfiguration;
  /** Backups by schedule, the newest `keep` of them. */
  readonly snapshots?: {
    readonly dir: string;
    readonly everyMs: number;
    readonly keep: number;
    readonly places: BackupPlaces;
  };
  /** Version of this package, part of the version that the API reports. */
  readonly version: string;
}
