import type { Status } from '#api';
import { CodedError, messageOf } from '#base';
import { ApiError, errExpired, errInternal, errServiceUnavailable, errStatus, errTimeout } from './errors.ts';

/**
 * Any thrown thing as the Status that answers a request: the one place that turns errors into the wire's form. Expected
 * failures of lower rooms are known by `code`; anything else is a 500 that tells its message.
 */
export function statusOf(error: unknown): Status {
  if (error instanceof ApiError) return error.status;
  if (error instanceof CodedError) {
    switch (error.code) {
      case 'Compacted':
        return errExpired('The resourceVersion for the provided list is too old.').status;
      case 'SlowWatcher':
        return errExpired(error.message).status;
      case 'WriteUnknown':
        return errTimeout(error.message).status;
      case 'StoreUnavailable':
      case 'StoreClosed':
        return errServiceUnavailable(error.message).status;
      case 'StoreFull':
        return errStatus(507, 'InsufficientStorage', error.message).status;
      default:
        return errInternal(error.message).status;
    }
  }
  if (error instanceof Error && error.name === 'AbortError') return errTimeout('request did not complete').status;
  return errInternal(messageOf(error)).status;
}

/** A Status that came over the wire as the error that caused it. */
export function apiErrorFromStatus(status: Status): ApiError {
  return new ApiError(status);
}

const reasonOf = (error: unknown): string | undefined => (error instanceof ApiError ? error.status.reason : undefined);

const codeOf = (error: unknown): number | undefined => (error instanceof ApiError ? error.status.code : undefined);

/** By reason; by code alone when the reason is none the API knows (as upstream's predicates). */
const is = (error: unknown, reason: string, code: number): boolean => {
  const found = reasonOf(error);
  return found === reason || ((found === undefined || found === '' || found === 'Unknown') && codeOf(error) === code);
};

export function isNotFound(error: unknown): boolean {
  return is(error, 'NotFound', 404);
}

export function isAlreadyExists(error: unknown): boolean {
  return reasonOf(error) === 'AlreadyExists';
}

export function isConflict(error: unknown): boolean {
  return is(error, 'Conflict', 409);
}

/** 410 of either reason: Expired or Gone. */
export function isExpired(error: unknown): boolean {
  return reasonOf(error) === 'Expired' || codeOf(error) === 410;
}

export function isForbidden(error: unknown): boolean {
  return is(error, 'Forbidden', 403);
}

export function isInvalid(error: unknown): boolean {
  return is(error, 'Invalid', 422);
}

export function isUnauthorized(error: unknown): boolean {
  return is(error, 'Unauthorized', 401);
}

export function isTooManyRequests(error: unknown): boolean {
  return is(error, 'TooManyRequests', 429);
}

/** True when a namespace being deleted refuses new content: controllers wait instead of failing. */
export function isNamespaceTerminating(error: unknown): boolean {
  return (
    error instanceof ApiError &&
    (error.status.details?.causes?.some((cause) => cause.reason === 'NamespaceTerminating') ?? false)
  );
}
