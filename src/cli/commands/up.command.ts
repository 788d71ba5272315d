import { join } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import {
  auditPolicyFile,
  type ClusterLayout,
  type ClusterState,
  defaultKubeconfigFile,
  describeCluster,
  installPrerequisites,
  makeMachines,
  nodeAddress,
  nodeLayout,
  readState,
  requireCgroups,
  requirePort,
  requireWholeRestore,
  serverPidFile,
  withClusterLock,
  writeState,
  areNodesReady,
  areNodesRegistered,
  hasDefaultServiceAccount,
  isApiReady,
  leaveUnsupervised,
  reach,
  startAgentProcess,
  startServerProcess,
  superviseCluster,
  stopProcess,
  until,
  openPki,
  writeAdminKubeconfig,
  writeServerConfiguration,
} from '#admin';
import { CodedError, systemClock, systemRandom } from '#base';
import { mergeKubeconfig, parseKubeconfig, readKubeconfig, writeKubeconfig } from '#client';
import { defineCommand } from '../command.ts';
import { withExamples } from '../help.ts';
import { dnsAnswers } from '../local/dns-probe.ts';
import { type KeepingOptions, keepingAsked, withKeeping } from '../local/keeping.ts';
import { loadImages, requireArchive } from '../local/images.ts';
import { layoutOf, withCluster } from '../local/options.ts';
import { isRoot, ownCommand } from '../local/programs.ts';
import { parseCount, parseDurationMs, parsePort } from '../options.ts';
import { version } from '../version.ts';
import { openProgress, type Progress } from '../progress.ts';

export interface UpOptions extends KeepingOptions {
  name: string;
  nodes?: number;
  simulate?: number;
  isolated?: boolean;
  dataDir?: string;
  kubeconfig?: string;
  apiPort?: number;
  image: string[];
  wait: number;
  install: boolean;
  cni?: 'k8ts' | 'none';
  networkMode?: 'auto' | 'routes' | 'vxlan';
}

const collect = (value: string, list: string[]): string[] => [...list, value];

export const upCommand = defineCommand('up', (command) => {
  withExamples(command, [
    ['k8ts up --nodes 3', 'a master and two workers'],
    ['k8ts up --name test --isolated', 'a second cluster, without a way out'],
    ['k8ts up --nodes 0 --simulate 3', 'without root and containers'],
  ]);
  withKeeping(withCluster(command))
    .option('--nodes <n>', 'real nodes with containers (default: 1); 0 needs no root', parseCount)
    .option('--simulate <n>', 'simulated nodes sim-0, sim-1, …', parseCount)
    .option('--isolated', 'give the nodes no route beyond this machine')
    .option('--kubeconfig <file>', 'write this kubeconfig alone instead of merging into the default one')
    .option('--api-port <port>', 'port of the API (default: 6443)', parsePort)
    .option('--image <file>', 'image archive to load into every node (repeatable)', collect, [])
    .option('--wait <duration>', 'how long to wait for the cluster', parseDurationMs, 120_000)
    .addOption(
      new Option(
        '--cni <network>',
        'k8ts: nodes get their pod network at once; none: they wait for one that you apply as a manifest',
      ).choices(['k8ts', 'none']),
    )
    .addOption(
      new Option(
        '--network-mode <mode>',
        'how pods of other nodes are reached: routes, vxlan, or auto (default: routes on one link, else vxlan)',
      ).choices(['auto', 'routes', 'vxlan']),
    )
    .option('--no-install', 'fail instead of installing missing system packages')
    .action(async (options: UpOptions) => {
      const root = isRoot();
      if (!root && options.nodes !== 0) {
        throw new CodedError(
          'NeedsRoot',
          'nodes with real containers need root: run it with sudo, or start simulated nodes as any user with k8ts up --nodes 0 --simulate 3',
        );
      }
      if ((options.nodes ?? 1) > 200) throw new InvalidArgumentError('at most 200 nodes fit on one link');
      for (const file of options.image) requireArchive(file);
      const layout = layoutOf(options);
      await withClusterLock(`${layout.runDir}.lock`, () => up(layout, options, openProgress()));
    });
});

/** Starts the cluster and waits until it is useful. What was supervised before is also after a failure: the cluster may run on. */
export async function up(layout: ClusterLayout, options: UpOptions, progress: Progress): Promise<void> {
  requireWholeRestore(layout);
  const existing = readState(layout);
  const supervised = leaveUnsupervised(layout);
  try {
    await bringUp({ layout, existing, options, progress });
  } catch (error) {
    const state = readState(layout);
    if (supervised && state !== undefined) superviseCluster({ layout, state, ownCommand });
    throw error;
  }
}

interface BringUp {
  readonly layout: ClusterLayout;
  readonly existing: ClusterState | undefined;
  readonly options: UpOptions;
  readonly progress: Progress;
}

