import { BlockList } from 'node:net';
import type { Rewrite, RouteOptions } from './annotations.ts';
import { normalisePath } from './paths.ts';
import type { BackendReference, IngressPlan, RoutePlan } from './plan-ingress.ts';

export interface Route {
  readonly backend: BackendReference;
  /** The same for the same backend. */
  readonly backendKey: string;
  readonly options: RouteOptions;
  readonly rewrite?: Rewrite;
  readonly allow?: BlockList;
  readonly ingress: string;
}

interface HostRoutes {
  readonly exact: Map<string, Route>;
  readonly prefix: Map<string, Route>;
  /** Length of the longest prefix. */
  longest: number;
}

export function backendKeyOf({ namespace, service, port, protocol }: BackendReference): string {
  return JSON.stringify([namespace, service, port, protocol ?? '']);
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

  #routeOf(plan: Pick<RoutePlan, 'backend' | 'options' | 'rewrite' | 'ingress'>): Route {
    const backendKey = backendKeyOf(plan.backend);
    this.backends.set(backendKey, plan.backend);
    const { allowFrom } = plan.options;
    return {
      backend: plan.backend,
      backendKey,
      options: plan.options,
      ...(plan.rewrite === undefined ? {} : { rewrite: plan.rewrite }),
      ...(allowFrom === undefined ? {} : { allow: blockListOf(allowFrom) }),
      ingress: plan.ingress,
    };
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
