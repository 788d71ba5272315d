import { status } from '@grpc/grpc-js';
import { messageOf } from '#base';

/** A call that failed. */
export type EtcdFailure = EtcdError | Lost;

/** etcd answered with an error: nothing was done. */
export class EtcdError extends Error {
  readonly status: number;
  readonly mayBeDone = false;
  constructor(code: number, details: string) {
    super(details);
    this.status = code;
  }
}

/** No answer, or one that says to ask again. */
export class Lost extends Error {
  /** The request may have been done, or be done later. */
  readonly mayBeDone: boolean;
  constructor(details: string, mayBeDone: boolean) {
    super(details);
    this.mayBeDone = mayBeDone;
  }
}

const answers = new Set<number>([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.ALREADY_EXISTS,
  status.PERMISSION_DENIED,
  status.RESOURCE_EXHAUSTED,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE,
  status.UNIMPLEMENTED,
  status.DATA_LOSS,
  status.UNAUTHENTICATED,
]);

/** Said before a request enters etcd's log, or by this side before it was sent. */
const notDone = [
  'no leader',
  'proposal dropped',
  'too many requests',
  'No connection established',
  'Name resolution failed',
  'Waiting for LB pick',
  'waiting for name resolution',
  'not capable',
  'not supported for learner',
  // Of changes of members: some seconds after the last one it is another answer.
  'unhealthy cluster',
  'too many learner members',
  'not enough started members',
];

/** What an error of gRPC means for the request. */
export function failureOf(error: {
  readonly code?: number;
  readonly details?: string;
  readonly message?: string;
}): EtcdFailure {
  const details = error.details || messageOf(error);
  const code = error.code ?? status.UNKNOWN;
  const untouched = notDone.some((one) => details.includes(one));
  if (answers.has(code) && !untouched) return new EtcdError(code, details.replace(/^etcdserver: (mvcc: )?/, ''));
  return new Lost(details, !untouched);
}

export const said = {
  compacted: 'required revision has been compacted',
  future: 'required revision is a future revision',
  noLease: 'requested lease not found',
  full: 'database space exceeded',
  tooLarge: 'request is too large',
} as const;
