import { CodedError } from '#base';

/** The revision asked for was compacted; `compactedRevision` is the oldest that can be named. */
export class Compacted extends CodedError {
  readonly compactedRevision: number;
  constructor(compactedRevision: number) {
    super('Compacted', `the requested revision has been compacted; the oldest kept is ${compactedRevision}`);
    this.compactedRevision = compactedRevision;
  }
}

/** The revision asked for has not happened. */
export class FutureRevision extends CodedError {
  constructor(asked: number, newest: number) {
    super('FutureRevision', `revision ${asked} is in the future; the newest is ${newest}`);
  }
}

/** A watcher did not take its events; it was cut off and must list and watch again. */
export class SlowWatcher extends CodedError {
  constructor(pending: number) {
    super('SlowWatcher', `the watcher left ${pending} events waiting and was cut off`);
  }
}

/** The disk or map is full: reads and deletes go on, this write was not made. */
export class StoreFull extends CodedError {
  constructor(detail: string, options?: ErrorOptions) {
    super('StoreFull', `the store is full (${detail}): delete objects or make room on its disk`, options);
  }
}

/** A value on disk does not match its checksum: it is never served. */
export class Corrupt extends CodedError {
  constructor(key: string) {
    super('Corrupt', `the stored value of ${key} does not match its checksum: restore the store from a backup`);
  }
}

/** The store failed or was closed; nothing was acknowledged after that. */
export class StoreClosed extends CodedError {
  constructor(why: string, options?: ErrorOptions) {
    super('StoreClosed', `the store is closed: ${why}`, options);
  }
}

/** The key or value is not one that a store can hold; nothing was written. */
export class InvalidWrite extends CodedError {
  constructor(detail: string) {
    super('InvalidWrite', `the store cannot hold this write: ${detail}`);
  }
}

/** The lease expired, was revoked or never existed. */
export class LeaseNotFound extends CodedError {
  constructor(id: string) {
    super('LeaseNotFound', `lease ${id} has expired or was revoked: grant a new one`);
  }
}

/** The servers of the store did not answer in time, or have no majority: reads of what is kept at hand go on, this was not done. */
export class StoreUnavailable extends CodedError {
  constructor(why: string, options?: ErrorOptions) {
    super('StoreUnavailable', `the store does not answer (${why}): see whether most of its servers run`, options);
  }
}

/** No answer to a write came in time: it may have been made, or not. Read before trying again. */
export class WriteUnknown extends CodedError {
  constructor(why: string, options?: ErrorOptions) {
    super(
      'WriteUnknown',
      `the store did not answer a write (${why}): it may have been made; read the object before trying again`,
      options,
    );
  }
}
