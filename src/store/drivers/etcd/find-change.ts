import { type Clock, type Log, messageOf } from '#base';
import { WriteUnknown } from '../../errors.ts';
import type { EtcdConnection } from './connection.ts';
import { EventStream } from './event-stream.ts';
import type { EtcdEvent } from './messages.ts';

export interface FindChangeOptions {
  readonly connection: EtcdConnection;
  readonly clock: Clock;
  readonly log: Log;
  /** Revisions, both included. */
  readonly from: number;
  readonly upTo: number;
  readonly test: (event: EtcdEvent) => boolean;
  readonly withinMs: number;
}

/** The first change in [from, upTo] that passes `test`; undefined when none does. Throws WriteUnknown when history cannot be read. */
export function findChange(options: FindChangeOptions): Promise<EtcdEvent | undefined> {
  const { connection, clock, log, from, upTo, test, withinMs } = options;
  if (from > upTo) return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => finish(() => reject(new WriteUnknown(why)));
    const finish = (act: () => void): void => {
      timer.cancel();
      stream.close();
      act();
    };
    const timer = clock.setTimer(() => fail('its outcome could not be read'), withinMs);
    const stream = new EventStream({
      ...{ connection, clock, log, from },
      onBatch: ({ revision, events }) => {
        const found = events.find(test);
        if (found !== undefined) finish(() => resolve(found));
        else if (revision >= upTo) finish(() => resolve(undefined));
      },
      onEnd: (error) => fail(messageOf(error)),
    });
  });
}
