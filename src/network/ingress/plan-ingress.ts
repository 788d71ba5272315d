import type { Ingress, IngressBackend } from '#api';
import { type Annotations, parseAnnotations, type Rewrite, type RouteOptions, readRulePath } from './annotations.ts';
import type { BackendProtocol } from './proxy/endpoint.ts';

/** One port of one Service, as a rule names it. */
export interface BackendReference {
  readonly namespace: string;
  readonly service: string;
  readonly port: string | number;
  /** Overrides what the Service's port says of itself. */
  readonly protocol?: BackendProtocol;
}

export type MatchType = 'Exact' | 'Prefix' | 'ImplementationSpecific';

export interface RoutePlan {
  /** Lower case; '' for every host, `*.x.y` for one label before `.x.y`. */
  readonly host: string;
  readonly type: MatchType;
  /** Normalised; without its last slash when it is not Exact. */
  readonly path: string;
  readonly backend: BackendReference;
  readonly rewrite?: Rewrite;
  readonly options: RouteOptions;
  /** `namespace/name`. */
  readonly ingress: string;
}

export interface CertificatePlan {
  readonly host: string;
  readonly namespace: string;
  readonly secret: string;
  readonly ingress: string;
}

export interface DefaultPlan {
  /** '' is for every host. */
  readonly host: string;
  readonly backend: BackendReference;
  readonly options: RouteOptions;
  readonly ingress: string;
}

export interface Problem {
  readonly ingress: string;
  readonly reason: 'Conflict' | 'Unsupported' | 'InvalidAnnotation';
  readonly message: string;
}

/** All that the Ingresses of our classes say, conflicts settled. */
export interface IngressPlan {
  readonly routes: readonly RoutePlan[];
  readonly defaults: readonly DefaultPlan[];
  readonly certificates: readonly CertificatePlan[];
  /** Hosts that are served over TLS, also those whose certificate is the built-in one. */
  readonly tlsHosts: readonly string[];
  readonly problems: readonly Problem[];
}

const typeRank: Readonly<Record<MatchType, number>> = { Exact: 0, Prefix: 1, ImplementationSpecific: 2 };

/** Older first; of the same second, by name: every node decides alike. */
export function byAge(a: Ingress, b: Ingress): number {
  const [aTime, bTime] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  if (aTime !== bTime) return aTime < bTime ? -1 : 1;
  const [aKey, bKey] = [keyOf(a), keyOf(b)];
  return aKey < bKey ? -1 : aKey > bKey ? 1 : 0;
}

const keyOf = (ingress: Ingress): string => `${ingress.metadata.namespace}/${ingress.metadata.name}`;

/**
 * What to serve for these Ingresses. A rule that cannot be served, or that an older one has already, is left out and told as a
 * problem; the others of the same Ingress stand. Pure; worked examples in the tests.
 */
export function planIngress(ingresses: readonly Ingress[]): IngressPlan {
  const planner = new Planner();
  for (const ingress of ingresses.toSorted(byAge)) planner.add(ingress);
  return planner.plan();
}

class Planner {
  readonly #routes = new Map<string, RoutePlan>();
  readonly #defaults = new Map<string, DefaultPlan>();
  readonly #certificates = new Map<string, CertificatePlan>();
  readonly #tlsHosts = new Set<string>();
  readonly #problems: Problem[] = [];
  #fallback: DefaultPlan | undefined;

