import { type Endpoints, resource } from '#api';
import { CodedError, makeDirectorySync } from '#base';
import { type Client, openClient } from '#client';
import { openClusterPki } from '#pki';
import { openHttpsTransport } from '#wire';
import { isApiReady } from '../local/bring-up.ts';
import { linkPlugins } from '../local/own-folders.ts';
import { cniPluginFolder } from '../local/prerequisites.ts';
import { addressAt, linkOf } from './addresses.ts';
import { tokenText } from './bootstrap-token.ts';
import { certificateNames, planAgentConfiguration, planComponents, planServerConfiguration } from './components.ts';
import { etcdServerSettings, openMembers, peerUrl, requireEtcd, writeEtcd } from './etcd/local-etcd.ts';
import { downloadCertificates, externalEtcdSettings, writeCertificates } from './etcd/shared-certificates.ts';
import { writeAtomically, writeJson } from './files.ts';
import { hostResolvers, identitiesOf, writeIdentity, writeKubeletIdentity } from './host.ts';
import { askToJoin, type JoinOptions } from './join.ts';
import { type MachineLayout, machineLayout } from './layout.ts';
import { waitForNode } from './node-ready.ts';
import { configFile, observeFolders, writeRecord } from './record.ts';
import { planSupervision, startComponents } from './run-components.ts';
import { runPreflight } from './run-preflight.ts';
import { waitFor } from './wait.ts';

export interface JoinControlPlaneOptions extends JoinOptions {
  readonly certificateKey: Uint8Array;
  /** Port of this machine's API server. */
  readonly port: number;
  /** Folders with programs. */
  readonly path: string;
}

const reset = 'What was made so far is taken away by k8ts reset --force.';

/**
 * Makes this machine one more control plane of a cluster whose data are in etcd: the shared keys are fetched with the certificate key,
 * a member of etcd is added as a learner and gets its vote when it has caught up, then the server and the node start.
 */
export async function joinControlPlane(options: JoinControlPlaneOptions): Promise<void> {
  const { endpoint, token, node, ownCommand, version, clock, telling, timeoutMs, port } = options;
  const layout = machineLayout(options.root);
  const uplink = linkOf(node.address);
  await telling.phase('preflight', () => checkMachine(layout, options));
  const cluster = await askToJoin(options);
  const { settings, ca } = cluster;
  const files = await telling.phase('certificates of the cluster', async () => {
    const transport = openHttpsTransport({ server: `https://${endpoint}`, ca, token: tokenText(token) });
    try {
      return await downloadCertificates(openClient({ transport, userAgent: 'k8ts' }), options.certificateKey);
    } finally {
      await transport.close();
    }
  });
  const external = externalEtcdSettings(layout, files);
  if (external === undefined && !files.has('etcd/ca.key'))
    throw new CodedError(
      'NoEtcd',
      'the control plane of this cluster has no etcd that others could share: make the cluster with k8ts init --etcd=local',
    );
  if (external === undefined) requireEtcd(options.path);
  writeRecord(layout, {
    ...{ format: 1, role: 'control-plane', nodeName: node.nodeName, nodeIp: node.address, version },
    ...{ before: observeFolders(layout), serviceCidr: settings.serviceCidr },
    clusterDns: addressAt(settings.serviceCidr, 10),
    ...(node.criSocket === undefined ? {} : { criSocket: node.criSocket }),
  });
  writeCertificates(layout, files);
  const { names, addresses } = certificateNames(settings, node);
  const pki = openClusterPki({
    ...{ dir: layout.pkiDir, clock, clusterDomain: settings.dnsDomain },
    ...{ apiServerNames: names, apiServerAddresses: addresses },
    ...(external === undefined ? { etcd: { names: [node.nodeName], addresses: [node.address] } } : {}),
  });
  const server = `https://${node.address}:${port}`;
  for (const identity of Object.values(identitiesOf(layout)))
    writeIdentity(pki, identity, { name: settings.clusterName, server });
  writeKubeletIdentity({ layout, nodeName: node.nodeName, server, ca, credential: cluster.credential });
  const serving = pki.issue({
    ...{ commonName: `system:node:${node.nodeName}`, organizations: ['system:nodes'], usages: ['server'] },
    ...{ dnsNames: [node.nodeName], ipAddresses: [node.address, '127.0.0.1'] },
  });
  writeAtomically(layout.servingKey, serving.keyPem, 0o600);
  writeAtomically(layout.servingCert, serving.certificatePem, 0o644);

  const admin = pki.issue({
    ...{ commonName: 'kubernetes-admin', organizations: ['system:masters'], usages: ['client'], days: 1 },
  });
  const credentials = { ca, clientCert: admin.certificatePem, clientKey: admin.keyPem };
  const member = external === undefined ? await addMember(options, { layout, credentials }) : undefined;
  try {
    writeJson(configFile(layout, 'server'), {
      ...planServerConfiguration({ layout, cluster: settings, node, port, store: '', version }),
      ...(member === undefined ? external : etcdServerSettings(layout, node, member.clientUrls)),
    });
    writeJson(
      configFile(layout, 'agent'),
      planAgentConfiguration({
        ...{ layout, cluster: settings, node, controlPlane: true, uplink },
        ...{ cniBinDir: cniPluginFolder(), dnsUpstreams: hostResolvers() },
      }),
    );
    if (settings.cni === 'none') linkPlugins(cniPluginFolder(), layout.cniBinDir);
    makeDirectorySync(layout.logDir);
    await telling.phase('control plane', async () => {
      const components = planComponents(layout, 'control-plane', ownCommand);
      await startComponents(layout, planSupervision(layout, components, ownCommand));
      await member?.promote();
      const transport = openHttpsTransport({ server, ...credentials });
      try {
        await waitFor({
          ...{ what: 'the API server is ready', clock, timeoutMs, logFile: `${layout.logDir}/server.log` },
          advice: reset,
          ask: () => isApiReady(transport),
        });
      } finally {
        await transport.close();
      }
    });
  } finally {
    member?.close();
  }
  await telling.phase(`node ${node.nodeName} ready`, async () => {
    const withNetwork = settings.cni !== 'none';
    await waitForNode({ layout, nodeName: node.nodeName, withNetwork, clock, timeoutMs, advice: reset });
  });
}

