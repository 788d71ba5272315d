import type {
  Pod,
  PodAffinityTerm,
  PodSpec,
  Toleration,
  TopologySpreadConstraint,
  WeightedPodAffinityTerm,
} from '#api';
import { deepEqual, type LabelSelector, labelSelectorOf, quantityMilli, quantityValue } from '#machinery';
import type { NodeInfo } from './node-info.ts';
import { compileNodeSelection, compileNodeTerm, pinnedNodeNames } from './node-match.ts';

/** Amounts in thousandths of a CPU, bytes, and units. */
export interface Amounts {
  readonly cpu: number;
  readonly memory: number;
  readonly ephemeral: number;
  /** Extended resources and huge pages; undefined when there are none. */
  readonly others: ReadonlyMap<string, number> | undefined;
}

export interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

/** All of a pod's spec that scheduling reads, compiled; shared by every pod of one template. */
export interface PodShape {
  readonly requests: Amounts;
  readonly asksNothing: boolean;
  /** For scores: what a container that asks for nothing is taken to need. */
  readonly scored: { readonly cpu: number; readonly memory: number };
  readonly ports: readonly HostPort[];
  readonly selects: ((node: NodeInfo) => boolean) | undefined;
  readonly pinned: readonly string[] | undefined;
  readonly preferences: readonly { readonly weight: number; readonly matches: (node: NodeInfo) => boolean }[];
  readonly tolerations: readonly Toleration[];
  readonly spread: readonly TopologySpreadConstraint[];
  readonly affinity: readonly PodAffinityTerm[];
  readonly antiAffinity: readonly PodAffinityTerm[];
  readonly preferredAffinity: readonly WeightedPodAffinityTerm[];
  readonly preferredAntiAffinity: readonly WeightedPodAffinityTerm[];
  /** Names of PersistentVolumeClaims; for generic ephemeral volumes `@` and the volume's name. */
  readonly claims: readonly string[];
  readonly images: readonly string[];
  readonly nodeName: string | undefined;
}

export class PodInfo {
  readonly pod: Pod;
  readonly shape: PodShape;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly priority: number;
  #affinity: AffinityTerms | undefined;

  constructor(pod: Pod, shape: PodShape) {
    this.pod = pod;
    this.shape = shape;
    this.uid = pod.metadata.uid;
    this.namespace = pod.metadata.namespace;
    this.name = pod.metadata.name;
    this.priority = pod.spec?.priority ?? 0;
  }

  get labels(): Record<string, string> | undefined {
    return this.pod.metadata.labels;
  }

  get terminating(): boolean {
    return this.pod.metadata.deletionTimestamp !== undefined;
  }

  /** Affinity terms with this pod's namespace and labels filled in. */
  get terms(): AffinityTerms {
    this.#affinity ??= affinityTerms(this);
    return this.#affinity;
  }
}

/** One affinity term, ready to be asked about pods. */
export interface Term {
  /** Equal terms have equal keys. */
  readonly key: string;
  readonly topologyKey: string;
  readonly selector: LabelSelector;
  readonly namespaces: ReadonlySet<string>;
  readonly namespaceSelector: LabelSelector | undefined;
}

export interface AffinityTerms {
  readonly affinity: readonly Term[];
  readonly antiAffinity: readonly Term[];
  readonly preferredAffinity: readonly { readonly weight: number; readonly term: Term }[];
  readonly preferredAntiAffinity: readonly { readonly weight: number; readonly term: Term }[];
}

const noTerms: AffinityTerms = { affinity: [], antiAffinity: [], preferredAffinity: [], preferredAntiAffinity: [] };

function affinityTerms(info: PodInfo): AffinityTerms {
  const { affinity, antiAffinity, preferredAffinity, preferredAntiAffinity } = info.shape;
  if (affinity.length + antiAffinity.length + preferredAffinity.length + preferredAntiAffinity.length === 0)
    return noTerms;
  const weighted = (one: WeightedPodAffinityTerm): { weight: number; term: Term } => ({
    weight: one.weight,
    term: compileTerm(one.podAffinityTerm, info),
  });
  return {
    affinity: affinity.map((one) => compileTerm(one, info)),
    antiAffinity: antiAffinity.map((one) => compileTerm(one, info)),
    preferredAffinity: preferredAffinity.map(weighted),
    preferredAntiAffinity: preferredAntiAffinity.map(weighted),
  };
}

