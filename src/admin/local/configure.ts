import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BackupPlaces } from '../backup/take-backup.ts';
import { type ClusterLayout, type NodeLayout } from './layout.ts';
import { kubeletFolder } from './namespaces.ts';
import { ownCniFolders } from './own-folders.ts';
import { cniPluginFolder } from './prerequisites.ts';
import { type ClusterState, type NodeState, nodeAddress } from './state.ts';
import { ingressUser } from '#api';
import { systemClock, makeDirectorySync } from '#base';
import { type ClusterPki, kubeconfigOf, openClusterPki } from '#pki';

const dnsAddress = '10.96.0.10';

export function apiUrl(state: ClusterState): string {
  return `https://${state.apiHost}:${state.apiPort}`;
}

/** Opens the cluster's PKI with a serving certificate for every address at which the API is reached. */
export function openPki(layout: ClusterLayout, state: ClusterState): ClusterPki {
  return openClusterPki({
    dir: layout.pkiDir,
    clock: systemClock,
    clusterDomain: state.clusterDomain,
    apiServerNames: ['kubernetes.default.svc', ...state.nodes.filter((one) => one.controlPlane).map((one) => one.name)],
    apiServerAddresses: [state.apiHost, '10.96.0.1'],
  });
}

/** Writes what `k8ts server` reads, and returns the file's name. */
export function writeServerConfiguration(layout: ClusterLayout, state: ClusterState, version: string): string {
  const configuration = {
    clusterName: state.name,
    pkiDir: layout.pkiDir,
    store: `lmdb:${layout.storeDir}`,
    listen: state.nodes.length === 0 ? ['127.0.0.1'] : ['0.0.0.0'],
    port: state.apiPort,
    advertiseAddress: state.apiHost,
    podCidr: state.podCidr,
    serviceCidr: state.serviceCidr,
    clusterDomain: state.clusterDomain,
    clusterDns: dnsAddress,
    ...(state.link === undefined ? {} : { loadBalancerRanges: [`172.29.${state.link}.128-172.29.${state.link}.254`] }),
    controlPlaneNodes: state.nodes.filter((one) => one.controlPlane).map((one) => one.name),
    simulate: state.simulate,
    adminKubeconfig: layout.adminKubeconfig,
    // All nodes are on this machine, on one wire: silence means more, sooner, than between machines.
    nodeMonitorGraceMs: 20_000,
    defaultTolerationSeconds: 30,
    ...keepingOf(layout, state, version),
    version,
  };
  return writeConfiguration(join(layout.dataDir, 'server.json'), configuration);
}

/** What of a cluster of `up` goes into a backup beside its store. */
export function backupPlaces(layout: ClusterLayout, state: ClusterState, version: string): BackupPlaces {
  return {
    kind: 'local',
    cluster: state.name,
    pkiDir: layout.pkiDir,
    configurationDir: layout.dataDir,
    configurationFiles: ['cluster.json', auditPolicyName],
    version,
  };
}

const auditPolicyName = 'audit-policy.yaml';

/** The cluster's own copy of the audit policy. */
export function auditPolicyFile(layout: ClusterLayout): string {
  return join(layout.dataDir, auditPolicyName);
}

/** Where snapshots by schedule lie. */
export function snapshotDir(layout: ClusterLayout, state: ClusterState | undefined): string {
  return state?.keeping?.snapshots?.dir ?? join(layout.dataDir, 'snapshots');
}

function keepingOf(layout: ClusterLayout, state: ClusterState, version: string) {
  const { historyMs, snapshots, audit, slowRequestMs } = state.keeping ?? {};
  const { policy, logPath = join(layout.logDir, 'audit.log'), ...auditLimits } = audit ?? {};
  return {
    ...(historyMs === undefined ? {} : { historyMs }),
    ...(slowRequestMs === undefined ? {} : { slowRequestMs }),
    ...(audit === undefined
      ? {}
      : {
          audit: { logPath, ...auditLimits, ...(policy === undefined ? {} : { policyFile: auditPolicyFile(layout) }) },
        }),
    ...(snapshots === undefined
      ? {}
      : {
          snapshots: { ...snapshots, dir: snapshotDir(layout, state), places: backupPlaces(layout, state, version) },
        }),
  };
}

export function writeAdminKubeconfig(layout: ClusterLayout, state: ClusterState, pki: ClusterPki): string {
  const admin = pki.issue({ commonName: 'kubernetes-admin', organizations: ['system:masters'], usages: ['client'] });
  const text = kubeconfigOf({
    server: apiUrl(state),
    ca: pki.ca.certificatePem,
    clientCert: admin.certificatePem,
    clientKey: admin.keyPem,
    clusterName: `k8ts-${state.name}`,
    user: `k8ts-${state.name}`,
    context: `k8ts-${state.name}`,
  });
  writeFileSync(layout.adminKubeconfig, text, { mode: 0o600 });
  return text;
}

/**
 * The disk is the user's own, often rather full, and every node sees the same one: images that were loaded stay, and only the last of
 * its room is defended.
 */
const sharedDisk = {
  evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1Gi', 'imagefs.available': '1Gi' },
  imageGcHighPercent: 100,
};

