import { CodedError } from '#base';

/** A call to the container runtime failed. `code` is the gRPC status name (`NOT_FOUND`, `DEADLINE_EXCEEDED`, …). */
export class CriError extends CodedError {}

export function isRuntimeNotFound(error: unknown): boolean {
  return error instanceof CriError && error.code === 'NOT_FOUND';
}

/** The runtime does not answer at all, as opposed to refusing one call. */
export function isRuntimeDown(error: unknown): boolean {
  return error instanceof CriError && error.code === 'UNAVAILABLE';
}

/** An earlier, unanswered attempt of ours still holds the sandbox's or container's name. */
export function isNameReserved(error: unknown): boolean {
  return (
    error instanceof CriError &&
    (error.code === 'ALREADY_EXISTS' || /failed to reserve (sandbox|container) name/.test(error.message))
  );
}
