import { CodedError, makeDirectorySync } from '#base';
import { openClient, openKubeconfigTransport } from '#client';
import { openClusterPki } from '#pki';
import { openHttpsTransport } from '#wire';
import { areNodesReady, areNodesRegistered, isApiReady } from '../local/bring-up.ts';
import { linkPlugins } from '../local/own-folders.ts';
import { cniPluginFolder } from '../local/prerequisites.ts';
import { addressAt, linkOf, parseRange } from './addresses.ts';
import type { TokenWishes } from './bootstrap-token.ts';
import { configMaps, createToken, ensure, planClusterConfig, planClusterInfo } from './cluster-objects.ts';
import { certificateNames, planAgentConfiguration, planComponents, planServerConfiguration } from './components.ts';
import { joinCommand } from './discovery.ts';
import { etcdClientPort, etcdPeerPort, etcdServerSettings, peerUrl, writeEtcd } from './etcd/local-etcd.ts';
import { writeAtomically, writeJson } from './files.ts';
import { hostResolvers, identitiesOf, writeIdentity, writeKubeletIdentity } from './host.ts';
import type { MachineOptions, Telling } from './machine-options.ts';
import { type MachineLayout, machineLayout } from './layout.ts';
import { configFile, observeFolders, readRecord, requireRecord, writeRecord } from './record.ts';
import { planSupervision, startComponents } from './run-components.ts';
import { runPreflight } from './run-preflight.ts';
import { type ClusterSettings, type NodeSettings, withPort } from './settings.ts';
import { waitFor } from './wait.ts';

export interface InitOptions extends MachineOptions {
  readonly cluster: ClusterSettings;
  readonly node: NodeSettings;
  readonly port: number;
  /** `local`: a member of etcd runs beside the server, and other control planes can join. Default: LMDB, or `more` says. */
  readonly etcd?: 'local';
  readonly tokens: readonly TokenWishes[];
  /**
   * Brings what the control plane begins with to its place (data of an earlier one, an audit policy), after the machine was checked and
   * before anything is made. Gives settings of the server beside the planned ones.
   */
  readonly bringData?: (layout: MachineLayout) => Promise<object>;
}

export interface InitResult {
  readonly adminConf: string;
  /** Absent when no token was made. */
  readonly joinCommand?: string;
}

const reset = 'What was made so far is taken away by k8ts reset --force.';

/** Makes this machine the first of a cluster: checks it, writes certificates and settings, starts the components, makes a token. */
export async function initMachine(options: InitOptions): Promise<InitResult> {
  const { cluster, node, port, ownCommand, version, clock, telling, timeoutMs } = options;
  const layout = machineLayout(options.root);
  parseRange(cluster.podCidr, '--pod-network-cidr');
  parseRange(cluster.serviceCidr, '--service-cidr');
  const uplink = linkOf(node.address);
  await telling.phase('preflight', () => checkMachine(layout, options));
  const endpoint = withPort(cluster.controlPlaneEndpoint ?? node.address, port);
  const server = `https://${endpoint}`;
  const clusterDns = addressAt(cluster.serviceCidr, 10);
  const before = readRecord(layout)?.before ?? observeFolders(layout);
  writeRecord(layout, {
    ...{ format: 1, role: 'control-plane', nodeName: node.nodeName, nodeIp: node.address, version, before },
    ...{ serviceCidr: cluster.serviceCidr, clusterDns },
    ...(node.criSocket === undefined ? {} : { criSocket: node.criSocket }),
  });

  const more = (await options.bringData?.(layout)) ?? {};
  const pki = await telling.phase('certificates and kubeconfigs', async () => {
    const { names, addresses } = certificateNames(cluster, node);
    const opened = openClusterPki({
      ...{ dir: layout.pkiDir, clock, clusterDomain: cluster.dnsDomain },
      ...{ apiServerNames: names, apiServerAddresses: addresses },
      ...(options.etcd === undefined ? {} : { etcd: { names: [node.nodeName], addresses: [node.address] } }),
    });
    for (const identity of Object.values(identitiesOf(layout)))
      writeIdentity(opened, identity, { name: cluster.clusterName, server });
    const user = `system:node:${node.nodeName}`;
    const organizations = ['system:nodes'];
    const credential = opened.issue({ commonName: user, organizations, usages: ['client'] });
    writeKubeletIdentity({ layout, nodeName: node.nodeName, server, ca: opened.ca.certificatePem, credential });
    const serving = opened.issue({
      ...{ commonName: user, organizations, usages: ['server'] },
      ...{ dnsNames: [node.nodeName], ipAddresses: [node.address, '127.0.0.1'] },
    });
    writeAtomically(layout.servingKey, serving.keyPem, 0o600);
    writeAtomically(layout.servingCert, serving.certificatePem, 0o644);
    return opened;
  });

  const { client: direct, close } = adminOf(node.address, port, pki);
  try {
    await telling.phase('control plane', async () => {
      const store = `lmdb:${layout.storeDir}`;
      const planned = planServerConfiguration({ layout, cluster, node, port, store, version });
      const etcd = options.etcd === undefined ? {} : planLocalEtcd(layout, node);
      writeJson(configFile(layout, 'server'), { ...planned, ...etcd, ...more });
      writeJson(
        configFile(layout, 'agent'),
        planAgentConfiguration({
          ...{ layout, cluster, node, controlPlane: true, uplink },
          ...{ cniBinDir: cniPluginFolder(), dnsUpstreams: hostResolvers() },
        }),
      );
      makeDirectorySync(layout.logDir);
      if (cluster.cni === 'none') linkPlugins(cniPluginFolder(), layout.cniBinDir);
      await startComponents(
        layout,
        planSupervision(layout, planComponents(layout, 'control-plane', ownCommand), ownCommand),
      );
      await waitFor({
        ...{ what: 'the API server is ready', clock, timeoutMs, logFile: `${layout.logDir}/server.log`, advice: reset },
        ask: () => isApiReady(direct.transport),
      });
    });
    const { client } = direct;
    await telling.phase('cluster settings and token', async () => {
      const { gitVersion } = (await client.raw('GET', '/version')) as { gitVersion: string };
      const versions = { kubernetes: gitVersion.split('+')[0] as string, k8ts: version };
      await ensure(client, configMaps, planClusterConfig(cluster, versions));
      await ensure(client, configMaps, planClusterInfo({ server, ca: pki.ca.certificatePem }));
      for (const wishes of options.tokens) await createToken(client, wishes, clock.nowMs());
    });
    const [state, ask] = cluster.cni === 'none' ? ['registered', areNodesRegistered] : ['ready', areNodesReady];
    await telling.phase(`node ${node.nodeName} ${state}`, () =>
      waitFor({
        what: `node ${node.nodeName} is ${state}`,
        ...{ clock, timeoutMs, logFile: `${layout.logDir}/agent.log`, advice: reset },
        ask: () => ask(client, [node.nodeName]),
      }),
    );
  } finally {
    await close();
  }
  const [first] = options.tokens;
  const ca = pki.ca.certificatePem;
  return {
    adminConf: layout.adminConf,
    ...(first === undefined ? {} : { joinCommand: joinCommand({ endpoint, token: first.token, ca }) }),
  };
}

