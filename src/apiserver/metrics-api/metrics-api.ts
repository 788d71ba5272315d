import { type AnyObject, builtinSchema, type Node, type ObjectMeta, type Pod } from '#api';
import { type Clock, type Log, rfc3339 } from '#base';
import { tableOf, type TableColumn } from '#codec';
import {
  errBadRequest,
  errMethodNotSupported,
  errNotFound,
  errServiceUnavailable,
  errUnknownPath,
  formatGoDuration,
  parseFieldSelector,
  parseLabelSelector,
} from '#machinery';
import type { LocalGroup } from '../aggregation/local-group.ts';
import type { ObjectView, ServerObjects, ServerRequest, ServerResponse } from '../contract.ts';
import { respondPlain } from '../resources/respond-object.ts';
import { forward } from '../streams/backend.ts';
import type { KubeletDirectory } from '../streams/kubelet.ts';
import { ownRequest, textOf } from '../streams/own-request.ts';
import { metricsSchema } from './metrics-schema.ts';
import { MetricsScraper } from './scraper.ts';
import type { NodeUsage, Usage } from './usage.ts';

const group = 'metrics.k8s.io';
const version = 'v1beta1';
const apiVersion = `${group}/${version}`;
const verbs = ['get', 'list'];
const largestAnswer = 32 << 20;

/** An object of metrics.k8s.io. Usages are quantities, the window a Go duration. */
interface Metrics extends AnyObject {
  readonly timestamp: string;
  readonly window: string;
  readonly usage?: Quantities;
  readonly containers?: readonly { readonly name: string; readonly usage: Quantities }[];
}

interface Quantities {
  readonly cpu: string;
  readonly memory: string;
}

/** `metrics.k8s.io/v1beta1` from kubelets. Opened by the first request of the group. */
export function openMetricsApi(options: {
  readonly objects: ServerObjects;
  readonly kubelets: KubeletDirectory | undefined;
  readonly clock: Clock;
  readonly log: Log;
}): LocalGroup {
  const { objects, kubelets, clock, log } = options;
  const nodes = (): ObjectView => objects.view('v1', 'nodes');
  const pods = (): ObjectView => objects.view('v1', 'pods');
  const scraper = new MetricsScraper({
    nodes: () => (nodes().list() as unknown as Node[]).filter(hasKubelet).map((one) => one.metadata.name),
    async read(name, signal) {
      const request = ownRequest('/metrics/resource', signal, clock.nowMs());
      const backend = await (kubelets as KubeletDirectory).backend(name, request.target);
      const response = await forward(request, backend);
      const text = await textOf(response, largestAnswer);
      if (response.status !== 200) throw new Error(`the kubelet answered ${response.status}`);
      return text;
    },
    clock,
    log,
  });

  async function answer(request: ServerRequest): Promise<ServerResponse> {
    const { resource, name, namespace, subresource, verb } = request.info;
    if ((resource !== 'nodes' && resource !== 'pods') || subresource !== '') throw errUnknownPath();
    if (verb !== 'get' && verb !== 'list') throw errMethodNotSupported({ group, plural: resource }, verb);
    if (kubelets === undefined) throw errServiceUnavailable('this server has no certificate to ask kubelets with');
    await Promise.all([nodes().ready, pods().ready]);
    const usage = await scraper.usage();
    const all =
      resource === 'nodes'
        ? nodeMetrics(nodes().list() as unknown as Node[], usage)
        : podMetrics(pods().list(namespace === '' ? undefined : namespace) as unknown as Pod[], usage);
    if (verb === 'get') {
      const found = all.find((one) => one.metadata.name === name);
      if (found === undefined) throw errNotFound({ group, plural: resource }, name);
      return respond(request, [found], found as Metrics & { kind: string });
    }
    const items = selected(all, request);
    const kind = resource === 'nodes' ? 'NodeMetricsList' : 'PodMetricsList';
    const answer = { kind, apiVersion, metadata: {}, items };
    return respond(request, items, answer);
  }

  function respond(
    request: ServerRequest,
    rows: readonly Metrics[],
    object: object & { readonly kind: string },
  ): ServerResponse | Promise<ServerResponse> {
    if (!wantsTable(request)) return respondPlain(request, object, metricsSchema[object.kind]);
    return respondPlain(
      request,
      tableOf({ columns, objects: rows, nowMs: clock.nowMs() }),
      builtinSchema.type('meta/v1.Table'),
    );
  }

  return { group, version, resources, handle: answer, close: () => scraper.close() };
}

