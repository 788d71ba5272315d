import type { AnyObject, Service } from '#api';
import type { Random } from '#base';
import { errInternal, errInvalid, type FieldError, invalidError } from '#machinery';
import type { ObjectView } from '../../contract.ts';
import { type AddressRange, NumberPool, parseAddressRange, reservedForRequests } from './address-range.ts';

export interface ServiceNetwork {
  /** Service CIDRs, the primary family first. */
  readonly ranges: readonly string[];
  readonly nodePorts: readonly [first: number, last: number];
}

/** What an object holds of the pools. */
interface Holding {
  readonly addresses: readonly string[];
  readonly ports: readonly number[];
}

/**
 * Cluster addresses and node ports of Services: who holds what is counted from the Services themselves (so nothing leaks and a restart
 * loses nothing), and an allocation in flight is held until its write has come back through the cache or failed.
 */
export class ServiceAllocator {
  readonly ranges: readonly AddressRange[];
  readonly nodePorts: readonly [first: number, last: number];
  readonly #pools: readonly NumberPool[];
  readonly #ports: NumberPool;
  readonly #view: ObjectView;
  #started: Promise<void> | undefined;

  constructor(network: ServiceNetwork, view: ObjectView, random: Random) {
    this.ranges = network.ranges.map(parseAddressRange);
    this.nodePorts = network.nodePorts;
    this.#view = view;
    this.#pools = this.ranges.map(
      ({ size }) => new NumberPool({ first: 1, last: size, reserved: reservedForRequests(size, 16, 16), random }),
    );
    const [first, last] = network.nodePorts;
    this.#ports = new NumberPool({ first, last, reserved: portsReserved(last - first + 1), random });
  }

  /** Resolves when every Service's holdings are counted. */
  get ready(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  async #start(): Promise<void> {
    await this.#view.ready;
    for (const service of this.#view.list()) this.#count(holdingOf(service), 1);
    this.#view.onChange(({ object, old }) => {
      if (object !== undefined) this.#count(holdingOf(object), 1);
      if (old !== undefined) this.#count(holdingOf(old), -1);
    });
  }

  #count({ addresses, ports }: Holding, by: 1 | -1): void {
    for (const address of addresses) {
      const place = this.#placeOf(address);
      if (place !== undefined) {
        if (by > 0) place.pool.take(place.offset);
        else place.pool.give(place.offset);
      }
    }
    for (const port of new Set(ports)) {
      if (by > 0) this.#ports.take(port);
      else this.#ports.give(port);
    }
  }

  #placeOf(address: string): { readonly pool: NumberPool; readonly offset: number } | undefined {
    for (const [index, range] of this.ranges.entries()) {
      const offset = range.offsetOf(address);
      if (offset !== undefined) return { pool: this.#pools[index] as NumberPool, offset };
    }
    return undefined;
  }

  /**
   * Fills in what `draft` lacks and holds what it newly has. Returns a function that lets go of the hold: to be called when the write
   * failed, or when it has come back through the view. Throws 422 for what cannot be had.
   */
  hold(draft: AnyObject, old: AnyObject | undefined): () => void {
    const service = draft as unknown as Service;
    const before = old === undefined ? { addresses: [], ports: [] } : holdingOf(old);
    const taken: (() => void)[] = [];
    const release = (): void => {
      for (const give of taken.splice(0)) give();
    };
    try {
      this.#holdAddresses(service, before, taken);
      this.#holdPorts(service, before, taken);
    } catch (error) {
      release();
      throw error;
    }
    return release;
  }

  /** How many hold an address or a port, those in flight included. */
  holders({ address, port }: { readonly address?: string; readonly port?: number }): number {
    if (port !== undefined) return this.#ports.holders(port);
    const place = this.#placeOf(address ?? '');
    return place === undefined ? 0 : place.pool.holders(place.offset);
  }

  #holdAddresses(service: Service, before: Holding, taken: (() => void)[]): void {
    const spec = service.spec as NonNullable<Service['spec']>;
    if (spec.type === 'ExternalName' || spec.clusterIP === 'None') return;
    const families = spec.ipFamilies ?? [];
    const addresses: string[] = [...(spec.clusterIPs ?? [])];
    for (const [index, family] of families.entries()) {
      const asked = addresses[index];
      if (asked !== undefined && asked !== '') {
        if (before.addresses.includes(asked)) continue;
        const place = this.#placeOf(asked);
        const why =
          place === undefined
            ? this.#outside(asked, family)
            : place.pool.has(place.offset)
              ? 'provided IP is already allocated'
              : undefined;
        if (why !== undefined || place === undefined) {
          throw invalid(service, [
            invalidError('spec.clusterIPs', addresses, `failed to allocate IP ${asked}: ${why}`),
          ]);
        }
        place.pool.take(place.offset);
        taken.push(() => place.pool.give(place.offset));
        continue;
      }
      const rangeIndex = this.ranges.findIndex((range) => range.family === family);
      const pool = this.#pools[rangeIndex];
      const offset = pool?.next();
      if (pool === undefined || offset === undefined) {
        throw errInternal(`failed to allocate a serviceIP: range is full`);
      }
      taken.push(() => pool.give(offset));
      addresses[index] = (this.ranges[rangeIndex] as AddressRange).addressAt(offset);
    }
    spec.clusterIPs = addresses;
    if (addresses[0] !== undefined) spec.clusterIP = addresses[0];
  }

  #outside(address: string, family: string): string {
    const range = this.ranges.find((one) => one.family === family);
    return `the provided IP (${address}) is not in the valid range. The range of valid IPs is ${range?.cidr ?? ''}`;
  }

  #holdPorts(service: Service, before: Holding, taken: (() => void)[]): void {
    const spec = service.spec as NonNullable<Service['spec']>;
    const mine = new Set<number>();
    const take = (port: number, field: string): void => {
      if (before.ports.includes(port) || mine.has(port)) return;
      const [first, last] = this.nodePorts;
      if (!this.#ports.inRange(port)) {
        throw invalid(service, [
          invalidError(
            field,
            port,
            `provided port is not in the valid range. The range of valid ports is ${first}-${last}`,
          ),
        ]);
      }
      if (this.#ports.has(port))
        throw invalid(service, [invalidError(field, port, 'provided port is already allocated')]);
      mine.add(port);
      this.#ports.take(port);
      taken.push(() => this.#ports.give(port));
    };
    const next = (): number => {
      const port = this.#ports.next();
      if (port === undefined) throw errInternal('failed to allocate a nodePort: range is full');
      mine.add(port);
      taken.push(() => this.#ports.give(port));
      return port;
    };
    const ports = spec.ports ?? [];
    for (const [index, { nodePort }] of ports.entries()) if (nodePort) take(nodePort, `spec.ports[${index}].nodePort`);
    if (wantsNodePorts(service)) {
      const given = new Map<string, number>();
      for (const one of ports) {
        if (one.nodePort) given.set(`${one.port}`, one.nodePort);
      }
      for (const one of ports) {
        if (one.nodePort) continue;
        // The same port under another protocol shares its node port.
        const twin = ports.find(
          (other) => other !== one && other.port === one.port && other.protocol !== one.protocol && other.nodePort,
        );
        const shared = twin?.nodePort;
        const used =
          shared !== undefined && ports.some((other) => other.nodePort === shared && other.protocol === one.protocol);
        one.nodePort = shared !== undefined && !used ? shared : next();
      }
    }
    if (wantsHealthCheckPort(service)) {
      if (spec.healthCheckNodePort) take(spec.healthCheckNodePort, 'spec.healthCheckNodePort');
      else spec.healthCheckNodePort = next();
    }
  }
}

function portsReserved(size: number): number {
  return size <= 16 ? 0 : Math.min(128, Math.max(16, Math.floor(size / 32)));
}

export function holdingOf(object: AnyObject): Holding {
  const { spec } = object as unknown as Service;
  const addresses =
    spec?.type === 'ExternalName' || spec?.clusterIP === 'None'
      ? []
      : (spec?.clusterIPs ?? (spec?.clusterIP ? [spec.clusterIP] : []));
  const ports = (spec?.ports ?? []).flatMap(({ nodePort }) => (nodePort ? [nodePort] : []));
  if (spec?.healthCheckNodePort) ports.push(spec.healthCheckNodePort);
  return { addresses, ports };
}

export function wantsNodePorts({ spec }: Service): boolean {
  return spec?.type === 'NodePort' || (spec?.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
}

export function wantsHealthCheckPort({ spec }: Service): boolean {
  return spec?.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';
}

function invalid(service: Service, errors: FieldError[]): Error {
  return errInvalid({ group: '', kind: 'Service' }, service.metadata.name, errors);
}
