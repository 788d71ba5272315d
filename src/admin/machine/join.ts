import { type Node, resource } from '#api';
import { CodedError, messageOf, makeDirectorySync } from '#base';
import { type Client, openClient } from '#client';
import { isForbidden, isNotFound, isUnauthorized } from '#machinery';
import type { Credential } from '#pki';
import { openHttpsTransport } from '#wire';
import { linkPlugins } from '../local/own-folders.ts';
import { cniPluginFolder } from '../local/prerequisites.ts';
import { addressAt, linkOf } from './addresses.ts';
import { type BootstrapToken, tokenText } from './bootstrap-token.ts';
import { readClusterConfig } from './cluster-objects.ts';
import { planAgentConfiguration, planComponents } from './components.ts';
import { discoverCluster } from './discovery.ts';
import { JoinError } from './errors.ts';
import { writeAtomically, writeJson } from './files.ts';
import { hostResolvers, writeKubeletIdentity } from './host.ts';
import type { MachineOptions } from './machine-options.ts';
import { type MachineLayout, machineLayout } from './layout.ts';
import { requestNodeCertificate } from './node-certificate.ts';
import { rangeFindings } from './preflight/checks.ts';
import { routesOf } from './addresses.ts';
import { configFile, observeFolders, writeRecord } from './record.ts';
import { planSupervision, startComponents } from './run-components.ts';
import { reportFindings, runPreflight } from './run-preflight.ts';
import { isReady, waitForNode } from './node-ready.ts';
import { type ClusterSettings, defaultCluster, type NodeSettings } from './settings.ts';

export interface JoinOptions extends MachineOptions {
  /** `host:port`. */
  readonly endpoint: string;
  readonly token: BootstrapToken;
  readonly caCertHashes: readonly string[];
  readonly node: NodeSettings;
}

/** What a machine that may join knows of its cluster, and the credential that the cluster signed for it. */
export interface JoinedCluster {
  readonly ca: string;
  readonly server: string;
  readonly settings: ClusterSettings;
  readonly credential: Credential;
}

const nodes = resource('v1', 'nodes');
const signingPatienceMs = 8_000;
const reset = 'What was made so far is taken away by k8ts reset --force.';

/** Makes this machine a node of a cluster that is there. Nothing is written before the cluster has said yes. */
export async function joinMachine(options: JoinOptions): Promise<void> {
  const { node, ownCommand, version, clock, telling, timeoutMs } = options;
  const layout = machineLayout(options.root);
  const uplink = linkOf(node.address);
  await telling.phase('preflight', () => checkMachine(layout, options));
  const cluster = await askToJoin(options);
  const { settings, ca, server } = cluster;
  await checkRanges(settings, options);
  const clusterDns = addressAt(settings.serviceCidr, 10);
  writeRecord(layout, {
    ...{ format: 1, role: 'worker', nodeName: node.nodeName, nodeIp: node.address, version },
    ...{ before: observeFolders(layout), serviceCidr: settings.serviceCidr, clusterDns },
    ...(node.criSocket === undefined ? {} : { criSocket: node.criSocket }),
  });
  writeAtomically(`${layout.pkiDir}/ca.crt`, ca, 0o644);
  writeKubeletIdentity({ layout, nodeName: node.nodeName, server, ca, credential: cluster.credential });
  writeJson(
    configFile(layout, 'agent'),
    planAgentConfiguration({
      ...{ layout, cluster: settings, node, controlPlane: false, uplink },
      ...{ cniBinDir: cniPluginFolder(), dnsUpstreams: hostResolvers() },
    }),
  );
  await telling.phase(`node ${node.nodeName} ready`, async () => {
    makeDirectorySync(layout.logDir);
    if (settings.cni === 'none') linkPlugins(cniPluginFolder(), layout.cniBinDir);
    await startComponents(layout, planSupervision(layout, planComponents(layout, 'worker', ownCommand), ownCommand));
    const withNetwork = settings.cni !== 'none';
    await waitForNode({ layout, nodeName: node.nodeName, withNetwork, clock, timeoutMs, advice: reset });
  });
}

async function checkMachine(layout: MachineLayout, options: JoinOptions): Promise<void> {
  const { node, telling, ignorePreflightErrors } = options;
  await runPreflight({
    facts: {
      layout,
      ports: [10_250],
      absent: [layout.recordFile, layout.kubeletConf, `${layout.pkiDir}/ca.crt`],
      nodeName: node.nodeName,
      ...(node.criSocket === undefined ? {} : { criSocket: node.criSocket }),
    },
    wishes: { controlPlane: false },
    ignored: ignorePreflightErrors,
    say: telling.say,
  });
}

async function checkRanges(settings: ClusterSettings, options: JoinOptions): Promise<void> {
  const { podCidr, serviceCidr } = settings;
  const found = rangeFindings({ routes: await routesOf() }, { controlPlane: false, podCidr, serviceCidr });
  reportFindings(found, { ignored: options.ignorePreflightErrors, say: options.telling.say });
}

/** Discovery with the pinned authority, then TLS bootstrap: everything that needs the token. Throws JoinError. */
export async function askToJoin(
  options: Pick<JoinOptions, 'endpoint' | 'token' | 'caCertHashes' | 'node' | 'clock' | 'telling'>,
): Promise<JoinedCluster> {
  const { endpoint, token, caCertHashes, node, clock, telling } = options;
  const { ca, server } = await telling.phase(`discovery at ${endpoint}`, () =>
    discoverCluster({ endpoint, token, caCertHashes, clock }),
  );
  const transport = openHttpsTransport({ server: `https://${endpoint}`, ca, token: tokenText(token) });
  const client = openClient({ transport, userAgent: 'k8ts' });
  try {
    return await telling.phase('TLS bootstrap', async () => {
      const settings = await explained(token, async () => {
        await requireFreeName(client, node.nodeName);
        return { ...defaultCluster, ...(await readClusterConfig(client)).settings };
      });
      const credential = await explained(token, () =>
        requestNodeCertificate({
          ...{ client, clock, nodeName: node.nodeName, purpose: 'client', timeoutMs: signingPatienceMs },
        }),
      );
      return { ca, server, settings, credential };
    });
  } finally {
    await transport.close();
  }
}

/** A node that lives keeps its name; one that is gone may come back under it. */
async function requireFreeName(client: Client, name: string): Promise<void> {
  const found = await client.get<Node>(nodes, name).catch((error) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (found === undefined || !isReady(found)) return;
  throw new JoinError(
    'Name',
    `a node ${name} is in the cluster already, and Ready: choose another name with --node-name, or remove that machine first (k8ts reset on it, or kubectl delete node ${name})`,
  );
}

/** Refusals of the API in words about the token. */
async function explained<T>(token: BootstrapToken, work: () => Promise<T>): Promise<T> {
  const anew = 'make another on a control plane: k8ts token create --print-join-command';
  try {
    return await work();
  } catch (error) {
    if (isUnauthorized(error))
      throw new JoinError(
        'Token',
        `the cluster refuses the token ${token.id}.…: it has expired or was deleted; ${anew}`,
        { cause: error },
      );
    if (isForbidden(error))
      throw new JoinError('Token', `the token ${token.id}.… may not be used to join (${messageOf(error)}); ${anew}`, {
        cause: error,
      });
    if (error instanceof CodedError && error.code === 'NotSigned')
      throw new JoinError('Cluster', `${error.message}; are its controllers running?`, { cause: error });
    throw error;
  }
}
