import type { AuditConfiguration } from '../audit.ts';
import type { ElectionSettings } from '../elected.ts';
import type { OpenIdConfiguration } from '#pki';

/** What every client of the API is told. */
export interface ClientFlags {
  readonly kubeconfig: string;
}

export interface ElectionFlags {
  readonly leaderElect: boolean;
  readonly election: ElectionSettings;
}

export interface ControllerManagerFlags extends ClientFlags, ElectionFlags {
  readonly controllers: readonly string[];
  readonly clusterCidr: string;
  readonly rootCaFile?: string;
  readonly serviceAccountPrivateKeyFile?: string;
  readonly clusterSigningCertFile?: string;
  readonly clusterSigningKeyFile?: string;
  readonly nodeMonitorGraceMs?: number;
}

export type SchedulerFlags = ClientFlags & ElectionFlags & { readonly schedulerName?: string };

export interface ApiServerFlags {
  readonly store: string;
  readonly etcdTls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
  /** A PKI in kubeadm's layout; what lacks is made. */
  readonly certDir: string;
  /** Instead of files of `certDir`. */
  readonly files: ApiServerFiles;
  readonly advertiseAddress: string;
  readonly bindAddress: string;
  readonly port: number;
  readonly serviceCidr: string;
  readonly clusterDomain: string;
  readonly issuer?: string;
  readonly audit?: AuditConfiguration;
  readonly slowRequestMs?: number;
  /** Requests worked on at once. */
  readonly seats?: number;
  readonly openId?: OpenIdConfiguration;
}

/** Files of an API server, by upstream's flags. */
export interface ApiServerFiles {
  readonly clientCaFile?: string;
  readonly tlsCertFile?: string;
  readonly tlsPrivateKeyFile?: string;
  readonly kubeletClientCertificate?: string;
  readonly kubeletClientKey?: string;
  readonly proxyClientCertFile?: string;
  readonly proxyClientKeyFile?: string;
  readonly requestheaderClientCaFile?: string;
  readonly serviceAccountKeyFile?: string;
  readonly serviceAccountSigningKeyFile?: string;
}

export interface KubeletFlags extends ClientFlags {
  readonly nodeName: string;
  readonly nodeIp: string;
  readonly criSocket: string;
  readonly rootDir: string;
  readonly podLogsDir: string;
  readonly cgroupRoot: string;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  readonly port: number;
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly clientCaFile: string };
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
}

export interface ProxyFlags extends ClientFlags {
  readonly nodeName: string;
  readonly nodeIp: string;
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  /** The link towards other nodes. */
  readonly uplink: string;
}
