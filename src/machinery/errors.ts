import type { Status, StatusCause, StatusDetails } from '#api';
import { type FieldError, fieldErrorText } from './field-error.ts';
import { goQuote } from './go-text.ts';

/** A failure as the API words it. Its `status` goes on the wire as it is; clients throw the same class. */
export class ApiError extends Error {
  readonly status: Status;

  constructor(status: Status, options?: ErrorOptions) {
    super(status.message ?? status.reason ?? 'unknown', options);
    this.name = 'ApiError';
    this.status = status;
  }

  get code(): number {
    return this.status.code ?? 500;
  }

  get reason(): string {
    return this.status.reason ?? '';
  }
}

/** What of a resource a message names: `deployments.apps`. */
export interface GroupResource {
  readonly group: string;
  readonly plural: string;
}

export interface GroupKind {
  readonly group: string;
  readonly kind: string;
}

interface Failure {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly details?: StatusDetails;
}

function failure({ code, reason, message, details }: Failure): ApiError {
  return new ApiError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details === undefined ? {} : { details }),
    code,
  });
}

const resourceText = ({ group, plural }: GroupResource): string => (group === '' ? plural : `${plural}.${group}`);

const detailsOf = ({ group, plural }: GroupResource, name?: string): StatusDetails => ({
  ...(name === undefined || name === '' ? {} : { name }),
  ...(group === '' ? {} : { group }),
  ...(plural === '' ? {} : { kind: plural }),
});

/** 404 `pods "x" not found`. */
export function errNotFound(resource: GroupResource, name: string): ApiError {
  const message = `${resourceText(resource)} ${goQuote(name)} not found`;
  return failure({ code: 404, reason: 'NotFound', message, details: detailsOf(resource, name) });
}

/** 404 for a path that names nothing: `the server could not find the requested resource`. */
export function errUnknownPath(): ApiError {
  return failure({
    code: 404,
    reason: 'NotFound',
    message: 'the server could not find the requested resource',
    details: {},
  });
}

/** 409 `deployments.apps "x" already exists`. */
export function errAlreadyExists(resource: GroupResource, name: string, isDeleted = false): ApiError {
  const text = `${resourceText(resource)} ${goQuote(name)} already exists`;
  const message = isDeleted ? `object is being deleted: ${text}` : text;
  return failure({ code: 409, reason: 'AlreadyExists', message, details: detailsOf(resource, name) });
}

/** 409 when names made from generateName kept colliding. */
export function errGenerateNameConflict(resource: GroupResource, name: string, retryAfterSeconds = 1): ApiError {
  const message = `${resourceText(resource)} ${goQuote(name)} already exists, the server was not able to generate a unique name for the object`;
  return failure({
    code: 409,
    reason: 'AlreadyExists',
    message,
    details: { ...detailsOf(resource, name), retryAfterSeconds },
  });
}

/** What a stale resourceVersion is told. */
export const objectModifiedMessage =
  'the object has been modified; please apply your changes to the latest version and try again';

/** 409 `Operation cannot be fulfilled on pods "x": …`; `why` is `objectModifiedMessage` when left out. */
export function errConflict(resource: GroupResource, name: string, why: string = objectModifiedMessage): ApiError {
  const message = `Operation cannot be fulfilled on ${resourceText(resource)} ${goQuote(name)}: ${why}`;
  return failure({ code: 409, reason: 'Conflict', message, details: detailsOf(resource, name) });
}

/** 409 of server-side apply, a cause for each field. */
export function errApplyConflict(causes: readonly StatusCause[], message: string): ApiError {
  return failure({ code: 409, reason: 'Conflict', message, details: { causes: [...causes] } });
}

/** An object may hold hundreds of thousands of mistakes, and each may show a large value: so many are told, and so much of them. */
const mostFindings = 250;
const mostFindingChars = 256 * 1024;

/** The findings that are told, and their texts, equal ones once. */
function toldFindings(fieldErrors: readonly FieldError[]): { told: readonly FieldError[]; texts: string[] } {
  const texts = new Set<string>();
  let told = 0;
  for (let chars = 0; told < fieldErrors.length && told < mostFindings && chars < mostFindingChars; told++) {
    const text = fieldErrorText(fieldErrors[told] as FieldError);
    chars += text.length;
    texts.add(text);
  }
  const left = fieldErrors.length - told;
  return { told: fieldErrors.slice(0, told), texts: left === 0 ? [...texts] : [...texts, `and ${left} more`] };
}

/** 422 with every finding, or the first of very many: `Pod "x" is invalid: a` or `… is invalid: [a, b]`; equal findings once. */
export function errInvalid({ group, kind }: GroupKind, name: string, fieldErrors: readonly FieldError[]): ApiError {
  const { told, texts } = toldFindings(fieldErrors);
  const head = `${group === '' ? kind : `${kind}.${group}`} ${goQuote(name)} is invalid`;
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const causes = told.map((one) => ({ reason: one.type, message: one.detail, field: one.field }));
  return failure({
    code: 422,
    reason: 'Invalid',
    message: texts.length === 0 ? head : `${head}: ${list}`,
    details: {
      ...(name === '' ? {} : { name }),
      ...(group === '' ? {} : { group }),
      ...(kind === '' ? {} : { kind }),
      ...(causes.length === 0 ? {} : { causes }),
    },
  });
}

