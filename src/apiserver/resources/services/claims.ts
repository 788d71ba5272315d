import type { AnyObject, Service } from '#api';
import { cloneObject, errInvalid, errServerTimeout, invalidError, isInvalid } from '#machinery';
import { sleep } from '#base';
import type { Lease } from '#store';
import type { Release, ResourceContext } from '../context.ts';
import { holdingOf, type ServiceAllocator } from './allocator.ts';

const prefix = '/k8ts/claims/services/';
const leaseSeconds = 120;
const leaseUsedMs = 60_000;
const attempts = 24;
const looksWhenFull = 5;
const pauseMs = 20;
const followMs = 5000;

interface Claim {
  readonly key: string;
  readonly revision: number;
}

/** An address or a port that a Service newly has. */
interface Wanted {
  readonly key: string;
  readonly address?: string;
  readonly port?: number;
}

/**
 * Allocations where several servers give from the same ranges. What a Service is to get is claimed in the store, which one server can
 * at a time; then this server waits until it knows everything up to its claim, and looks whether a Service has it. The claim is given
 * back when the Service's own write is known, or ends with its lease.
 *
 *   A: claim ── look ── write ── give back         whoever claims after A gave back has seen A's Service;
 *   B:      ✗ claimed             claim ── look ✗  whoever claims before waits or takes another
 */
export class ServiceClaims {
  readonly #context: ResourceContext;
  readonly #allocator: ServiceAllocator;
  #lease: { readonly untilMs: number; readonly lease: Promise<Lease> } | undefined;

  constructor(context: ResourceContext, allocator: ServiceAllocator) {
    this.#context = context;
    this.#allocator = allocator;
  }

  /** As `ServiceAllocator.hold`, against all servers. */
  async hold(draft: AnyObject, old: AnyObject | undefined): Promise<Release> {
    const asked = cloneObject(draft);
    const explicit = new Set(wantedBy(asked, old).map(({ key }) => key));
    for (let attempt = 1; ; attempt++) {
      draft['spec'] = cloneObject(asked)['spec'];
      const release = await this.#holdHere(draft, old, attempt);
      if (release === undefined) continue;
      const wanted = wantedBy(draft, old);
      const claims: Claim[] = [];
      const giveBack = (): void => {
        release();
        for (const claim of claims) void this.#drop(claim);
      };
      try {
        const taken = await this.#claimAll(wanted, claims);
        if (taken === undefined) return giveBack;
        if (explicit.has(taken.key)) throw refused(draft, taken);
        if (attempt === attempts) throw errServerTimeout({ group: '', plural: 'services' }, 'create', 1);
        giveBack();
      } catch (error) {
        giveBack();
        throw error;
      }
    }
  }

  /** What cannot be had by what is known here may have been given back on another server: undefined says to look again. */
  async #holdHere(draft: AnyObject, old: AnyObject | undefined, attempt: number): Promise<Release | undefined> {
    try {
      return this.#allocator.hold(draft, old);
    } catch (error) {
      if (attempt >= (isInvalid(error) ? 2 : looksWhenFull)) throw error;
      await this.#context.feed.fresh();
      if (attempt > 1) await sleep(this.#context.clock, pauseMs);
      return undefined;
    }
  }

  /** Undefined when all are this server's; else the first that somebody else has. */
  async #claimAll(wanted: readonly Wanted[], claims: Claim[]): Promise<Wanted | undefined> {
    if (wanted.length === 0) return undefined;
    const { store, feed } = this.#context;
    const lease = await this.#leaseNow();
    const results = await Promise.all(
      wanted.map((one) => store.write({ key: one.key, value: new Uint8Array(0), ifModRevision: 0, lease })),
    );
    let newest = 0;
    for (const [i, { applied, revision }] of results.entries()) {
      newest = Math.max(newest, revision);
      if (applied) claims.push({ key: (wanted[i] as Wanted).key, revision });
    }
    const claimed = wanted.find((_, i) => results[i]?.applied === false);
    if (claimed !== undefined) return claimed;
    if (!(await feed.reachedWithin(newest, followMs)))
      throw errServerTimeout({ group: '', plural: 'services' }, 'create', 1);
    return wanted.find((one) => this.#allocator.holders(one) > 1);
  }

  async #drop({ key, revision }: Claim): Promise<void> {
    await this.#context.store.write({ key, ifModRevision: revision }).catch(() => {});
  }

  #leaseNow(): Promise<Lease> {
    const { store, clock } = this.#context;
    const nowMs = clock.monotonicMs();
    if (this.#lease === undefined || nowMs >= this.#lease.untilMs) {
      const lease = store.grantLease(leaseSeconds);
      this.#lease = { untilMs: nowMs + leaseUsedMs, lease };
      lease.catch(() => {
        this.#lease = undefined;
      });
    }
    return this.#lease.lease;
  }
}

/** What `draft` has that `old` has not. */
function wantedBy(draft: AnyObject, old: AnyObject | undefined): Wanted[] {
  const before = old === undefined ? { addresses: [], ports: [] } : holdingOf(old);
  const { addresses, ports } = holdingOf(draft);
  return [
    ...addresses
      .filter((one) => one !== '' && !before.addresses.includes(one))
      .map((address) => ({ key: `${prefix}addresses/${address}`, address })),
    ...[...new Set(ports)]
      .filter((one) => !before.ports.includes(one))
      .map((port) => ({ key: `${prefix}ports/${port}`, port })),
  ];
}

function refused(draft: AnyObject, { address, port }: Wanted): Error {
  const service = draft as unknown as Service;
  const error =
    address === undefined
      ? invalidError('spec.ports[].nodePort', port, 'provided port is already allocated')
      : invalidError(
          'spec.clusterIPs',
          [address],
          `failed to allocate IP ${address}: provided IP is already allocated`,
        );
  return errInvalid({ group: '', kind: 'Service' }, service.metadata.name, [error]);
}
