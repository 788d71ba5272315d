/** One Service as names see it. */
export interface NamedService {
  readonly name: string;
  readonly namespace: string;
  /** ExternalName: the name it stands for. */
  readonly alias?: string;
  /** Cluster addresses; empty for headless ones. */
  readonly addresses: readonly string[];
  readonly headless: boolean;
  readonly ports: readonly NamedPort[];
  readonly endpoints: readonly Endpoint[];
}

export interface NamedPort {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
}

export interface Endpoint {
  readonly address: string;
  readonly hostname: string;
  readonly ports: readonly NamedPort[];
}

export type DnsRecord =
  | { readonly type: 'A'; readonly name: string; readonly data: string }
  | { readonly type: 'CNAME' | 'PTR'; readonly name: string; readonly data: string }
  | { readonly type: 'TXT'; readonly name: string; readonly data: string }
  | {
      readonly type: 'SRV';
      readonly name: string;
      readonly data: {
        readonly priority: number;
        readonly weight: number;
        readonly port: number;
        readonly target: string;
      };
    };

/** `exists` false: there is no such name (NXDOMAIN). True without answers: the name has no record of this type. */
export interface Lookup {
  readonly exists: boolean;
  readonly answers: readonly DnsRecord[];
  readonly additional: readonly DnsRecord[];
  /** A name outside the cluster that the answer goes on with. */
  readonly follow?: string;
}

const missing: Lookup = { exists: false, answers: [], additional: [] };
const empty: Lookup = { exists: true, answers: [], additional: [] };
const dashedAddress = /^\d{1,3}(-\d{1,3}){3}$/;

/**
 * The names of a cluster, by the Kubernetes DNS specification 1.1.0:
 *
 *   web.default.svc.cluster.local            A     the Service's address, or all endpoints of a headless one
 *   db-0.db.default.svc.cluster.local        A     one endpoint of a headless Service
 *   _http._tcp.web.default.svc.cluster.local SRV   port and target
 *   10-244-1-7.default.pod.cluster.local     A     10.244.1.7
 *   7.0.96.10.in-addr.arpa                   PTR   the name of an address
 */
export class ClusterNames {
  readonly domain: string;
  /** Another number whenever any name may have another answer. */
  version = 0;
  readonly #services = new Map<string, NamedService>();
  readonly #namespaces = new Map<string, number>();
  readonly #pointers = new Map<string, Map<string, string>>();

  constructor(domain: string) {
    this.domain = domain.toLowerCase();
  }

  /** All Services, to be kept and given back to `set`. */
  entries(): IterableIterator<[key: string, service: NamedService]> {
    return this.#services.entries();
  }

  set(key: string, service: NamedService): void {
    this.delete(key);
    this.version++;
    this.#services.set(key, service);
    this.#namespaces.set(service.namespace, (this.#namespaces.get(service.namespace) ?? 0) + 1);
    for (const [address, name] of this.#pointersOf(service)) {
      const names = this.#pointers.get(address) ?? new Map<string, string>();
      names.set(key, name);
      this.#pointers.set(address, names);
    }
  }