/** Writes the credentials of a node and what `k8ts agent` reads, and returns the file's name. */
export function writeAgentConfiguration(options: {
  layout: ClusterLayout;
  state: ClusterState;
  node: NodeState;
  nodeLayout: NodeLayout;
  pki: ClusterPki;
}): string {
  const { layout, state, node, nodeLayout, pki } = options;
  const folder = join(nodeLayout.dataDir, 'pki');
  makeDirectorySync(folder, 0o700);
  const address = nodeAddress(state, node);
  const user = `system:node:${node.name}`;
  const client = pki.issue({ commonName: user, organizations: ['system:nodes'], usages: ['client'] });
  const serving = pki.issue({
    commonName: user,
    organizations: ['system:nodes'],
    usages: ['server'],
    dnsNames: [node.name],
    ipAddresses: [address, '127.0.0.1'],
  });
  const file = (name: string): string => join(folder, name);
  const proxyUser = 'system:kube-proxy';
  // Nobody renews these two while they are used, as the kubelet does its own: they last as long as the authority.
  const proxy = pki.issue({ commonName: proxyUser, usages: ['client'], days: 3650 });
  const ingress = pki.issue({ commonName: ingressUser, usages: ['client'], days: 3650 });
  const kubeconfig = (name: string, credential: typeof client): string =>
    kubeconfigOf({
      server: apiUrl(state),
      ca: pki.ca.certificatePem,
      clientCert: credential.certificatePem,
      clientKey: credential.keyPem,
      user: name,
    });
  writeFileSync(file('kubelet-client.pem'), client.certificatePem + client.keyPem, { mode: 0o600 });
  const own = { clientCertFile: file('kubelet-client.pem'), clientKeyFile: file('kubelet-client.pem') };
  const kubelet = kubeconfigOf({ server: apiUrl(state), ca: pki.ca.certificatePem, user, ...own });
  writeFileSync(file('kubelet.conf'), kubelet, { mode: 0o600 });
  writeFileSync(file('proxy.conf'), kubeconfig(proxyUser, proxy), { mode: 0o600 });
  writeFileSync(file('ingress.conf'), kubeconfig(ingressUser, ingress), { mode: 0o600 });
  writeFileSync(file('kubelet.crt'), serving.certificatePem, { mode: 0o644 });
  writeFileSync(file('kubelet.key'), serving.keyPem, { mode: 0o600 });
  writeFileSync(file('ca.crt'), pki.ca.certificatePem, { mode: 0o644 });
  const alone = state.nodes.length === 1;
  const foreign = state.cni === 'none';
  return writeConfiguration(join(nodeLayout.dataDir, 'agent.json'), {
    ...sharedDisk,
    nodeName: node.name,
    nodeIp: address,
    kubeconfig: file('kubelet.conf'),
    proxyKubeconfig: file('proxy.conf'),
    ingressKubeconfig: file('ingress.conf'),
    clientCertificate: file('kubelet-client.pem'),
    servingCert: file('kubelet.crt'),
    servingKey: file('kubelet.key'),
    clientCa: file('ca.crt'),
    kubeletDir: kubeletFolder,
    podLogsDir: join(nodeLayout.dataDir, 'pods'),
    cgroupRoot: nodeLayout.cgroup,
    containerd: {
      rootDir: join(nodeLayout.dataDir, 'containerd'),
      stateDir: join(nodeLayout.runDir, 'containerd'),
      socket: join(nodeLayout.runDir, 'containerd.sock'),
      cniBinDir: foreign ? ownCniFolders(nodeLayout).bin : cniPluginFolder(),
      cniConfDir: foreign ? ownCniFolders(nodeLayout).conf : join(nodeLayout.runDir, 'cni', 'net.d'),
      certsDir: join(nodeLayout.dataDir, 'certs.d'),
      logFile: join(layout.logDir, `${node.name}-containerd.log`),
    },
    images: [],
    cniStateDir: join(nodeLayout.runDir, 'cni', 'networks'),
    podCidr: state.podCidr,
    serviceCidr: state.serviceCidr,
    clusterDns: dnsAddress,
    clusterDomain: state.clusterDomain,
    uplink: 'eth0',
    ...(foreign ? { podNetwork: 'none' } : {}),
    ...(state.networkMode === undefined ? {} : { networkMode: state.networkMode }),
    dnsAddresses: [address],
    dnsUpstreams: state.isolated ? [] : hostResolvers(),
    labels: {},
    taints: node.controlPlane && !alone ? [{ key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }] : [],
    readyFile: join(nodeLayout.runDir, 'agent.ready'),
  });
}

/** The resolvers of this machine that a node can reach: those on loopback are not, so systemd's real list is read instead. */
function hostResolvers(): string[] {
  for (const file of ['/run/systemd/resolve/resolv.conf', '/etc/resolv.conf']) {
    try {
      const found = [...readFileSync(file, 'utf8').matchAll(/^\s*nameserver\s+(\S+)/gm)].map(
        (match) => match[1] as string,
      );
      const reachable = found.filter((one) => !one.startsWith('127.') && !one.includes(':'));
      if (reachable.length > 0) return reachable;
    } catch {}
  }
  return [];
}

function writeConfiguration(file: string, configuration: object): string {
  writeFileSync(file, `${JSON.stringify(configuration, null, 2)}\n`, { mode: 0o600 });
  return file;
}