/** The first member, and what the server is told of it. */
function planLocalEtcd(layout: MachineLayout, node: NodeSettings): object {
  writeEtcd({
    ...{ layout, node, state: 'new' },
    members: [{ name: node.nodeName, peerUrl: peerUrl(node.address) }],
  });
  return etcdServerSettings(layout, node);
}

function adminOf(address: string, port: number, pki: ReturnType<typeof openClusterPki>) {
  const admin = pki.issue({
    commonName: 'kubernetes-admin',
    organizations: ['system:masters'],
    usages: ['client'],
    days: 1,
  });
  const transport = openHttpsTransport({
    server: `https://${address}:${port}`,
    ca: pki.ca.certificatePem,
    clientCert: admin.certificatePem,
    clientKey: admin.keyPem,
  });
  return {
    client: { transport, client: openClient({ transport, userAgent: 'k8ts' }) },
    close: () => transport.close(),
  };
}

async function checkMachine(layout: MachineLayout, options: InitOptions): Promise<void> {
  const { cluster, node, port, telling, ignorePreflightErrors } = options;
  await runPreflight({
    facts: {
      layout,
      ports: [port, 10_250, ...(options.etcd === undefined ? [] : [etcdClientPort, etcdPeerPort])],
      absent: [layout.recordFile, layout.adminConf, layout.kubeletConf, layout.storeDir],
      nodeName: node.nodeName,
      ...(node.criSocket === undefined ? {} : { criSocket: node.criSocket }),
    },
    wishes: { controlPlane: true, podCidr: cluster.podCidr, serviceCidr: cluster.serviceCidr },
    ignored: ignorePreflightErrors,
    say: telling.say,
  });
}

/** A client with the administrator's kubeconfig of this machine's control plane, or with the one given. */
export async function openAdmin(options: { root: string; kubeconfig?: string }) {
  const layout = machineLayout(options.root);
  if (options.kubeconfig === undefined && requireRecord(layout).role !== 'control-plane') {
    throw new CodedError(
      'NoControlPlane',
      `this machine is no control plane: run this on one, or give an administrator's kubeconfig with --kubeconfig`,
    );
  }
  const file = options.kubeconfig ?? layout.adminConf;
  const transport = await openKubeconfigTransport({ file });
  return { file, transport, client: openClient({ transport, userAgent: 'k8ts' }), close: () => transport.close() };
}