/** 422 without a list of findings, as for a JSON patch that does not apply. */
export function errUnprocessable(message: string): ApiError {
  return failure({ code: 422, reason: 'Invalid', message, details: {} });
}

/** 400. */
export function errBadRequest(message: string): ApiError {
  return failure({ code: 400, reason: 'BadRequest', message });
}

/** 401. */
export function errUnauthorized(message = 'Unauthorized'): ApiError {
  return failure({ code: 401, reason: 'Unauthorized', message });
}

/** 403 `pods "x" is forbidden: why`, `pods is forbidden: why` without a name, `forbidden: why` without a resource. */
export function errForbidden(resource: GroupResource, name: string, why: string): ApiError {
  const head =
    name !== ''
      ? `${resourceText(resource)} ${goQuote(name)} is forbidden`
      : resource.plural === ''
        ? 'forbidden'
        : `${resourceText(resource)} is forbidden`;
  return failure({ code: 403, reason: 'Forbidden', message: `${head}: ${why}`, details: detailsOf(resource, name) });
}

/** 405 `create is not supported on resources of kind "pods"`. */
export function errMethodNotSupported(resource: GroupResource, verb: string): ApiError {
  const message = `${verb} is not supported on resources of kind ${goQuote(resourceText(resource))}`;
  return failure({ code: 405, reason: 'MethodNotAllowed', message, details: detailsOf(resource) });
}

/** 405 for a verb that the resource has, but not now: `create not allowed while …`. */
export function errNotAllowed(resource: GroupResource, verb: string, why: string): ApiError {
  return failure({
    code: 405,
    reason: 'MethodNotAllowed',
    message: `${verb} not allowed ${why}`,
    details: detailsOf(resource),
  });
}

/** 405 before any resource is known. */
export function errMethodNotAllowed(): ApiError {
  return failure({
    code: 405,
    reason: 'MethodNotAllowed',
    message: 'the server does not allow this method on the requested resource',
    details: {},
  });
}

/** 406. */
export function errNotAcceptable(types: readonly string[]): ApiError {
  const message = `only the following media types are accepted: ${types.join(', ')}`;
  return failure({ code: 406, reason: 'NotAcceptable', message });
}

/** 410 Expired: list and watch again. `message` is `continueTooOldMessage`, `versionTooOldMessage` … */
export function errExpired(message: string): ApiError {
  return failure({ code: 410, reason: 'Expired', message });
}

export const continueTooOldMessage =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.';

/** The same when the list may go on from where it was, no longer consistent. */
export const continueTooOldButUsableMessage =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';

/** `too old resource version: 5 (100)`: what a watch from forgotten history is told. */
export function versionTooOldMessage(asked: string | number, oldest: string | number): string {
  return `too old resource version: ${asked} (${oldest})`;
}

/** 413. */
export function errTooLarge(message: string): ApiError {
  return failure({ code: 413, reason: 'RequestEntityTooLarge', message: `Request entity too large: ${message}` });
}

/** 415. */
export function errUnsupportedMediaType(type: string, supported: readonly string[]): ApiError {
  void type;
  const message = `the body of the request was in an unknown format - accepted media types include: ${supported.join(', ')}`;
  return failure({ code: 415, reason: 'UnsupportedMediaType', message });
}

/** 429; clients wait `retryAfterSeconds` (also a Retry-After header) when above 0. */
export function errTooManyRequests(message: string, retryAfterSeconds = 0): ApiError {
  const details = retryAfterSeconds > 0 ? { retryAfterSeconds } : {};
  return failure({ code: 429, reason: 'TooManyRequests', message, details });
}

/** 504 `Timeout: …`. */
export function errTimeout(message: string, retryAfterSeconds = 0): ApiError {
  const details = retryAfterSeconds > 0 ? { retryAfterSeconds } : {};
  return failure({ code: 504, reason: 'Timeout', message: `Timeout: ${message}`, details });
}

/** 504 for a minimum resourceVersion that the server has not reached. */
export function errTooLargeResourceVersion(asked: string, current: string, retryAfterSeconds = 1): ApiError {
  const message = `Too large resource version: ${asked}, current: ${current}`;
  return failure({
    code: 504,
    reason: 'Timeout',
    message: `Timeout: ${message}`,
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds,
    },
  });
}

/** 500 `The create operation against pods could not be completed at this time, please try again.` */
export function errServerTimeout(resource: GroupResource, verb: string, retryAfterSeconds = 0): ApiError {
  return failure({
    code: 500,
    reason: 'ServerTimeout',
    message: `The ${verb} operation against ${resourceText(resource)} could not be completed at this time, please try again.`,
    details: { ...detailsOf(resource, verb), ...(retryAfterSeconds > 0 ? { retryAfterSeconds } : {}) },
  });
}

/** 500 `Internal error occurred: …`. */
export function errInternal(message: string): ApiError {
  return failure({
    code: 500,
    reason: 'InternalError',
    message: `Internal error occurred: ${message}`,
    details: { causes: [{ message }] },
  });
}

/** 503. */
export function errServiceUnavailable(message: string): ApiError {
  return failure({ code: 503, reason: 'ServiceUnavailable', message });
}

/** Any code with any reason, for the few answers that have no maker of their own. */
export function errStatus(code: number, reason: string, message: string, details?: StatusDetails): ApiError {
  return failure({ code, reason, message, ...(details === undefined ? {} : { details }) });
}