  add(ingress: Ingress): void {
    const key = keyOf(ingress);
    const spec = ingress.spec ?? {};
    const annotations = parseAnnotations(ingress.metadata.annotations);
    for (const message of annotations.problems)
      this.#problems.push({ ingress: key, reason: 'InvalidAnnotation', message });
    const hosts = new Set<string>();
    for (const rule of spec.rules ?? []) {
      const host = (rule.host ?? '').toLowerCase();
      hosts.add(host);
      for (const path of rule.http?.paths ?? []) {
        const backend = this.#backendOf(ingress, path.backend, annotations);
        if (backend === undefined) continue;
        const type = (Object.hasOwn(typeRank, path.pathType) ? path.pathType : 'Prefix') as MatchType;
        const read = readRulePath(path.path || '/', { ...annotations, patterns: type === 'ImplementationSpecific' });
        if (read.problem !== undefined)
          this.#problems.push({ ingress: key, reason: 'Unsupported', message: read.problem });
        if (read.path === '') continue;
        this.#addRoute({
          host,
          type,
          path: type === 'Exact' ? read.path : withoutLastSlash(read.path),
          backend,
          ...(read.rewrite === undefined ? {} : { rewrite: read.rewrite }),
          options: annotations.options,
          ingress: key,
        });
      }
    }
    this.#addDefault(ingress, hosts, annotations);
    this.#addTls(ingress, hosts);
  }

  plan(): IngressPlan {
    const defaults = [...this.#defaults.values()];
    if (this.#fallback !== undefined && !this.#defaults.has('')) defaults.push(this.#fallback);
    return {
      routes: [...this.#routes.values()],
      defaults,
      certificates: [...this.#certificates.values()],
      tlsHosts: [...this.#tlsHosts],
      problems: this.#problems,
    };
  }

  #addRoute(route: RoutePlan): void {
    const place = JSON.stringify([route.host, route.type, route.path]);
    const older = this.#routes.get(place);
    if (older === undefined) this.#routes.set(place, route);
    else if (older.ingress !== route.ingress || JSON.stringify(older.backend) !== JSON.stringify(route.backend))
      this.#problems.push({
        ingress: route.ingress,
        reason: 'Conflict',
        message: `${route.type} ${route.path || '/'} of ${hostText(route.host)} is served by the older Ingress ${older.ingress}; this rule has no effect`,
      });
  }

  #addDefault(ingress: Ingress, hosts: ReadonlySet<string>, annotations: Annotations): void {
    const { defaultBackend, rules } = ingress.spec ?? {};
    if (defaultBackend === undefined || defaultBackend === null) return;
    const backend = this.#backendOf(ingress, defaultBackend, annotations);
    if (backend === undefined) return;
    const key = keyOf(ingress);
    const plan = { backend, options: annotations.options, ingress: key };
    if (rules === undefined || rules.length === 0 || hosts.has('')) {
      const older = this.#defaults.get('');
      if (older === undefined) this.#defaults.set('', { host: '', ...plan });
      else
        this.#problems.push({
          ingress: key,
          reason: 'Conflict',
          message: `requests that no rule matches go to the default backend of the older Ingress ${older.ingress}; this one has no effect`,
        });
    }
    for (const host of hosts) if (host !== '' && !this.#defaults.has(host)) this.#defaults.set(host, { host, ...plan });
    this.#fallback ??= { host: '', ...plan };
  }

  #addTls(ingress: Ingress, ruleHosts: ReadonlySet<string>): void {
    const key = keyOf(ingress);
    const namespace = ingress.metadata.namespace;
    for (const tls of ingress.spec?.tls ?? []) {
      const listed = (tls.hosts ?? []).map((one) => one.toLowerCase());
      const hosts = listed.length > 0 ? listed : [...ruleHosts];
      for (const host of hosts) {
        this.#tlsHosts.add(host);
        if (!tls.secretName) continue;
        const older = this.#certificates.get(host);
        if (older === undefined)
          this.#certificates.set(host, { host, namespace, secret: tls.secretName, ingress: key });
        else if (older.namespace !== namespace || older.secret !== tls.secretName)
          this.#problems.push({
            ingress: key,
            reason: 'Conflict',
            message: `TLS of ${hostText(host)} has the certificate of the older Ingress ${older.ingress}; Secret ${tls.secretName} is not used for it`,
          });
      }
    }
  }

  #backendOf(ingress: Ingress, backend: IngressBackend, annotations: Annotations): BackendReference | undefined {
    const { service, resource } = backend ?? {};
    const port = service?.port?.name || service?.port?.number;
    if (service === undefined || service === null || !port) {
      this.#problems.push({
        ingress: keyOf(ingress),
        reason: 'Unsupported',
        message: `the backend ${resource?.kind ?? ''} ${resource?.name ?? ''} is not a Service with a port; its rule is not served`,
      });
      return undefined;
    }
    return {
      namespace: ingress.metadata.namespace,
      service: service.name,
      port,
      ...(annotations.protocol === undefined ? {} : { protocol: annotations.protocol }),
    };
  }
}

/** `/a/` → `/a`, `/` → ``: prefixes are compared by whole elements. */
function withoutLastSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

const hostText = (host: string): string => (host === '' ? 'every host' : `host ${host}`);
