/**
 * An expected failure with a stable code: callers match `code`, people read the message, which says what failed, why,
 * and what to do next. A bug is not one of these: see `invariant`.
 */
export class CodedError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A bug: state that the program says cannot be. Never caught to go on; the component that meets it stops. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** Any thrown thing as one line for a log or a person. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
