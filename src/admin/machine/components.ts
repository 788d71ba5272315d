import { addressAt } from './addresses.ts';
import { readEtcd } from './etcd/local-etcd.ts';
import { configFile } from './record.ts';
import type { MachineLayout } from './layout.ts';
import { type ClusterSettings, hostOf, type NodeSettings, type TaintSetting } from './settings.ts';

const isAddress = (text: string): boolean => /^[\d.]+$/.test(text) || text.includes(':');

/** The names and addresses of an API server on this machine, for its certificate. */
export function certificateNames(
  cluster: ClusterSettings,
  node: Pick<NodeSettings, 'nodeName' | 'address'>,
): { readonly names: readonly string[]; readonly addresses: readonly string[] } {
  const endpoint = cluster.controlPlaneEndpoint === undefined ? [] : [hostOf(cluster.controlPlaneEndpoint)];
  const more = [...endpoint, ...cluster.certSans];
  return {
    names: [...new Set([node.nodeName, ...more.filter((one) => !isAddress(one))])],
    addresses: [...new Set([node.address, addressAt(cluster.serviceCidr, 1), ...more.filter(isAddress)])],
  };
}

export interface ServerPlan {
  readonly layout: MachineLayout;
  readonly cluster: ClusterSettings;
  readonly node: Pick<NodeSettings, 'nodeName' | 'address'>;
  readonly port: number;
  readonly store: string;
  readonly version: string;
}

/** What `k8ts server` reads on a machine of a cluster of several. */
export function planServerConfiguration(plan: ServerPlan) {
  const { layout, cluster, node, port, store, version } = plan;
  const { names, addresses } = certificateNames(cluster, node);
  return {
    clusterName: cluster.clusterName,
    pkiDir: layout.pkiDir,
    store,
    listen: ['0.0.0.0'],
    port,
    advertiseAddress: node.address,
    podCidr: cluster.podCidr,
    serviceCidr: cluster.serviceCidr,
    clusterDomain: cluster.dnsDomain,
    ...(cluster.openId === undefined ? {} : { openId: cluster.openId }),
    clusterDns: addressAt(cluster.serviceCidr, 10),
    controlPlaneNodes: [node.nodeName],
    simulate: 0,
    adminKubeconfig: layout.adminConf,
    joinable: true,
    certificateNames: names,
    certificateAddresses: addresses,
    version,
  };
}

export const controlPlaneTaint: TaintSetting = { key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' };

export interface AgentPlan {
  readonly layout: MachineLayout;
  readonly cluster: Pick<ClusterSettings, 'podCidr' | 'serviceCidr' | 'dnsDomain' | 'cni' | 'networkMode'>;
  readonly node: NodeSettings;
  readonly controlPlane: boolean;
  /** The network interface that has the node's address. */
  readonly uplink: string;
  readonly cniBinDir: string;
  readonly dnsUpstreams: readonly string[];
}

/** What `k8ts agent` reads on a machine of a cluster of several. */
export function planAgentConfiguration(plan: AgentPlan) {
  const { layout, cluster, node, controlPlane, uplink, cniBinDir, dnsUpstreams } = plan;
  return {
    nodeName: node.nodeName,
    nodeIp: node.address,
    kubeconfig: layout.kubeletConf,
    proxyKubeconfig: layout.kubeletConf,
    ingressKubeconfig: layout.kubeletConf,
    clientCertificate: layout.clientCertificate,
    ...(node.criSocket === undefined ? {} : { criSocket: node.criSocket }),
    servingCert: layout.servingCert,
    servingKey: layout.servingKey,
    clientCa: `${layout.pkiDir}/ca.crt`,
    kubeletDir: layout.kubeletDir,
    podLogsDir: layout.podLogsDir,
    cgroupRoot: layout.cgroup,
    containerd: {
      rootDir: layout.containerdDir,
      stateDir: `${layout.runDir}/containerd`,
      socket: layout.containerdSocket,
      cniBinDir: cluster.cni === 'none' ? layout.cniBinDir : cniBinDir,
      cniConfDir: layout.cniConfDir,
      certsDir: layout.certsDir,
      logFile: `${layout.logDir}/containerd.log`,
    },
    images: [] as string[],
    cniStateDir: layout.cniStateDir,
    podCidr: cluster.podCidr,
    serviceCidr: cluster.serviceCidr,
    clusterDns: addressAt(cluster.serviceCidr, 10),
    clusterDomain: cluster.dnsDomain,
    uplink,
    ...(cluster.cni === undefined ? {} : { podNetwork: cluster.cni }),
    ...(cluster.networkMode === undefined ? {} : { networkMode: cluster.networkMode }),
    dnsAddresses: [] as string[],
    dnsUpstreams,
    labels: node.labels,
    taints: node.taints ?? (controlPlane ? [controlPlaneTaint] : []),
    ...node.limits,
    readyFile: `${layout.runDir}/agent.ready`,
  };
}

/** The command line of this very program with other arguments. */
export type OwnCommand = (verb: string, ...args: string[]) => { program: string; args: string[] };

export interface ComponentPlan {
  readonly name: 'etcd' | 'server' | 'agent';
  readonly program: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly pidFile: string;
}

/** The programs that a machine of a role runs, in the order in which they start. */
export function planComponents(
  layout: MachineLayout,
  role: 'control-plane' | 'worker',
  ownCommand: OwnCommand,
): ComponentPlan[] {
  const names = role === 'control-plane' ? (['server', 'agent'] as const) : (['agent'] as const);
  const files = (name: string) => ({
    logFile: `${layout.logDir}/${name}.log`,
    pidFile: `${layout.runDir}/${name}.pid`,
  });
  const etcd = readEtcd(layout);
  const first: ComponentPlan[] = etcd === undefined ? [] : [{ name: 'etcd', ...etcd, ...files('etcd') }];
  const rest = names.map((name) => ({
    name,
    ...ownCommand(name, '--config', configFile(layout, name)),
    ...files(name),
  }));
  return [...first, ...rest];
}

/** The unit by which systemd runs a component: what it starts (the node's containers) stays when the unit is stopped. */
export function systemdUnit(component: ComponentPlan): string {
  const quote = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : JSON.stringify(text));
  const what = { etcd: 'store', server: 'control plane', agent: 'node' }[component.name];
  return `[Unit]
Description=Kubernetes ${what} (k8ts ${component.name})
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=${[component.program, ...component.args].map(quote).join(' ')}
${component.name === 'server' ? 'ExecReload=/bin/kill -HUP $MAINPID\n' : ''}Restart=always
RestartSec=1
KillMode=process
Delegate=yes
LimitNOFILE=1048576
TasksMax=infinity
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
`;
}

export function unitName(component: Pick<ComponentPlan, 'name'>): string {
  return `k8ts-${component.name}.service`;
}
