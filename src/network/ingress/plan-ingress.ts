import type { Ingress } from '#api';
import { type Destination, keyOfIngress, type Problem, type RoutePlan, readIngress } from './read-ingress.ts';

export interface CertificatePlan {
  readonly host: string;
  readonly namespace: string;
  readonly secret: string;
  readonly ingress: string;
}

export interface DefaultPlan extends Destination {
  /** '' is for every host. */
  readonly host: string;
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

/** Older first; of the same second, by name: every node decides alike. */
function byAge(a: Ingress, b: Ingress): number {
  const [aTime, bTime] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  if (aTime !== bTime) return aTime < bTime ? -1 : 1;
  const [aKey, bKey] = [keyOfIngress(a), keyOfIngress(b)];
  return aKey < bKey ? -1 : aKey > bKey ? 1 : 0;
}

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
    const { routes, hosts, fallback, problems } = readIngress(ingress);
    for (const problem of problems) this.#problems.push(problem);
    for (const { place, route } of routes) this.#addRoute(place, route);
    if (fallback !== undefined) this.#addDefault(fallback, hosts);
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

  #addRoute(place: string, route: RoutePlan): void {
    const older = this.#routes.get(place);
    if (older === undefined) this.#routes.set(place, route);
    else if (older.ingress !== route.ingress || older.backendKey !== route.backendKey)
      this.#conflict(
        route.ingress,
        `${route.type} ${route.path || '/'} of ${hostText(route.host)} is served by the older Ingress ${older.ingress}; this rule has no effect`,
      );
  }

  #addDefault(fallback: Destination, hosts: ReadonlySet<string>): void {
    if (hosts.size === 0 || hosts.has('')) {
      const older = this.#defaults.get('');
      if (older === undefined) this.#defaults.set('', { ...fallback, host: '' });
      else
        this.#conflict(
          fallback.ingress,
          `requests that no rule matches go to the default backend of the older Ingress ${older.ingress}; this one has no effect`,
        );
    }
    for (const host of hosts)
      if (host !== '' && !this.#defaults.has(host)) this.#defaults.set(host, { ...fallback, host });
    this.#fallback ??= { ...fallback, host: '' };
  }

  #addTls(ingress: Ingress, ruleHosts: ReadonlySet<string>): void {
    const { namespace } = ingress.metadata;
    for (const { hosts = [], secretName } of ingress.spec?.tls ?? []) {
      for (const host of hosts.length > 0 ? hosts.map((one) => one.toLowerCase()) : ruleHosts) {
        this.#tlsHosts.add(host);
        if (!secretName) continue;
        const older = this.#certificates.get(host);
        if (older === undefined)
          this.#certificates.set(host, { host, namespace, secret: secretName, ingress: keyOfIngress(ingress) });
        else if (older.namespace !== namespace || older.secret !== secretName)
          this.#conflict(
            keyOfIngress(ingress),
            `TLS of ${hostText(host)} has the certificate of the older Ingress ${older.ingress}; Secret ${secretName} is not used for it`,
          );
      }
    }
  }

  #conflict(ingress: string, message: string): void {
    this.#problems.push({ ingress, reason: 'Conflict', message });
  }
}

const hostText = (host: string): string => (host === '' ? 'every host' : `host ${host}`);