async function bringUp({ layout, existing, options, progress }: BringUp): Promise<void> {
  const startMs = systemClock.monotonicMs();
  const wantsNodes = (existing?.nodes.length ?? options.nodes ?? 1) > 0;
  if (wantsNodes) {
    await installPrerequisites({ install: options.install, say: progress.say });
    requireCgroups();
  }
  const described =
    existing === undefined
      ? await describeCluster(layout, options, { clock: systemClock, isRoot: isRoot() })
      : resume(existing, options);
  const state = { ...described, ...(await keepingAsked(auditPolicyFile(layout), described.keeping, options)) };
  if (existing !== undefined && JSON.stringify(state.keeping) !== JSON.stringify(existing.keeping))
    await stopProcess(systemClock, serverPidFile(layout, existing));
  await requirePort(layout, state);
  writeState(layout, state);
  const pki = openPki(layout, state);
  const kubeconfigText = writeAdminKubeconfig(layout, state, pki);
  const deadlineMs = startMs + options.wait;
  const { client, transport, close } = reach(state, pki);
  try {
    if (state.nodes.length > 0) {
      await progress.phase(`machines ${state.nodes.map((one) => one.name).join(', ')}`, () =>
        makeMachines(layout, state),
      );
    } else await makeMachines(layout, state);
    startServerProcess({ layout, state, configFile: writeServerConfiguration(layout, state, version), ownCommand });
    for (const node of state.nodes) startAgentProcess({ layout, state, node, pki, ownCommand });
    const master = state.nodes.find((one) => one.controlPlane);
    const server = {
      pidFile: serverPidFile(layout, state),
      logFile: join(layout.logDir, 'server.log'),
    };
    const agents = state.nodes.map((one) => {
      const own = nodeLayout(layout, one.name);
      return { pidFile: join(own.runDir, 'agent.pid'), logFile: own.logFile };
    });
    const wait = (
      what: string,
      processes: readonly { pidFile: string; logFile: string }[],
      ask: () => Promise<boolean>,
    ): Promise<void> => progress.phase(what, () => until({ what, deadlineMs, everyMs: 15, processes, ask }));
    await wait('API server ready', [server], () => isApiReady(transport));
    await wait('default ServiceAccount', [server], () => hasDefaultServiceAccount(client));
    const names = [
      ...state.nodes.map((one) => one.name),
      ...Array.from({ length: state.simulate }, (_, index) => `sim-${index}`),
    ];
    if (names.length > 0) {
      // Without a network nodes are not Ready; the user brings one when the cluster is up.
      const [word, ask] = state.cni === 'none' ? ['registered', areNodesRegistered] : ['ready', areNodesReady];
      const title = names.length <= 4 ? `nodes ${word}: ${names.join(', ')}` : `${names.length} nodes ${word}`;
      await wait(title, [server, ...agents], () => ask(client, names));
    }
    if (master !== undefined) {
      const name = `kubernetes.default.svc.${state.clusterDomain}`;
      await wait('DNS answers', agents, () => dnsAnswers(nodeAddress(state, master), name, 500));
    }
  } finally {
    await close();
  }
  superviseCluster({ layout, state, ownCommand });
  const file = options.kubeconfig ?? defaultKubeconfigFile();
  const base = options.kubeconfig === undefined ? await readKubeconfig(file, { missingIsEmpty: true }) : undefined;
  const own = parseKubeconfig(kubeconfigText);
  await writeKubeconfig(file, base === undefined ? own : mergeKubeconfig(base, own), systemRandom);
  for (const image of options.image) await progress.phase(`image ${image}`, () => loadImages(layout, state, image));
  process.stderr.write(
    `\nCluster ${state.name} is up (${((systemClock.monotonicMs() - startMs) / 1000).toFixed(2)} s).\n`,
  );
  process.stderr.write(`kubeconfig ${file}, context k8ts-${state.name}. Try: kubectl get nodes\n`);
  if (state.cni === 'none' && state.nodes.length > 0)
    process.stderr.write('Its nodes are not Ready until you apply a pod network: kubectl apply -f YOUR-NETWORK.yaml\n');
}

/** What an existing cluster becomes when `up` is said again: every node has power again; its shape stays. */
function resume(existing: ClusterState, options: UpOptions): ClusterState {
  const differs = (name: string, asked: unknown, has: unknown, hint: string): void => {
    if (asked !== undefined && asked !== has) {
      throw new CodedError(
        'ClusterExists',
        `cluster ${existing.name} exists with ${name} ${String(has)}, not ${String(asked)}: ${hint}`,
      );
    }
  };
  const again = `make a second one with --name, or remove this one with k8ts down --delete --name ${existing.name}`;
  differs('--nodes', options.nodes, existing.nodes.length, `add nodes with k8ts node add, or ${again}`);
  differs('--isolated', options.isolated, existing.isolated, again);
  differs('--cni', options.cni, existing.cni ?? 'k8ts', again);
  differs('--network-mode', options.networkMode, existing.networkMode ?? 'auto', again);
  differs('--api-port', options.apiPort, existing.apiPort, again);
  return {
    ...existing,
    simulate: options.simulate ?? existing.simulate,
    nodes: existing.nodes.map((one) => ({ ...one, stopped: false })),
  };
}
