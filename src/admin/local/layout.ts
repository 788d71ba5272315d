import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { environmentVariable } from '#base';

/** Where everything of one cluster on this machine lives. Sockets are below `runDir`: their paths must stay short. */
export interface ClusterLayout {
  readonly name: string;
  readonly dataDir: string;
  readonly runDir: string;
  readonly stateFile: string;
  readonly pkiDir: string;
  readonly storeDir: string;
  readonly logDir: string;
  readonly adminKubeconfig: string;
}

/** What belongs to one node of a cluster on this machine. */
export interface NodeLayout {
  readonly name: string;
  /** Survives a power cut: containerd's images and containers, the kubelet's files. */
  readonly dataDir: string;
  /** Lost at a power cut. */
  readonly runDir: string;
  readonly netns: string;
  readonly netnsFile: string;
  readonly mountnsFile: string;
  readonly utsnsFile: string;
  readonly veth: string;
  readonly cgroup: string;
  readonly logFile: string;
}

export function defaultDataDir(name: string, isRoot: boolean): string {
  if (isRoot) return join('/var/lib/k8ts', name);
  return join(
    environmentVariable('XDG_DATA_HOME') ?? join(environmentVariable('HOME') ?? '/tmp', '.local/share'),
    'k8ts',
    name,
  );
}

function runRoot(isRoot: boolean): string {
  if (isRoot) return '/run/k8ts';
  const own = join(environmentVariable('HOME') ?? '/tmp', '.local/state');
  return join(environmentVariable('XDG_RUNTIME_DIR') ?? own, 'k8ts');
}

export function clusterLayout(name: string, options: { isRoot: boolean; dataDir?: string }): ClusterLayout {
  const dataDir = options.dataDir ?? defaultDataDir(name, options.isRoot);
  return {
    name,
    dataDir,
    runDir: join(runRoot(options.isRoot), name),
    stateFile: join(dataDir, 'cluster.json'),
    pkiDir: join(dataDir, 'pki'),
    storeDir: join(dataDir, 'store'),
    logDir: join(dataDir, 'log'),
    adminKubeconfig: join(dataDir, 'admin.conf'),
  };
}

/** Eight characters that stand for a cluster in names that the kernel limits to fifteen. */
export function shortId(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

export function bridgeName(cluster: string): string {
  return `k8ts${shortId(cluster)}`;
}

export function nodeLayout(cluster: ClusterLayout, node: string): NodeLayout {
  const netns = `k8ts-${cluster.name}-${node}`;
  const runDir = join(cluster.runDir, node);
  return {
    name: node,
    dataDir: join(cluster.dataDir, 'nodes', node),
    runDir,
    netns,
    netnsFile: join('/run/netns', netns),
    mountnsFile: join(cluster.runDir, 'ns', `${node}.mnt`),
    utsnsFile: join(cluster.runDir, 'ns', `${node}.uts`),
    veth: `k8v${shortId(`${cluster.name}/${node}`)}`,
    cgroup: `/k8ts/${cluster.name}/${node}`,
    logFile: join(cluster.logDir, `${node}.log`),
  };
}
