/** One reading of something that uses CPU and memory. */
export interface Sample {
  /** Since the start of what is measured. */
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
  /** Wall time of the reading. */
  readonly atMs: number;
}

/** What one kubelet said at one moment. */
export interface NodeSamples {
  readonly node: Sample | undefined;
  /** By `namespace/pod/container`. */
  readonly containers: ReadonlyMap<string, Sample>;
}

const line = /^([a-z_]+)(?:\{([^}]*)\})? (\S+)(?: (\d+))?$/;
const label = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const wanted: Readonly<
  Record<string, { readonly of: 'node' | 'container'; readonly field: 'cpuSeconds' | 'memoryBytes' }>
> = {
  node_cpu_usage_seconds_total: { of: 'node', field: 'cpuSeconds' },
  node_memory_working_set_bytes: { of: 'node', field: 'memoryBytes' },
  container_cpu_usage_seconds_total: { of: 'container', field: 'cpuSeconds' },
  container_memory_working_set_bytes: { of: 'container', field: 'memoryBytes' },
};

interface Draft {
  cpuSeconds?: number;
  memoryBytes?: number;
  atMs: number;
}

/**
 * Reads a kubelet's `/metrics/resource` (Prometheus text format 0.0.4). Lines it does not know, and values that are no numbers, are
 * passed over; something with only one of CPU and memory is left out.
 */
export function parseSamples(text: string, nowMs: number): NodeSamples {
  const drafts = new Map<string, Draft>();
  for (const one of text.split('\n')) {
    if (one === '' || one.charCodeAt(0) === 0x23) continue;
    const match = line.exec(one);
    const name = match?.[1] ?? '';
    const meaning = Object.hasOwn(wanted, name) ? wanted[name] : undefined;
    const value = Number(match?.[3]);
    if (match === null || meaning === undefined || !Number.isFinite(value)) continue;
    const key = meaning.of === 'node' ? '' : containerKey(match[2] ?? '');
    if (key === undefined) continue;
    let draft = drafts.get(key);
    if (draft === undefined) drafts.set(key, (draft = { atMs: nowMs }));
    draft[meaning.field] = value;
    if (meaning.field === 'cpuSeconds' && match[4] !== undefined) draft.atMs = Number(match[4]);
  }
  const containers = new Map<string, Sample>();
  let node: Sample | undefined;
  for (const [key, { cpuSeconds, memoryBytes, atMs }] of drafts) {
    if (cpuSeconds === undefined || memoryBytes === undefined) continue;
    const sample = { cpuSeconds, memoryBytes, atMs };
    if (key === '') node = sample;
    else containers.set(key, sample);
  }
  return { node, containers };
}

function containerKey(labels: string): string | undefined {
  let namespace: string | undefined;
  let pod: string | undefined;
  let container: string | undefined;
  for (const [, name, value] of labels.matchAll(label)) {
    if (name === 'namespace') namespace = value;
    else if (name === 'pod') pod = value;
    else if (name === 'container') container = value;
  }
  return namespace && pod && container ? `${namespace}/${pod}/${container}` : undefined;
}
