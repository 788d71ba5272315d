import { type Clock, CodedError, type Log, messageOf, silentLog, sleep } from '#base';
import { EtcdConnection, type EtcdTls } from './connection.ts';
import { type EtcdMember, methods } from './messages.ts';

/** A member of a cluster of etcd. */
export interface StoreMember {
  /** Hexadecimal, as etcd prints it. */
  readonly id: string;
  /** '' until it has started. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  /** It follows, and has no vote yet. */
  readonly isLearner: boolean;
}

export interface StoreMembers {
  list(): Promise<readonly StoreMember[]>;
  /** Adds a member that is still to be started; until it is promoted, the others need not wait for it. */
  addLearner(peerUrl: string): Promise<{ readonly added: StoreMember; readonly members: readonly StoreMember[] }>;
  /** Gives a learner its vote, as soon as it has caught up. Rejects with StoreMember after `timeoutMs`. */
  promote(id: string, timeoutMs: number): Promise<void>;
  remove(id: string): Promise<void>;
  close(): void;
}

const addWithinMs = 30_000;
const addEveryMs = 500;
/** Refusals, with nothing done, while a member that was added just before has not been heard for long enough or has no vote yet. */
const notYet = /unhealthy cluster|too many learner members|not enough started members/;
const promoteEveryMs = 300;
const promoteAttemptMs = 5000;

/** Opens the membership of a cluster of etcd. */
export function openEtcdMembers(options: {
  readonly urls: readonly string[];
  readonly tls?: EtcdTls;
  readonly clock: Clock;
  readonly log?: Log;
}): StoreMembers {
  const { urls, tls, clock, log = silentLog } = options;
  const connection = new EtcdConnection({ urls, tls, clock, log });
  return {
    async list() {
      return (await connection.call(methods.memberList, {})).value.members.map(memberOf);
    },
    async addLearner(peerUrl) {
      const request = { peerUrls: [peerUrl], isLearner: true };
      const endMs = clock.monotonicMs() + addWithinMs;
      for (;;) {
        try {
          const limitMs = Math.max(1, endMs - clock.monotonicMs());
          const { value } = await connection.call(methods.memberAdd, request, { changes: 'once', limitMs });
          if (value.member === undefined) throw new CodedError('StoreMember', 'etcd named no member that it added');
          return { added: memberOf(value.member), members: value.members.map(memberOf) };
        } catch (error) {
          if (!notYet.test(messageOf(error)) || clock.monotonicMs() > endMs) throw error;
        }
        await sleep(clock, addEveryMs);
      }
    },
    async promote(id, timeoutMs) {
      const endMs = clock.monotonicMs() + timeoutMs;
      for (;;) {
        try {
          await connection.call(methods.memberPromote, { id: BigInt(`0x${id}`) }, { limitMs: promoteAttemptMs });
          return;
        } catch (error) {
          if (messageOf(error).includes('not a learner')) return;
          if (clock.monotonicMs() > endMs)
            throw new CodedError('StoreMember', `the member ${id} of etcd did not catch up: ${messageOf(error)}`, {
              cause: error,
            });
        }
        await sleep(clock, promoteEveryMs);
      }
    },
    async remove(id) {
      await connection.call(methods.memberRemove, { id: BigInt(`0x${id}`) }, { limitMs: addWithinMs });
    },
    close: () => connection.close(),
  };
}

function memberOf({ id, name, peerUrls, clientUrls, isLearner }: EtcdMember): StoreMember {
  return { id: id.toString(16), name, peerUrls, clientUrls, isLearner };
}
