import type { Node, Taint } from '#api';
import { quantityMilli, quantityValue } from '#machinery';
import type { HostPort, PodInfo } from './pod-info.ts';

const anyAddress = '0.0.0.0';

/** How often each node changed, by slot: what is kept of a node holds while its number is the same. Never starts anew, so slots may be reused. */
export class Generations {
  at = new Float64Array(64);

  /** Numbers start at 1: an array of zeros knows no node. */
  touch(slot: number): void {
    if (slot >= this.at.length) {
      const grown = new Float64Array(slot * 2);
      grown.set(this.at);
      this.at = grown;
    }
    (this.at[slot] as number)++;
  }
}

/** A node with all that is on it or about to be; sums are kept up as pods come and go. */
export class NodeInfo {
  readonly name: string;
  /** Index into arrays kept by node; reused after the node is gone. */
  readonly slot: number;
  /** Undefined while only its pods are known. */
  node: Node | undefined;
  readonly pods = new Map<string, PodInfo>();

  cpu = 0;
  memory = 0;
  ephemeral = 0;
  readonly others = new Map<string, number>();
  scoredCpu = 0;
  scoredMemory = 0;

  allocatableCpu = 0;
  allocatableMemory = 0;
  allocatableEphemeral = 0;
  allocatablePods = 0;
  allocatableOthers: ReadonlyMap<string, number> = new Map();
  taints: readonly Taint[] = [];
  unschedulable = false;
  images: ReadonlyMap<string, number> = new Map();
  readonly #ports = new Map<string, number>();
  readonly #generations: Generations | undefined;

  /** `generations` is told of each change; a copy to try things on has none. */
  constructor(name: string, slot: number, generations?: Generations) {
    this.name = name;
    this.slot = slot;
    this.#generations = generations;
    generations?.touch(slot);
  }

  /** Changes whenever anything here does. */
  get generation(): number {
    return this.#generations?.at[this.slot] ?? 0;
  }

  label(key: string): string | undefined {
    const labels = this.node?.metadata.labels;
    return labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  }

  setNode(node: Node): void {
    this.node = node;
    const allocatable = node.status?.allocatable ?? {};
    this.allocatableCpu = quantityMilli(allocatable['cpu'] ?? '0');
    this.allocatableMemory = quantityValue(allocatable['memory'] ?? '0');
    this.allocatableEphemeral = quantityValue(allocatable['ephemeral-storage'] ?? '0');
    this.allocatablePods = quantityValue(allocatable['pods'] ?? '0');
    this.allocatableOthers = new Map(
      Object.entries(allocatable)
        .filter(([name]) => !['cpu', 'memory', 'ephemeral-storage', 'pods'].includes(name))
        .map(([name, amount]) => [name, quantityValue(amount)]),
    );
    this.taints = node.spec?.taints ?? [];
    this.unschedulable = node.spec?.unschedulable === true;
    const images = new Map<string, number>();
    for (const { names = [], sizeBytes = 0 } of node.status?.images ?? []) {
      for (const name of names) images.set(normalizedImage(name), sizeBytes);
    }
    this.images = images;
    this.#generations?.touch(this.slot);
  }

  addPod(info: PodInfo): void {
    this.pods.set(info.uid, info);
    this.#count(info, 1);
  }

  removePod(uid: string): void {
    const info = this.pods.get(uid);
    if (info === undefined) return;
    this.pods.delete(uid);
    this.#count(info, -1);
  }

  /** The same pod in a newer version with the same shape. */
  replacePod(info: PodInfo): void {
    this.pods.set(info.uid, info);
  }

  #count({ shape }: PodInfo, by: 1 | -1): void {
    const { requests, scored, ports } = shape;
    this.cpu += by * requests.cpu;
    this.memory += by * requests.memory;
    this.ephemeral += by * requests.ephemeral;
    if (requests.others !== undefined) {
      for (const [name, amount] of requests.others) this.others.set(name, (this.others.get(name) ?? 0) + by * amount);
    }
    this.scoredCpu += by * scored.cpu;
    this.scoredMemory += by * scored.memory;
    for (const port of ports) {
      const key = portKey(port);
      const count = (this.#ports.get(key) ?? 0) + by;
      if (count > 0) this.#ports.set(key, count);
      else this.#ports.delete(key);
    }
    this.#generations?.touch(this.slot);
  }

  /** Whether a pod here holds that port on an address that overlaps. */
  hasPort(port: HostPort): boolean {
    if (this.#ports.size === 0) return false;
    if (port.ip !== anyAddress)
      return this.#ports.has(portKey(port)) || this.#ports.has(portKey({ ...port, ip: anyAddress }));
    const suffix = portKey({ ...port, ip: '' });
    for (const key of this.#ports.keys()) if (key.endsWith(suffix)) return true;
    return false;
  }

  /** A copy to try things on; it shares nothing that changes. */
  trial(): NodeInfo {
    const copy = new NodeInfo(this.name, this.slot);
    if (this.node !== undefined) copy.setNode(this.node);
    for (const info of this.pods.values()) copy.addPod(info);
    return copy;
  }
}

const portKey = ({ ip, protocol, port }: HostPort): string => `${ip}/${protocol}/${port}`;

/** Image names on nodes always carry a tag. */
export function normalizedImage(name: string): string {
  return name.lastIndexOf(':') <= name.lastIndexOf('/') && !name.includes('@') ? `${name}:latest` : name;
}
