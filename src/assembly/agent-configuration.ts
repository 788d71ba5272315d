/** All that one node must know; `k8ts agent --config FILE` reads it as JSON. */
export interface AgentConfiguration {
  readonly nodeName: string;
  readonly nodeIp: string;
  readonly kubeconfig: string;
  /** Identity of the part that keeps Services, routes and names; the same file as `kubeconfig`: the node's own. */
  readonly proxyKubeconfig: string;
  /** Identity of the process that serves Ingresses; absent: none are served on this node. */
  readonly ingressKubeconfig?: string;
  /** Certificate and key that `kubeconfig` names, in one file; renewed there. */
  readonly clientCertificate?: string;
  /** Socket of a container runtime that someone else runs (CRI v1); absent: a containerd of this node's own. */
  readonly criSocket?: string;
  /** Certificate, key and client authority of the kubelet's own HTTPS port. */
  readonly servingCert: string;
  readonly servingKey: string;
  readonly clientCa: string;
  readonly kubeletDir: string;
  readonly podLogsDir: string;
  readonly cgroupRoot: string;
  readonly containerd: {
    readonly rootDir: string;
    readonly stateDir: string;
    readonly socket: string;
    readonly cniBinDir: string;
    readonly cniConfDir: string;
    readonly certsDir: string;
    readonly logFile: string;
  };
  /** Image archives to import at start; a file already imported (same size and time) is not imported again. */
  readonly images: readonly string[];
  readonly cniStateDir: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly clusterDns: string;
  readonly clusterDomain: string;
  /** The link towards other nodes. */
  readonly uplink: string;
  /** `none`: someone else's network, applied as a manifest, makes the node Ready. Default: this one's own. */
  readonly podNetwork?: 'none';
  /** How pods of other nodes are reached; default `auto`. */
  readonly networkMode?: 'auto' | 'routes' | 'vxlan';
  /** DNS answers here too, beside `clusterDns`. */
  readonly dnsAddresses: readonly string[];
  readonly dnsUpstreams: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  /** Hard eviction thresholds, as upstream's `evictionHard`; absent: upstream's. */
  readonly evictionHard?: Readonly<Record<string, string>>;
  /** Per cent of the disk of images from which, and down to which, unused ones are removed; 100: never. Default 85 and 80. */
  readonly imageGcHighPercent?: number;
  readonly imageGcLowPercent?: number;
  readonly maxPods?: number;
  readonly readyFile: string;
}
