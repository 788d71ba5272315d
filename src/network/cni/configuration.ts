/**
 * The CNI configuration of a node's pod network: a point-to-point link a pod (`ptp`), addresses by `host-local` from the node's
 * range, all traffic through the node's routing. A bridge would let two pods of one node answer each other without passing
 * connection tracking, so that replies of a Service would come from the wrong address.
 */
export interface CniOptions {
  readonly podCidr: string;
  /** Where host-local keeps which address is whose; lost at reboot, as the pods are. */
  readonly stateDir: string;
  readonly mtu?: number;
}

export const cniFileName = '10-k8ts.conflist';
/** Of the network, in its configuration and as the folder of its reserved addresses. */
export const networkName = 'k8ts';

export function cniConfiguration(options: CniOptions): string {
  const { podCidr, stateDir, mtu } = options;
  const list = {
    cniVersion: '0.4.0',
    name: networkName,
    plugins: [
      {
        type: 'ptp',
        ipMasq: false,
        ...(mtu === undefined ? {} : { mtu }),
        ipam: {
          type: 'host-local',
          dataDir: stateDir,
          ranges: [[{ subnet: podCidr }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
    ],
  };
  return `${JSON.stringify(list, null, 2)}\n`;
}
