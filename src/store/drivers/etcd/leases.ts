import type { Lease } from '../../contract.ts';
import { InvalidWrite, LeaseNotFound, StoreUnavailable } from '../../errors.ts';
import type { EtcdConnection } from './connection.ts';
import { type EtcdFailure, Lost } from './failures.ts';
import { methods } from './messages.ts';

export interface EtcdLeasesOptions {
  readonly connection: EtcdConnection;
  /** Resolves when the writes that are on their way have their answers. */
  readonly settled: () => Promise<void>;
  /** What a failed call means to a caller of the store. */
  readonly explain: (error: unknown) => Error;
  /** After a call: the revision etcd was at. */
  readonly learn: (revision: number) => void;
}

const attempts = 4;
const attemptMs = 3000;

/** Leases of etcd: they live on there, and only there, when this process ends. */
export class EtcdLeases {
  readonly #options: EtcdLeasesOptions;
  readonly #ended = new Set<bigint>();

  constructor(options: EtcdLeasesOptions) {
    this.#options = options;
  }

  async grant(ttlSeconds: number): Promise<Lease> {
    if (!(ttlSeconds > 0)) throw new InvalidWrite(`a lease of ${ttlSeconds} seconds`);
    const { connection, explain } = this.#options;
    const request = { ttl: Math.ceil(ttlSeconds) };
    const { value } = await connection.call(methods.leaseGrant, request).catch((error) => {
      throw explain(error);
    });
    const { id } = value;
    return {
      id: id.toString(16),
      ttlSeconds,
      keepAlive: () => this.#keepAlive(id),
      revoke: () => this.#revoke(id),
    };
  }

  /** The number of a lease that may still be used. Throws LeaseNotFound. */
  idOf(lease: Lease): bigint {
    const id = /^[0-9a-f]{1,16}$/.test(lease.id) ? BigInt(`0x${lease.id}`) : 0n;
    if (id === 0n || this.#ended.has(id)) throw new LeaseNotFound(lease.id);
    return id;
  }

  async #keepAlive(id: bigint): Promise<void> {
    if (this.#ended.has(id)) throw new LeaseNotFound(id.toString(16));
    let why = '';
    for (let attempt = 0; attempt < attempts; attempt++) {
      const ttl = await this.#keepAliveOnce(id).catch((error: EtcdFailure) => {
        if (!(error instanceof Lost)) throw this.#options.explain(error);
        why = error.message;
        return undefined;
      });
      if (ttl === undefined) continue;
      if (ttl > 0) return;
      this.#ended.add(id);
      throw new LeaseNotFound(id.toString(16));
    }
    throw new StoreUnavailable(why);
  }

  /** The seconds that the lease has again; 0: it is gone. */
  #keepAliveOnce(id: bigint): Promise<number> {
    const { connection } = this.#options;
    return new Promise((resolve, reject) => {
      let stream: { cancel(): void } | undefined;
      let answered = false;
      const settle = (act: () => void): void => {
        answered = true;
        timer.cancel();
        stream?.cancel();
        act();
      };
      const timer = connection.timer(attemptMs, () => settle(() => reject(new Lost('no answer', true))));
      stream = connection.stream(
        methods.leaseKeepAlive,
        { id },
        {
          onAnswer: ({ ttl }) => settle(() => resolve(ttl)),
          onEnd: (why) => {
            if (!answered) settle(() => reject(why ?? new Lost('it was cancelled', true)));
          },
        },
      );
      if (answered) stream.cancel();
    });
  }

  async #revoke(id: bigint): Promise<void> {
    const { connection, settled, explain, learn } = this.#options;
    this.#ended.add(id);
    await settled();
    try {
      const { value } = await connection.call(methods.leaseRevoke, { id });
      learn(value.header?.revision ?? 0);
    } catch (error) {
      const explained = explain(error);
      if (!(explained instanceof LeaseNotFound)) throw explained;
    }
  }
}
