import { CodedError } from '#base';

/** What of a join's conditions does not hold; the code is the first word a person looks for. */
export type JoinObstacle = 'Clock' | 'Token' | 'CA' | 'Name' | 'Port' | 'Cluster';

/** A machine cannot join, and which of clock, token, CA, name or port it is. */
export class JoinError extends CodedError {
  constructor(obstacle: JoinObstacle, message: string, options?: ErrorOptions) {
    super(`Join${obstacle}`, message, options);
  }
}
