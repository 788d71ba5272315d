/** What a row should reach. Measured peers count before the absolute figure: machines differ. */
export interface Target {
  /** How the table says it. */
  readonly text: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** Times better than the peer of the same run. */
  readonly timesPeer?: number;
}

/** By the beginning of a row's name. Peer figures in texts: Kubernetes 1.20.2 on etcd 3.4.23, a 2-core machine of 2026. */
const targets: readonly (readonly [start: string, target: Target])[] = [
  ['start: API ready', { text: '≤ 400 ms', atMost: 400 }],
  ['start: default ServiceAccount', { text: '≤ 1,000 ms', atMost: 1000 }],
  ['memory: control plane idle', { text: '≤ 125 MiB', atMost: 125 }],
  ['in process: startCluster() to first object', { text: '≤ 150 ms', atMost: 150 }],
  ['api: create a small ConfigMap', { text: '≥ 4× peer (2,900)', atLeast: 11_600, timesPeer: 4 }],
  ['api: get one object', { text: '≥ 5× peer (6,300)', atLeast: 31_500, timesPeer: 5 }],
  ['api: list 500 of 10,000', { text: '≥ 5× peer (200)', atLeast: 1000, timesPeer: 5 }],
  ['api: list all 10,000, bytes', { text: '≥ 3× peer (160)', atLeast: 480, timesPeer: 3 }],
  ['api: list all 10,000', { text: '≥ 3× peer (27)', atLeast: 81, timesPeer: 3 }],
  ['api: memory of the server', { text: '≤ 1/3 peer (728)', atMost: 243, timesPeer: 3 }],
  ['watch: 1000 watchers, 100 writes/s, events', { text: '0', atMost: 0 }],
  ['watch: 100 watchers, 100 writes/s, events', { text: '0', atMost: 0 }],
  ['watch: 1000 watchers, 100 writes/s, p99', { text: '≤ 100 ms', atMost: 100 }],
  ['event loop: storm of lists of 50,000 objects, p99', { text: '≤ 20 ms', atMost: 20 }],
  ['event loop: storm of lists of 50,000 objects, longest', { text: '≤ 200 ms', atMost: 200 }],
  ['scheduling: create and bind 5000', { text: '≥ 2,000 pods/s', atLeast: 2000 }],
  ['scheduling: scheduler alone, 5000', { text: '≥ 1,750 pods/s', atLeast: 1750 }],
  ['memory: server process with 1000 nodes', { text: '≤ 400 MiB', atMost: 400 }],
  ['services: change of one of 10,000 to rule in place', { text: '≤ 10 ms', atMost: 10 }],
  ['dns: answers a second of its core', { text: '≥ 16,800 /s', atLeast: 16_800 }],
  ['dns: p99', { text: '≤ 5 ms', atMost: 5 }],
  ['ingress: a new rule', { text: '≤ 100 ms', atMost: 100 }],
  ['pods: kubectl run', { text: '≤ 450 ms', atMost: 450 }],
  ['pods: Deployment of 30', { text: '≤ 3 s (2 nodes)', atMost: 3 }],
  ['pods: 60 at once', { text: '≥ 15 pods/s', atLeast: 15 }],
  ['up: to a first Ready pod', { text: '≤ 5 s', atMost: 5 }],
  ['up: three nodes', { text: '≤ 4 s', atMost: 4 }],
];

export function targetOf(row: string): Target | undefined {
  return targets.find(([start]) => row.startsWith(start))?.[1];
}

/** Whether the row is where it should be; undefined when nothing says. `timesBetter`: than the peer, when one was measured. */
export function isReached(target: Target, value: number, timesBetter?: number): boolean {
  if (target.timesPeer !== undefined && timesBetter !== undefined) return timesBetter >= target.timesPeer;
  return value >= (target.atLeast ?? -Infinity) && value <= (target.atMost ?? Infinity);
}

/** How many times better `own` is than `peer`: rates are better when higher, times and memory when lower. Undefined: neither. */
export function timesBetter(unit: string, own: number, peer: number): number | undefined {
  if (unit === 'events') return undefined;
  return unit.endsWith('/s') ? own / peer : peer / own;
}
