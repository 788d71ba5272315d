import { goQuote } from './go-text.ts';

/** One finding of validation, in upstream's terms (field.Error): collected in lists, never thrown one by one. */
export interface FieldError {
  readonly type:
    | 'FieldValueNotFound'
    | 'FieldValueRequired'
    | 'FieldValueDuplicate'
    | 'FieldValueInvalid'
    | 'FieldValueTypeInvalid'
    | 'FieldValueNotSupported'
    | 'FieldValueForbidden'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'InternalError';
  /** `spec.containers[0].name`, `metadata.labels[app]`. */
  readonly field: string;
  /** Upstream's text without the field: `Required value`, `Invalid value: "X": must be …`. */
  readonly detail: string;
}

const join = (head: string, detail: string | undefined): string =>
  detail === undefined || detail === '' ? head : `${head}: ${detail}`;

function valueText(value: unknown): string {
  if (typeof value === 'string') return goQuote(value);
  if (value === undefined || value === null) return 'null';
  if (typeof value === 'object')
    return JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? Number(one) : one));
  return String(value);
}

/** `field: detail`, the text of one error inside a Status message. */
export function fieldErrorText(error: FieldError): string {
  return `${error.field}: ${error.detail}`;
}

export function requiredError(field: string, detail?: string): FieldError {
  return { type: 'FieldValueRequired', field, detail: join('Required value', detail) };
}

export function invalidError(field: string, value: unknown, detail: string): FieldError {
  return { type: 'FieldValueInvalid', field, detail: join(`Invalid value: ${valueText(value)}`, detail) };
}

export function typeInvalidError(field: string, value: unknown, detail: string): FieldError {
  return { type: 'FieldValueTypeInvalid', field, detail: join(`Invalid value: ${valueText(value)}`, detail) };
}

export function notSupportedError(field: string, value: unknown, allowed: readonly string[]): FieldError {
  const detail = allowed.length === 0 ? '' : `supported values: ${allowed.map(goQuote).join(', ')}`;
  return { type: 'FieldValueNotSupported', field, detail: join(`Unsupported value: ${valueText(value)}`, detail) };
}

export function duplicateError(field: string, value: unknown): FieldError {
  return { type: 'FieldValueDuplicate', field, detail: `Duplicate value: ${valueText(value)}` };
}

export function notFoundError(field: string, value: unknown): FieldError {
  return { type: 'FieldValueNotFound', field, detail: `Not found: ${valueText(value)}` };
}

export function forbiddenError(field: string, detail: string): FieldError {
  return { type: 'FieldValueForbidden', field, detail: join('Forbidden', detail) };
}

/** `max` in bytes; negative: no number is told. The value is never shown. */
export function tooLongError(field: string, _value: unknown, max: number): FieldError {
  const detail = max < 0 ? 'value is too long' : `may not be more than ${max} ${max === 1 ? 'byte' : 'bytes'}`;
  return { type: 'FieldValueTooLong', field, detail: `Too long: ${detail}` };
}

export function tooManyError(field: string, actual: number, max: number): FieldError {
  const detail = max < 0 ? 'has too many items' : `must have at most ${max} ${max === 1 ? 'item' : 'items'}`;
  return { type: 'FieldValueTooMany', field, detail: `Too many: ${actual}: ${detail}` };
}

export function internalFieldError(field: string, message: string): FieldError {
  return { type: 'InternalError', field, detail: `Internal error: ${message}` };
}
