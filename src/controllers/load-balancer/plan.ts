import { announcedByAnnotation, type Node, type Service, type ServicePort } from '#api';
import { type Ipv4Range, ipv4Text } from '#machinery';
import { addressNumber } from './address-spans.ts';

export interface BalancerInput {
  /** Services that are this controller's to serve. */
  readonly services: readonly Service[];
  readonly nodes: readonly Node[];
  /** Nodes with a ready endpoint of a Service; asked for externalTrafficPolicy Local. */
  readonly nodesWithEndpoints: (service: Service) => ReadonlySet<string>;
  /** Addresses for load balancers; none: the nodes' own addresses are used. */
  readonly spans: readonly Ipv4Range[];
  /** Nodes serve Ingresses at ports 80 and 443 of their addresses. */
  readonly ingressServed?: boolean;
}

export interface BalancerPlan {
  readonly addresses: readonly string[];
  /** With an address of its own: the node that answers for it ('' while no node can). */
  readonly announcedBy?: string;
  /** Why there is no address. */
  readonly problem?: string;
}

/** The class that names this controller, beside no class at all. */
export const ownClass = 'k8ts.io/load-balancer';
const excludeLabel = 'node.kubernetes.io/exclude-from-external-load-balancers';
const simulatedLabel = 'k8ts.io/simulated';
/** What nodes and control planes listen on themselves: a load balancer on their addresses would take it over. */
const nodesOwnPorts: readonly (readonly [first: number, last: number])[] = [
  [22, 22],
  [53, 53],
  [2379, 2381],
  [6443, 6443],
  [10_248, 10_260],
  [30_000, 32_767],
];

const ingressPorts: readonly string[] = ['80/TCP', '443/TCP'];

/** A Service that this controller gives an address. Others' classes are left alone. */
export function isOurs({ spec, metadata }: Service): boolean {
  if (spec.type !== 'LoadBalancer' || metadata.deletionTimestamp !== undefined) return false;
  return spec.loadBalancerClass === undefined || spec.loadBalancerClass === ownClass;
}

/** What each Service should have, oldest first; those that have something valid keep it. Pure. */
export function planBalancers(input: BalancerInput): Map<Service, BalancerPlan> {
  const services = [...input.services].sort(
    (a, b) =>
      compare(a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? '') ||
      compare(a.metadata.uid, b.metadata.uid),
  );
  return input.spans.length > 0 ? planOwnAddresses(services, input) : planNodeAddresses(services, input);
}

function planOwnAddresses(services: readonly Service[], input: BalancerInput): Map<Service, BalancerPlan> {
  const taken = new Map<string, Service>();
  const given = new Map<Service, string>();
  const problems = new Map<Service, string>();
  const take = (service: Service, address: string): void => {
    taken.set(address, service);
    given.set(service, address);
  };
  const isInside = (address: string): boolean => {
    const value = addressNumber(address);
    return value !== undefined && input.spans.some(({ first, last }) => value >= first && value <= last);
  };
  for (const service of services) {
    const held = addressesOf(service)[0];
    const asked = service.spec.loadBalancerIP || held;
    if (held !== undefined && asked === held && isInside(held) && !taken.has(held)) take(service, held);
  }
  for (const service of services) {
    const asked = service.spec.loadBalancerIP;
    if (!asked || given.has(service)) continue;
    const holder = taken.get(asked);
    if (!isInside(asked)) problems.set(service, `${asked} is not in the range of load-balancer addresses`);
    else if (holder !== undefined)
      problems.set(service, `${asked} is in use by ${holder.metadata.namespace}/${holder.metadata.name}`);
    else take(service, asked);
  }
  const nodesOwn = new Set(input.nodes.flatMap((one) => internalAddress(one) ?? []));
  const free = freeAddresses(input.spans, (address) => taken.has(address) || nodesOwn.has(address));
  for (const service of services) {
    if (given.has(service) || problems.has(service)) continue;
    const { value } = free.next();
    if (value === undefined) problems.set(service, 'no address is left in the range of load-balancer addresses');
    else take(service, value);
  }
  const announcers = chooseAnnouncers(
    services.filter((one) => given.has(one)),
    input,
  );
  const plan = new Map<Service, BalancerPlan>();
  for (const service of services) {
    const address = given.get(service);
    plan.set(
      service,
      address === undefined
        ? { addresses: [], problem: problems.get(service) ?? '' }
        : { addresses: [address], announcedBy: announcers.get(service) ?? '' },
    );
  }
  return plan;
}

function* freeAddresses(spans: readonly Ipv4Range[], isTaken: (address: string) => boolean): Generator<string> {
  for (const { first, last } of spans)
    for (let value = first; value <= last; value++) {
      const address = ipv4Text(value);
      if (!isTaken(address)) yield address;
    }
}