const resources = [
  { name: 'nodes', singularName: '', namespaced: false, kind: 'NodeMetrics', verbs },
  { name: 'pods', singularName: '', namespaced: true, kind: 'PodMetrics', verbs },
];

function hasKubelet(node: Node): boolean {
  return node.status?.daemonEndpoints?.kubeletEndpoint !== undefined;
}

function wantsTable({ headers, objects }: ServerRequest): boolean {
  if (objects) return false;
  const [first = ''] = (headers.accept ?? '').split(',');
  return /;\s*as=Table/.test(first) && /;\s*g=meta\.k8s\.io/.test(first);
}

const ofRow = (object: AnyObject): Quantities & { window: string } => {
  const { window, usage, containers = [] } = object as Metrics;
  if (usage !== undefined) return { ...usage, window };
  const sum = (field: keyof Quantities): number =>
    containers.reduce((total, one) => total + Number.parseInt(one.usage[field], 10), 0);
  return { cpu: `${sum('cpu')}n`, memory: `${sum('memory')}Ki`, window };
};

const columns: readonly TableColumn[] = [
  {
    name: 'Name',
    type: 'string',
    format: 'name',
    description: 'Name of the resource',
    value: (one) => one.metadata.name,
  },
  { name: 'cpu', type: 'string', description: 'CPU in use', value: (one) => ofRow(one).cpu },
  { name: 'memory', type: 'string', description: 'Memory in use', value: (one) => ofRow(one).memory },
  {
    name: 'Window',
    type: 'string',
    description: 'Time over which CPU was measured',
    value: (one) => ofRow(one).window,
  },
];

function nodeMetrics(nodes: readonly Node[], usage: ReadonlyMap<string, NodeUsage>): Metrics[] {
  return nodes.flatMap(({ metadata }) => {
    const own = usage.get(metadata.name)?.node;
    if (own === undefined) return [];
    return [
      { kind: 'NodeMetrics', apiVersion, metadata: identity(metadata, own), ...timesOf(own), usage: quantities(own) },
    ];
  });
}

function podMetrics(pods: readonly Pod[], usage: ReadonlyMap<string, NodeUsage>): Metrics[] {
  return pods.flatMap(({ metadata, spec }) => {
    const containers = usage.get(spec?.nodeName ?? '')?.pods.get(`${metadata.namespace}/${metadata.name}`);
    const [first] = containers?.values() ?? [];
    if (containers === undefined || first === undefined) return [];
    return [
      {
        kind: 'PodMetrics',
        apiVersion,
        metadata: identity(metadata, first),
        ...timesOf(first),
        containers: [...containers].map(([name, one]) => ({ name, usage: quantities(one) })),
      },
    ];
  });
}

function identity({ name, namespace, labels }: ObjectMeta, { atMs }: Usage): ObjectMeta {
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    creationTimestamp: rfc3339(atMs),
    ...(labels === undefined ? {} : { labels }),
  } as ObjectMeta;
}

function timesOf({ atMs, windowMs }: Usage): { timestamp: string; window: string } {
  return { timestamp: rfc3339(atMs), window: formatGoDuration(windowMs) };
}

function quantities({ cpuNanoCores, memoryBytes }: Usage): Quantities {
  return { cpu: `${cpuNanoCores}n`, memory: `${Math.ceil(memoryBytes / 1024)}Ki` };
}

/** Those that the request's selectors name; fields are metadata.name and metadata.namespace. */
function selected(all: readonly Metrics[], { info }: ServerRequest): Metrics[] {
  const labels = parseLabelSelector(info.options.get('labelSelector') ?? '');
  const fields = parseFieldSelector(info.options.get('fieldSelector') ?? '').map(({ field, operator, value }) => {
    if (field !== 'metadata.name' && field !== 'metadata.namespace')
      throw errBadRequest(`field label not supported: ${field}`);
    const key = field === 'metadata.name' ? 'name' : 'namespace';
    return (one: Metrics): boolean => ((one.metadata[key] ?? '') === value) === (operator === '=');
  });
  return all.filter((one) => labels.matches(one.metadata.labels) && fields.every((matches) => matches(one)));
}
