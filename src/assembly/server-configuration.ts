/** All that a control plane must know; `k8ts server --config FILE` reads it as JSON. */
export interface ServerConfiguration {
  readonly clusterName: string;
  readonly pkiDir: string;
  /** `memory`, `lmdb:DIR`. */
  readonly store: string;
  /** Addresses to listen on, all with `port`. */
  readonly listen: readonly string[];
  readonly port: number;
  /** The address that nodes and pods are told. */
  readonly advertiseAddress: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly clusterDomain: string;
  readonly clusterDns: string;
  /** Simulated nodes sim-0 … */
  readonly simulate: number;
  /** Where the administrator's kubeconfig is written. */
  readonly adminKubeconfig: string;
  /** Version of this package, part of the version that the API reports. */
  readonly version: string;
}