/** The node that answers for each address: the one that did, while it can; else the able one with the fewest. */
function chooseAnnouncers(services: readonly Service[], input: BalancerInput): Map<Service, string> {
  const able = ableNodes(input.nodes).map((one) => one.metadata.name);
  const load = new Map(able.map((name) => [name, 0]));
  const chosen = new Map<Service, string>();
  const choose = (service: Service, name: string): void => {
    chosen.set(service, name);
    load.set(name, (load.get(name) ?? 0) + 1);
  };
  const ableFor = new Map(
    services.map((service) => {
      const local = service.spec.externalTrafficPolicy === 'Local' ? input.nodesWithEndpoints(service) : undefined;
      return [service, able.filter((name) => local === undefined || local.has(name))];
    }),
  );
  for (const service of services) {
    const before = service.metadata.annotations?.[announcedByAnnotation];
    // When no node at all is ready it is rather the control plane that was away: what was, stays.
    const stays = before !== undefined && (able.length === 0 || ableFor.get(service)?.includes(before) === true);
    if (stays) choose(service, before);
  }
  for (const service of services) {
    if (chosen.has(service)) continue;
    const names = (ableFor.get(service) ?? []).toSorted((a, b) => (load.get(a) ?? 0) - (load.get(b) ?? 0));
    if (names[0] !== undefined) choose(service, names[0]);
  }
  return chosen;
}

function planNodeAddresses(services: readonly Service[], input: BalancerInput): Map<Service, BalancerPlan> {
  const taken = new Map<string, Service>();
  const nodes = ableNodes(input.nodes);
  const plan = new Map<Service, BalancerPlan>();
  for (const service of services) {
    const problem = portProblem(service, taken, input.ingressServed === true);
    if (problem !== undefined) {
      plan.set(service, { addresses: [], problem });
      continue;
    }
    const local = service.spec.externalTrafficPolicy === 'Local' ? input.nodesWithEndpoints(service) : undefined;
    const all = nodes
      .filter((node) => local === undefined || local.has(node.metadata.name))
      .flatMap((node) => internalAddress(node) ?? []);
    const asked = service.spec.loadBalancerIP;
    if (asked && !nodes.some((node) => internalAddress(node) === asked)) {
      plan.set(service, {
        addresses: [],
        problem: `${asked} is not the address of a ready node, and no range of load-balancer addresses is set`,
      });
      continue;
    }
    for (const port of service.spec.ports ?? []) taken.set(portKey(port), service);
    // While no node is ready, what was told stays true as soon as one is again.
    const kept = nodes.length === 0 ? addressesOf(service) : all;
    plan.set(service, { addresses: asked ? kept.filter((one) => one === asked) : kept });
  }
  return plan;
}

function portProblem(
  service: Service,
  taken: ReadonlyMap<string, Service>,
  ingressServed: boolean,
): string | undefined {
  for (const port of service.spec.ports ?? []) {
    const holder = taken.get(portKey(port));
    if (holder !== undefined)
      return `port ${portKey(port)} of the nodes' addresses is in use by ${holder.metadata.namespace}/${holder.metadata.name}: choose another port, or set a range of load-balancer addresses`;
    // A Service that has the port already keeps it.
    if (ingressServed && ingressPorts.includes(portKey(port)) && addressesOf(service).length === 0)
      return `port ${port.port} of the nodes' addresses serves Ingresses: choose another port, or set a range of load-balancer addresses`;
    if (nodesOwnPorts.some(([first, last]) => port.port >= first && port.port <= last))
      return `port ${port.port} of the nodes' addresses is kept for the nodes themselves: choose another port, or set a range of load-balancer addresses`;
  }
  return undefined;
}

const portKey = ({ port, protocol = 'TCP' }: ServicePort): string => `${port}/${protocol}`;

/** Nodes that may take traffic from outside, by name; simulated ones only where there is no other. */
function ableNodes(nodes: readonly Node[]): Node[] {
  const real = nodes.filter((one) => one.metadata.labels?.[simulatedLabel] === undefined);
  return (real.length > 0 ? real : nodes)
    .filter(
      ({ metadata, status }) =>
        metadata.deletionTimestamp === undefined &&
        metadata.labels?.[excludeLabel] === undefined &&
        status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true,
    )
    .sort((a, b) => compare(a.metadata.name, b.metadata.name));
}

function internalAddress(node: Node): string | undefined {
  return node.status?.addresses?.find((one) => one.type === 'InternalIP' && addressNumber(one.address) !== undefined)
    ?.address;
}

/** Addresses that a Service's status tells. */
export function addressesOf(service: Service): string[] {
  return (service.status?.loadBalancer?.ingress ?? []).flatMap((one) => (one.ip === undefined ? [] : [one.ip]));
}

/** All of a node that the plan depends on. */
export function nodeFacts({ metadata, status }: Node): unknown {
  return [
    metadata.deletionTimestamp === undefined,
    metadata.labels?.[excludeLabel] !== undefined,
    status?.conditions?.find((one) => one.type === 'Ready')?.status,
    status?.addresses?.find((one) => one.type === 'InternalIP')?.address,
  ];
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