  delete(key: string): void {
    const service = this.#services.get(key);
    if (service === undefined) return;
    this.version++;
    this.#services.delete(key);
    const left = (this.#namespaces.get(service.namespace) ?? 1) - 1;
    if (left === 0) this.#namespaces.delete(service.namespace);
    else this.#namespaces.set(service.namespace, left);
    for (const [address] of this.#pointersOf(service)) {
      const names = this.#pointers.get(address);
      names?.delete(key);
      if (names?.size === 0) this.#pointers.delete(address);
    }
  }

  /** True when this table alone answers for the name. */
  owns(name: string): boolean {
    return name === this.domain || name.endsWith(`.${this.domain}`);
  }

  lookup(name: string, type: string): Lookup {
    const labels = name.slice(0, -this.domain.length - 1).split('.');
    if (name === this.domain) return empty;
    if (labels.length === 1 && labels[0] === 'dns-version') {
      return type === 'TXT' ? { ...empty, answers: [{ type: 'TXT', name, data: '1.1.0' }] } : empty;
    }
    const zone = labels.pop();
    if (zone === 'pod') return this.#pod(name, labels, type);
    if (zone !== 'svc') return missing;
    const namespace = labels.pop();
    if (namespace === undefined) return empty;
    const serviceName = labels.pop();
    if (serviceName === undefined) return this.#namespaces.has(namespace) ? empty : missing;
    const service = this.#services.get(`${namespace}/${serviceName}`);
    if (service === undefined) return missing;
    if (labels.length === 0) return this.#service(name, service, type);
    if (labels.length === 1) return this.#endpoint(name, service, labels[0] as string, type);
    if (labels.length === 2) return this.#ports(name, service, labels[0] as string, labels[1] as string, type);
    return missing;
  }

  /** The name of an address inside the cluster; undefined when it is none of ours. */
  pointer(address: string): readonly string[] | undefined {
    const names = this.#pointers.get(address);
    return names === undefined ? undefined : [...names.values()];
  }

  #fullName(service: NamedService, host?: string): string {
    return `${host === undefined ? '' : `${host}.`}${service.name}.${service.namespace}.svc.${this.domain}`;
  }

  #pointersOf(service: NamedService): [string, string][] {
    if (!service.headless) return service.addresses.map((address) => [address, this.#fullName(service)]);
    return service.endpoints.map((one) => [one.address, this.#fullName(service, one.hostname)]);
  }

  #service(name: string, service: NamedService, type: string): Lookup {
    if (service.alias !== undefined) {
      return {
        exists: true,
        answers: [{ type: 'CNAME', name, data: service.alias }],
        additional: [],
        follow: service.alias,
      };
    }
    if (service.headless && service.endpoints.length === 0) return missing;
    if (type === 'A') {
      const addresses = service.headless
        ? [...new Set(service.endpoints.map((one) => one.address))]
        : service.addresses;
      return { ...empty, answers: addresses.map((data) => ({ type: 'A', name, data })) };
    }
    if (type === 'SRV') return this.#srv(name, service, () => true);
    return empty;
  }

  #endpoint(name: string, service: NamedService, host: string, type: string): Lookup {
    const found = service.endpoints.filter(
      (one) => one.hostname.toLowerCase() === host || one.address.replaceAll('.', '-') === host,
    );
    if (found.length === 0) return missing;
    return type === 'A' ? { ...empty, answers: found.map((one) => ({ type: 'A', name, data: one.address })) } : empty;
  }

  #ports(name: string, service: NamedService, port: string, protocol: string, type: string): Lookup {
    const matches = (one: NamedPort): boolean =>
      (port === '*' || `_${one.name}` === port) && (protocol === '*' || `_${one.protocol}` === protocol);
    const result = this.#srv(name, service, matches);
    if (result.answers.length === 0) return missing;
    return type === 'SRV' ? result : empty;
  }

  #srv(name: string, service: NamedService, matches: (port: NamedPort) => boolean): Lookup {
    const answers: DnsRecord[] = [];
    const additional: DnsRecord[] = [];
    const add = (target: string, address: string, ports: readonly NamedPort[], weight: number): void => {
      for (const port of ports.filter(matches))
        answers.push({ type: 'SRV', name, data: { priority: 0, weight, port: port.port, target } });
      additional.push({ type: 'A', name: target, data: address });
    };
    const count = service.headless ? service.endpoints.length : service.addresses.length;
    const weight = Math.max(1, Math.floor(100 / Math.max(1, count)));
    if (service.headless)
      for (const one of service.endpoints) add(this.#fullName(service, one.hostname), one.address, one.ports, weight);
    else for (const address of service.addresses) add(this.#fullName(service), address, service.ports, weight);
    return { exists: true, answers, additional: answers.length === 0 ? [] : additional };
  }

  #pod(name: string, labels: readonly string[], type: string): Lookup {
    if (labels.length === 0) return empty;
    if (labels.length !== 2 || !dashedAddress.test(labels[0] as string)) return missing;
    const data = (labels[0] as string).replaceAll('-', '.');
    return type === 'A' ? { ...empty, answers: [{ type: 'A', name, data }] } : empty;
  }
}