function compileTerm(term: PodAffinityTerm, info: PodInfo): Term {
  const { topologyKey, namespaces = [], namespaceSelector } = term;
  const selector = selectorWithKeys(term.labelSelector, info, term.matchLabelKeys, term.mismatchLabelKeys);
  const own = namespaces.length === 0 && namespaceSelector === undefined ? [info.namespace] : namespaces;
  const byLabels = namespaceSelector === undefined ? undefined : labelSelectorOf(namespaceSelector);
  const scope = `${[...own].sort().join(',')}|${byLabels === undefined ? '' : `{${byLabels}}`}`;
  return {
    key: `${topologyKey}|${scope}|${selector.isNothing() ? '-' : selector}`,
    topologyKey,
    selector,
    namespaces: new Set(own),
    namespaceSelector: byLabels,
  };
}

/** A label selector that also wants (or shuns) this pod's own values of some labels. */
export function selectorWithKeys(
  selector: PodAffinityTerm['labelSelector'],
  info: PodInfo,
  matchKeys: readonly string[] = [],
  mismatchKeys: readonly string[] = [],
): LabelSelector {
  if (selector === undefined || (matchKeys.length === 0 && mismatchKeys.length === 0)) return labelSelectorOf(selector);
  const labels = info.labels ?? {};
  const extra = (keys: readonly string[], operator: string) =>
    keys.filter((key) => Object.hasOwn(labels, key)).map((key) => ({ key, operator, values: [labels[key] as string] }));
  return labelSelectorOf({
    ...selector,
    matchExpressions: [
      ...(selector.matchExpressions ?? []),
      ...extra(matchKeys, 'In'),
      ...extra(mismatchKeys, 'NotIn'),
    ],
  });
}

const mostShapes = 4096;
const defaultScoredCpu = 100;
const defaultScoredMemory = 200 * 1024 * 1024;

/** Compiles pods, once a template. */
export class PodShapes {
  readonly #shapes = new Map<string, PodShape>();

