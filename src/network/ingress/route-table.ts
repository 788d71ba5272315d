import { BlockList } from 'node:net';
import type { Rewrite } from './annotations.ts';
import { normalisePath } from './paths.ts';
import type { IngressPlan } from './plan-ingress.ts';
import type { BackendReference, Destination, RoutePlan } from './read-ingress.ts';

export interface Route extends Destination {
  readonly rewrite?: Rewrite;
  readonly allow?: BlockList;
}

/** Plans never change: each becomes a route once. */
const known = new WeakMap<Destination, Route>();

interface HostRoutes {
  readonly exact: Map<string, Route>;
  readonly prefix: Map<string, Route>;
  /** Length of the longest prefix. */
  longest: number;
}

/**
 * Finds the route of a request: the exact host before a wildcard before rules for every host; within one, the longest path, and of
 * equals Exact before Prefix before ImplementationSpecific. What no rule matches goes to a default backend.
 */
export class RouteTable {
  readonly #hosts = new Map<string, HostRoutes>();
  readonly #defaults = new Map<string, Route>();
  readonly #tlsHosts: ReadonlySet<string>;
  readonly backends = new Map<string, BackendReference>();

  constructor(plan: Pick<IngressPlan, 'routes' | 'defaults' | 'tlsHosts'>) {
    this.#tlsHosts = new Set(plan.tlsHosts);
    // ImplementationSpecific first, so that a Prefix of the same path takes its place.
    for (const one of plan.routes) if (one.type === 'ImplementationSpecific') this.#add(one);
    for (const one of plan.routes) if (one.type !== 'ImplementationSpecific') this.#add(one);
    for (const one of plan.defaults) this.#defaults.set(one.host, this.#routeOf(one));
  }

  /** `host` in lower case without a port, `path` as it came, without its query. */
  find(host: string, path: string): Route | undefined {
    const wanted = normalisePath(path);
    const wildcard = wildcardOf(host);
    return (
      findIn(this.#hosts.get(host), wanted) ??
      (wildcard === '' ? undefined : findIn(this.#hosts.get(wildcard), wanted)) ??
      findIn(this.#hosts.get(''), wanted) ??
      this.#defaults.get(host) ??
      (wildcard === '' ? undefined : this.#defaults.get(wildcard)) ??
      this.#defaults.get('')
    );
  }

  hasTls(host: string): boolean {
    return this.#tlsHosts.has(host) || this.#tlsHosts.has(wildcardOf(host));
  }

  #add(plan: RoutePlan): void {
    let routes = this.#hosts.get(plan.host);
    if (routes === undefined) {
      routes = { exact: new Map(), prefix: new Map(), longest: 0 };
      this.#hosts.set(plan.host, routes);
    }
    if (plan.type === 'Exact') routes.exact.set(plan.path, this.#routeOf(plan));
    else {
      routes.prefix.set(plan.path, this.#routeOf(plan));
      routes.longest = Math.max(routes.longest, plan.path.length);
    }
  }

  #routeOf(plan: Destination & Pick<RoutePlan, 'rewrite'>): Route {
    this.backends.set(plan.backendKey, plan.backend);
    let route = known.get(plan);
    if (route === undefined) {
      const { allowFrom } = plan.options;
      route = allowFrom === undefined ? plan : { ...plan, allow: blockListOf(allowFrom) };
      known.set(plan, route);
    }
    return route;
  }
}

/** `a.b.c` → `*.b.c`; '' when there is no label to spare. */
export function wildcardOf(host: string): string {
  const dot = host.indexOf('.');
  return dot <= 0 ? '' : `*${host.slice(dot)}`;
}

function findIn(routes: HostRoutes | undefined, path: string): Route | undefined {
  if (routes === undefined) return undefined;
  const exact = routes.exact.get(path);
  if (exact !== undefined) return exact;
  const { prefix, longest } = routes;
  if (prefix.size === 0) return undefined;
  // From the longest prefix that ends where an element ends; none beyond the longest there is.
  let end = path.endsWith('/') ? path.length - 1 : path.length;
  if (end > longest) {
    end = longest;
    while (end > 0 && path.charCodeAt(end) !== 0x2f) end--;
  }
  for (;;) {
    const found = prefix.get(path.slice(0, end));
    if (found !== undefined) return found;
    if (end <= 0) return undefined;
    end = path.lastIndexOf('/', end - 1);
  }
}

function blockListOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', bits] = range.split('/');
    const family = address.includes(':') ? 'ipv6' : 'ipv4';
    try {
      if (bits === undefined) list.addAddress(address, family);
      else list.addSubnet(address, Number(bits), family);
    } catch {
      // Not an address: no client is in it.
    }
  }
  return list;
}
