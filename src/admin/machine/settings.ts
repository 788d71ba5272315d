import type { OpenIdConfiguration } from '#pki';

/** What a cluster is, the same on all its machines: kubeadm's ClusterConfiguration. */
export interface ClusterSettings {
  readonly clusterName: string;
  /** `host` or `host:port` under which all control planes are reached, when there is to be more than one. */
  readonly controlPlaneEndpoint?: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly dnsDomain: string;
  /** `none`: pods get their network from a manifest that the user applies. */
  readonly cni?: 'none';
  /** How pods of other nodes are reached; absent: routes on one link, else VXLAN. */
  readonly networkMode?: 'routes' | 'vxlan';
  /** Sign-in by an OpenID Connect provider: `oidc-…` of the API server's extraArgs. */
  readonly openId?: OpenIdConfiguration;
  /** More names and addresses in the API server's certificate. */
  readonly certSans: readonly string[];
}

export interface TaintSetting {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}

/** What of a KubeletConfiguration is followed; absent: the defaults of Kubernetes. */
export interface NodeLimits {
  readonly maxPods?: number;
  readonly evictionHard?: Readonly<Record<string, string>>;
  readonly imageGcHighPercent?: number;
  readonly imageGcLowPercent?: number;
}

/** What one machine is. */
export interface NodeSettings {
  readonly nodeName: string;
  /** The address by which the others reach it. */
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Absent: the usual ones of its role. */
  readonly taints?: readonly TaintSetting[];
  /** Absent: a containerd of its own. */
  readonly criSocket?: string;
  readonly limits?: NodeLimits;
}

export const defaultCluster: ClusterSettings = {
  clusterName: 'kubernetes',
  podCidr: '10.244.0.0/16',
  serviceCidr: '10.96.0.0/12',
  dnsDomain: 'cluster.local',
  certSans: [],
};

export const defaultApiPort = 6443;

/** `10.0.0.1`, 6443 → `10.0.0.1:6443`; a port that is there already stays. */
export function withPort(host: string, port: number): string {
  return /:\d+$/.test(host) && !host.startsWith('::') ? host : `${host}:${port}`;
}

/** The host of `host:port`. */
export function hostOf(endpoint: string): string {
  return endpoint.replace(/:\d+$/, '');
}
