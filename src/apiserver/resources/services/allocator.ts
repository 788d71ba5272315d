import type { AnyObject, Service, ServiceCIDR } from '#api';
import type { Random } from '#base';
import { errInternal, errInvalid, type FieldError, invalidError } from '#machinery';
import type { ObjectView } from '../../contract.ts';
import { AddressPools } from './address-pools.ts';
import { type AddressRange, NumberPool } from './address-range.ts';

export interface ServiceNetwork {
  /** Service CIDRs, the primary family first. */
  readonly ranges: readonly string[];
  readonly nodePorts: readonly [first: number, last: number];
}

export interface ServiceViews {
  readonly services: ObjectView;
  readonly serviceCidrs: ObjectView;
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
  /** Address families of the server's own ranges, the primary first: further ranges add none. */
  readonly families: readonly AddressRange['family'][];
  readonly nodePorts: readonly [first: number, last: number];
  readonly #addresses: AddressPools;
  readonly #ownRanges: readonly string[];
  readonly #ports: NumberPool;
  readonly #view: ObjectView;
  readonly #cidrs: ObjectView;
  #started: Promise<void> | undefined;

  constructor(network: ServiceNetwork, views: ServiceViews, random: Random) {
    this.nodePorts = network.nodePorts;
    this.#ownRanges = network.ranges;
    this.#view = views.services;
    this.#cidrs = views.serviceCidrs;
    this.#addresses = new AddressPools(network.ranges, random);
    this.families = this.#addresses.ranges.map(({ family }) => family);
    const [first, last] = network.nodePorts;
    this.#ports = new NumberPool({ first, last, reserved: portsReserved(last - first + 1), random });
  }

  /** Resolves when every Service's holdings are counted. */
  get ready(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  async #start(): Promise<void> {
    await Promise.all([this.#view.ready, this.#cidrs.ready]);
    this.#takeRanges();
    this.#cidrs.onChange(() => this.#takeRanges());
    for (const service of this.#view.list()) this.#count(holdingOf(service), 1);
    this.#view.onChange(({ object, old }) => {
      if (object !== undefined) this.#count(holdingOf(object), 1);
      if (old !== undefined) this.#count(holdingOf(old), -1);
    });
  }

  /** ServiceCIDRs that are not being deleted, beside the server's own ranges. */
  #takeRanges(): void {
    const wanted = new Set(this.#ownRanges);
    for (const { metadata, ...rest } of this.#cidrs.list()) {
      if (metadata.deletionTimestamp !== undefined) continue;
      for (const cidr of (rest as unknown as ServiceCIDR).spec?.cidrs ?? []) wanted.add(cidr);
    }
    for (const { cidr } of this.#addresses.ranges) if (!wanted.has(cidr)) this.#addresses.remove(cidr);
    for (const cidr of wanted) this.#addresses.add(cidr);
  }

  #count({ addresses, ports }: Holding, by: 1 | -1): void {
    for (const address of addresses) {
      if (by > 0) this.#addresses.take(address);
      else this.#addresses.give(address);
    }
    for (const port of new Set(ports)) {
      if (by > 0) this.#ports.take(port);
      else this.#ports.give(port);
    }
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
    return this.#addresses.holders(address ?? '');
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
        const why = !this.#addresses.isInRange(asked)
          ? this.#outside(asked, family)
          : this.#addresses.holders(asked) > 0
            ? 'provided IP is already allocated'
            : undefined;
        if (why !== undefined) {
          throw invalid(service, [
            invalidError('spec.clusterIPs', addresses, `failed to allocate IP ${asked}: ${why}`),
          ]);
        }
        this.#addresses.take(asked);
        taken.push(() => this.#addresses.give(asked));
        continue;
      }
      const address = this.#addresses.next(family);
      if (address === undefined) throw errInternal(`failed to allocate a serviceIP: range is full`);
      taken.push(() => this.#addresses.give(address));
      addresses[index] = address;
    }
    spec.clusterIPs = addresses;
    if (addresses[0] !== undefined) spec.clusterIP = addresses[0];
  }

  #outside(address: string, family: string): string {
    const range = this.#addresses.ranges.find((one) => one.family === family);
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
