import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { requireWholeRestore } from '../backup/restore-mark.ts';
import { serverPidFile } from './cluster.ts';
import { type ClusterLayout, nodeLayout } from './layout.ts';
import { startOnNode } from './nodes.ts';
import { readProcess, spawnBackground } from './processes.ts';
import type { ClusterState, NodeState } from './state.ts';
import type { Node } from '#api';
import { resource } from '#api';
import { CodedError, sleep, systemClock } from '#base';
import { type Client, openClient } from '#client';
import type { ClusterPki } from '#pki';
import { openHttpsTransport, type Transport } from '#wire';
import { apiUrl, writeAgentConfiguration } from './configure.ts';

/** The command line of this very program with other arguments. */
export type OwnCommand = (verb: string, ...args: string[]) => { program: string; args: string[] };

export interface Reach {
  readonly transport: Transport;
  readonly client: Client;
  close(): Promise<void>;
}

/** Opens a client of the cluster with a fresh administrator's certificate. */
export function reach(state: ClusterState, pki: ClusterPki): Reach {
  const admin = pki.issue({ commonName: 'kubernetes-admin', organizations: ['system:masters'], usages: ['client'] });
  const transport = openHttpsTransport({
    server: apiUrl(state),
    ca: pki.ca.certificatePem,
    clientCert: admin.certificatePem,
    clientKey: admin.keyPem,
  });
  return { transport, client: openClient({ transport, userAgent: 'k8ts' }), close: () => transport.close() };
}

/** Starts the control plane's process, on its node or, without real nodes, here. Throws RestoreInterrupted. */
export function startServerProcess(options: {
  readonly layout: ClusterLayout;
  readonly state: ClusterState;
  readonly configFile: string;
  readonly ownCommand: OwnCommand;
}): void {
  const { layout, state, configFile, ownCommand } = options;
  requireWholeRestore(layout);
  const { program, args } = ownCommand('server', '--config', configFile);
  const master = state.nodes.find((one) => one.controlPlane);
  if (master !== undefined) {
    startOnNode(nodeLayout(layout, master.name), 'server', [program, ...args]);
    return;
  }
  const pidFile = serverPidFile(layout, state);
  if (readProcess(pidFile) === undefined)
    spawnBackground({ program, args, pidFile, logFile: join(layout.logDir, 'server.log') });
}

export function startAgentProcess(options: {
  readonly layout: ClusterLayout;
  readonly state: ClusterState;
  readonly node: NodeState;
  readonly pki: ClusterPki;
  readonly ownCommand: OwnCommand;
}): void {
  const { layout, state, node, pki, ownCommand } = options;
  const own = nodeLayout(layout, node.name);
  if (readProcess(join(own.runDir, 'agent.pid')) !== undefined) return;
  const configFile = writeAgentConfiguration({ layout, state, node, nodeLayout: own, pki });
  const { program, args } = ownCommand('agent', '--config', configFile);
  startOnNode(own, 'agent', [program, ...args]);
}

/** Asks until the answer is yes. A process that has ended meanwhile, or the deadline, is an error that shows its log's last line. */
export async function until(options: {
  readonly what: string;
  readonly deadlineMs: number;
  readonly everyMs: number;
  readonly processes: readonly { readonly pidFile: string; readonly logFile: string }[];
  readonly ask: () => Promise<boolean>;
}): Promise<void> {
  const { what, deadlineMs, everyMs, processes, ask } = options;
  let last: unknown;
  let asking: Promise<Answer> | undefined;
  for (;;) {
    asking ??= ask().then(
      (yes) => ({ yes }),
      (error: unknown) => ({ yes: false, error }),
    );
    const answer = await Promise.race([asking, sleep(systemClock, patienceMs)]);
    if (answer !== undefined) {
      if (answer.yes) return;
      last = answer.error ?? last;
      asking = undefined;
    }
    for (const one of processes) {
      if (readProcess(one.pidFile) === undefined) {
        throw new CodedError('ProcessEnded', `${what}: its process has ended. ${lastWords(one.logFile)}`);
      }
    }
    if (systemClock.monotonicMs() > deadlineMs) {
      const why = last instanceof Error ? `: ${last.message}` : '';
      throw new CodedError(
        'NotReadyInTime',
        `${what} not in time${why}. ${processes.map((one) => lastWords(one.logFile)).join(' ')}`,
      );
    }
    if (answer !== undefined) await sleep(systemClock, everyMs);
  }
}

interface Answer {
  readonly yes: boolean;
  readonly error?: unknown;
}

/** How long a question may go unanswered before processes and deadline are looked at. */
const patienceMs = 200;

function lastWords(logFile: string): string {
  try {
    const line = readFileSync(logFile, 'utf8').trim().split('\n').at(-1) ?? '';
    if (line === '') return `Its log ${logFile} is empty: is the disk full (df -h)?`;
    return `Its log ${logFile} ends with: ${line.slice(0, 500)}`;
  } catch {
    return `It left no log in ${logFile}.`;
  }
}

export async function isApiReady(transport: Transport): Promise<boolean> {
  const response = await transport.request({ method: 'GET', target: '/readyz' });
  await response.bytes();
  return response.status === 200;
}

export async function areNodesReady(client: Client, names: readonly string[]): Promise<boolean> {
  const { items } = await client.list<Node>(resource('v1', 'nodes'));
  return names.every((name) => {
    const node = items.find((one) => one.metadata.name === name);
    return node?.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
  });
}

/** True when the nodes are known to the API, Ready or not. */
export async function areNodesRegistered(client: Client, names: readonly string[]): Promise<boolean> {
  const { items } = await client.list<Node>(resource('v1', 'nodes'));
  return names.every((name) => items.some((one) => one.metadata.name === name));
}

export async function hasDefaultServiceAccount(client: Client): Promise<boolean> {
  await client.get(resource('v1', 'serviceaccounts'), 'default', { namespace: 'default' });
  return true;
}