  info(pod: Pod): PodInfo {
    return new PodInfo(pod, this.#shape(pod));
  }

  /** A newer version of a pod that has its node: all but what its containers ask for is as it was. */
  renewed(known: PodInfo, pod: Pod): PodInfo {
    const before = known.pod.spec;
    const { containers, initContainers, resources, overhead } = pod.spec as PodSpec;
    const same =
      deepEqual(before?.containers, containers) &&
      deepEqual(before?.initContainers, initContainers) &&
      deepEqual(before?.resources, resources) &&
      deepEqual(before?.overhead, overhead);
    return same ? new PodInfo(pod, known.shape) : this.info(pod);
  }

  #shape(pod: Pod): PodShape {
    const spec = pod.spec as PodSpec;
    const claims = claimsOf(spec);
    const part = (one: {
      image?: string;
      resources?: unknown;
      ports?: unknown;
      restartPolicy?: unknown;
    }): unknown[] => [one.image, one.resources, one.ports, one.restartPolicy];
    const key = JSON.stringify([
      spec.containers.map(part),
      spec.initContainers?.map(part),
      spec.resources,
      spec.overhead,
      spec.nodeSelector,
      spec.affinity,
      spec.tolerations,
      spec.topologySpreadConstraints,
      claims,
      spec.hostNetwork,
    ]);
    let shape = this.#shapes.get(key);
    if (shape === undefined) {
      shape = compileShape(spec, claims);
      if (this.#shapes.size >= mostShapes) this.#shapes.delete(this.#shapes.keys().next().value as string);
      this.#shapes.set(key, shape);
    }
    return shape;
  }
}

function claimsOf(spec: PodSpec): string[] {
  const claims: string[] = [];
  for (const volume of spec.volumes ?? []) {
    if (volume.persistentVolumeClaim !== undefined) claims.push(volume.persistentVolumeClaim.claimName);
    else if (volume.ephemeral !== undefined) claims.push(`@${volume.name}`);
  }
  return claims;
}

function compileShape(spec: PodSpec, claims: readonly string[]): PodShape {
  const requests = requestsOf(spec);
  const affinity = spec.affinity;
  const others = [...requests].filter(([name]) => !['cpu', 'memory', 'ephemeral-storage'].includes(name));
  const amounts: Amounts = {
    cpu: requests.get('cpu') ?? 0,
    memory: requests.get('memory') ?? 0,
    ephemeral: requests.get('ephemeral-storage') ?? 0,
    others: others.length === 0 ? undefined : new Map(others),
  };
  return {
    requests: amounts,
    asksNothing: amounts.cpu === 0 && amounts.memory === 0 && amounts.ephemeral === 0 && others.length === 0,
    scored: scoredAmounts(spec, amounts),
    ports: portsOf(spec),
    selects: compileNodeSelection(spec),
    pinned: pinnedNodeNames(spec),
    preferences: (affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((one) => ({
      weight: one.weight,
      matches: compileNodeTerm(one.preference),
    })),
    tolerations: spec.tolerations ?? [],
    spread: spec.topologySpreadConstraints ?? [],
    affinity: affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [],
    antiAffinity: affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [],
    preferredAffinity: affinity?.podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [],
    preferredAntiAffinity: affinity?.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [],
    claims,
    images: [...new Set(spec.containers.map((one) => one.image ?? ''))],
    nodeName: undefined,
  };
}

type Totals = Map<string, number>;
type Resources = { readonly requests?: Readonly<Record<string, string>> } | undefined;

const amountOf = (name: string, quantity: string): number =>
  name === 'cpu' ? quantityMilli(quantity) : quantityValue(quantity);

function add(totals: Totals, resources: Resources): void {
  for (const [name, quantity] of Object.entries(resources?.requests ?? {})) {
    totals.set(name, (totals.get(name) ?? 0) + amountOf(name, quantity));
  }
}

function raise(totals: Totals, floor: Totals): void {
  for (const [name, amount] of floor) if (amount > (totals.get(name) ?? 0)) totals.set(name, amount);
}

/**
 * What the pod holds on its node: running containers together, or the largest moment of its initialisation; pod-level amounts
 * replace those; overhead comes on top. As `podRequests` of the kinds, in numbers.
 */
function requestsOf(spec: PodSpec): Totals {
  const total: Totals = new Map();
  for (const container of spec.containers) add(total, container.resources);
  const sidecars: Totals = new Map();
  const peak: Totals = new Map();
  for (const container of spec.initContainers ?? []) {
    if (container.restartPolicy === 'Always') {
      add(total, container.resources);
      add(sidecars, container.resources);
      raise(peak, sidecars);
    } else {
      const moment = new Map(sidecars);
      add(moment, container.resources);
      raise(peak, moment);
    }
  }
  raise(total, peak);
  for (const [name, quantity] of Object.entries(spec.resources?.requests ?? {}))
    total.set(name, amountOf(name, quantity));
  for (const [name, quantity] of Object.entries(spec.overhead ?? {})) {
    total.set(name, (total.get(name) ?? 0) + amountOf(name, quantity));
  }
  return total;
}

function scoredAmounts(spec: PodSpec, amounts: Amounts): { cpu: number; memory: number } {
  let cpu = 0;
  let memory = 0;
  for (const { resources } of spec.containers) {
    if (resources?.requests?.['cpu'] === undefined) cpu += defaultScoredCpu;
    if (resources?.requests?.['memory'] === undefined) memory += defaultScoredMemory;
  }
  return { cpu: amounts.cpu + cpu, memory: amounts.memory + memory };
}

function portsOf(spec: PodSpec): HostPort[] {
  const ports: HostPort[] = [];
  for (const container of [
    ...spec.containers,
    ...(spec.initContainers ?? []).filter((one) => one.restartPolicy === 'Always'),
  ]) {
    for (const { hostPort = 0, hostIP = '', protocol = 'TCP' } of container.ports ?? []) {
      if (hostPort > 0) ports.push({ ip: hostIP === '' ? '0.0.0.0' : hostIP, protocol, port: hostPort });
    }
  }
  return ports;
}