/** Adds this machine's member of etcd, as a learner, and says how it is to be run. */
async function addMember(
  options: JoinControlPlaneOptions,
  means: { layout: MachineLayout; credentials: { ca: string; clientCert: string; clientKey: string } },
) {
  const { endpoint, node, clock, telling, timeoutMs } = options;
  const { layout, credentials } = means;
  return telling.phase('member of etcd added', async () => {
    const transport = openHttpsTransport({ server: `https://${endpoint}`, ...credentials });
    let addresses: string[];
    try {
      addresses = await controlPlanes(openClient({ transport, userAgent: 'k8ts' }), node.address);
    } finally {
      await transport.close();
    }
    const members = await openMembers(layout, { addresses, clock });
    try {
      const mine = (await members.list()).find((one) => one.peerUrls.includes(peerUrl(node.address)));
      // A member that was added by an earlier try and never started.
      if (mine !== undefined) await members.remove(mine.id);
      const { added, members: all } = await members.addLearner(peerUrl(node.address));
      writeEtcd({
        ...{ layout, node, state: 'existing' },
        members: all.map((one) => ({
          name: one.id === added.id ? node.nodeName : one.name,
          peerUrl: one.peerUrls[0] as string,
        })),
      });
      return {
        clientUrls: all.flatMap((one) => one.clientUrls),
        promote: () => members.promote(added.id, timeoutMs),
        close: () => members.close(),
      };
    } catch (error) {
      members.close();
      throw error;
    }
  });
}

async function checkMachine(layout: MachineLayout, options: JoinControlPlaneOptions): Promise<void> {
  const { node, telling, ignorePreflightErrors, port } = options;
  await runPreflight({
    facts: {
      layout,
      ports: [port, 10_250, 2379, 2380],
      absent: [layout.recordFile, layout.adminConf, layout.kubeletConf, `${layout.pkiDir}/ca.crt`],
      nodeName: node.nodeName,
      ...(node.criSocket === undefined ? {} : { criSocket: node.criSocket }),
    },
    wishes: { controlPlane: true },
    ignored: ignorePreflightErrors,
    say: telling.say,
  });
}

/** Addresses of the control planes that live, `own` left out. */
async function controlPlanes(client: Client, own: string): Promise<string[]> {
  const { subsets } = await client.get<Endpoints>(resource('v1', 'endpoints'), 'kubernetes', { namespace: 'default' });
  const found = (subsets ?? []).flatMap((one) => (one.addresses ?? []).map(({ ip }) => ip));
  const others = found.filter((one) => one !== own);
  if (others.length > 0) return others;
  throw new CodedError('NoControlPlane', 'the cluster names no address of a control plane (endpoints of kubernetes)');
}
