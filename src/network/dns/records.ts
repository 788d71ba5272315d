import type { EndpointSlice, Service } from '#api';
import { ClusterNames, type Endpoint, type NamedService } from './names.ts';

const ipv4 = /^\d{1,3}(\.\d{1,3}){3}$/;
const serviceNameLabel = 'kubernetes.io/service-name';

/**
 * Feeds the table of names from Services and EndpointSlices, one object at a time. Names of an earlier run stay until everything was
 * listed once (`settle`): without the API server they are the best there is.
 */
export class ClusterRecords {
  readonly names: ClusterNames;
  readonly #services = new Map<string, Service>();
  readonly #slices = new Map<string, Map<string, EndpointSlice>>();
  #restored: Set<string> | undefined;

  constructor(domain: string) {
    this.names = new ClusterNames(domain);
  }

  /** Takes over what an earlier run knew. */
  restore(services: Iterable<readonly [key: string, service: NamedService]>): void {
    this.#restored ??= new Set();
    for (const [key, service] of services) {
      this.names.set(key, service);
      this.#restored.add(key);
    }
  }

  /** All Services and slices have been seen: what is left of an earlier run goes. */
  settle(): void {
    const restored = this.#restored ?? [];
    this.#restored = undefined;
    for (const key of restored) this.#refresh(key);
  }

  setService(service: Service, deleted: boolean): void {
    const key = `${service.metadata.namespace}/${service.metadata.name}`;
    if (deleted) this.#services.delete(key);
    else this.#services.set(key, service);
    this.#refresh(key);
  }

  setSlice(slice: EndpointSlice, deleted: boolean): void {
    const name = slice.metadata.labels?.[serviceNameLabel];
    if (name === undefined) return;
    const key = `${slice.metadata.namespace}/${name}`;
    const slices = this.#slices.get(key) ?? new Map<string, EndpointSlice>();
    if (deleted) slices.delete(slice.metadata.name);
    else slices.set(slice.metadata.name, slice);
    if (slices.size === 0) this.#slices.delete(key);
    else this.#slices.set(key, slices);
    this.#refresh(key);
  }

  #refresh(key: string): void {
    if (this.#restored?.has(key)) return;
    const service = this.#services.get(key);
    if (service === undefined) return this.names.delete(key);
    const { spec, metadata } = service;
    const headless = spec.clusterIP === 'None';
    this.names.set(key, {
      name: metadata.name,
      namespace: metadata.namespace,
      ...(spec.type === 'ExternalName' && spec.externalName !== undefined ? { alias: spec.externalName } : {}),
      addresses: headless ? [] : (spec.clusterIPs ?? [spec.clusterIP ?? '']).filter((one) => ipv4.test(one)),
      headless,
      ports: (spec.ports ?? []).map((port) => ({
        name: port.name ?? '',
        protocol: (port.protocol ?? 'TCP').toLowerCase(),
        port: port.port,
      })),
      endpoints: headless ? this.#endpoints(key) : [],
    });
  }

  #endpoints(key: string): Endpoint[] {
    const found: Endpoint[] = [];
    for (const slice of this.#slices.get(key)?.values() ?? []) {
      if (slice.addressType !== 'IPv4') continue;
      const ports = (slice.ports ?? []).map((port) => ({
        name: port.name ?? '',
        protocol: (port.protocol ?? 'TCP').toLowerCase(),
        port: port.port ?? 0,
      }));
      for (const endpoint of slice.endpoints ?? []) {
        if (endpoint.conditions?.ready === false) continue;
        for (const address of endpoint.addresses) {
          if (ipv4.test(address))
            found.push({ address, hostname: endpoint.hostname ?? address.replaceAll('.', '-'), ports });
        }
      }
    }
    return found;
  }
}
