import {
  compareQuantities,
  duplicateError,
  type FieldError,
  forbiddenError,
  invalidError,
  isQuantity,
  notFoundError,
  notSupportedError,
  requiredError,
  tooLongError,
  tooManyError,
  validateDns1123Label,
  validateDns1123Subdomain,
  validateLabelSelector,
  validateLabels,
} from '#machinery';
import type { LabelSelector } from '#api';

export const immutableMessage = 'field is immutable';
export const negativeMessage = 'must be greater than or equal to 0';

/** `must be between 1 and 5, inclusive` */
export const rangeMessage = (low: number, high: number): string => `must be between ${low} and ${high}, inclusive`;

/** Collects what a validation finds, in order. One is made for an object and handed down to the rules of its parts. */
export class Findings {
  readonly list: FieldError[] = [];

  add(errors: readonly FieldError[]): void {
    for (const error of errors) this.list.push(error);
  }

  required(field: string, detail?: string): void {
    this.list.push(requiredError(field, detail));
  }

  invalid(field: string, value: unknown, detail: string): void {
    this.list.push(invalidError(field, value, detail));
  }

  forbidden(field: string, detail: string): void {
    this.list.push(forbiddenError(field, detail));
  }

  duplicate(field: string, value: unknown, detail = ''): void {
    const error = duplicateError(field, value);
    this.list.push(detail === '' ? error : { ...error, detail: `${error.detail}: ${detail}` });
  }

  notFound(field: string, value: unknown): void {
    this.list.push(notFoundError(field, value));
  }

  notSupported(field: string, value: unknown, allowed: readonly string[]): void {
    this.list.push(notSupportedError(field, value, allowed));
  }

  tooLong(field: string, value: unknown, max: number): void {
    this.list.push(tooLongError(field, value, max));
  }

  tooMany(field: string, actual: number, max: number): void {
    this.list.push(tooManyError(field, actual, max));
  }

  /** One Invalid for each message of a rule. */
  each(field: string, value: unknown, messages: readonly string[]): void {
    for (const message of messages) this.invalid(field, value, message);
  }

  /** A closed set: Required when empty, NotSupported when unknown. */
  oneOf(field: string, value: string | undefined, allowed: readonly string[]): void {
    if (!value) this.required(field);
    else if (!allowed.includes(value)) this.notSupported(field, value, allowed);
  }

  /** The same where absence is fine. */
  optionalOneOf(field: string, value: string | undefined, allowed: readonly string[]): void {
    if (value != null && value !== '' && !allowed.includes(value)) this.notSupported(field, value, allowed);
  }

  /** The same where emptiness is a value too, one that the set may not have: fields that are pointers upstream. */
  presentOneOf(field: string, value: string | undefined, allowed: readonly string[]): void {
    if (value != null && !allowed.includes(value)) this.notSupported(field, value, allowed);
  }

  nonNegative(field: string, value: number | undefined): void {
    if (value != null && value < 0) this.invalid(field, value, negativeMessage);
  }

  nonNegativeQuantity(field: string, value: string | undefined): void {
    if (value != null && isQuantity(String(value)) && compareQuantities(value, '0') < 0)
      this.invalid(field, value, negativeMessage);
  }

  range(field: string, value: number | undefined, low: number, high: number): void {
    if (value != null && (value < low || value > high)) this.invalid(field, value, rangeMessage(low, high));
  }

  label(field: string, value: string): void {
    this.each(field, value, validateDns1123Label(value));
  }

  subdomain(field: string, value: string): void {
    this.each(field, value, validateDns1123Subdomain(value));
  }

  labels(field: string, labels: Readonly<Record<string, string>> | undefined): void {
    this.add(validateLabels(labels, field));
  }

  selector(field: string, selector: LabelSelector | undefined): void {
    if (selector != null) this.add(validateLabelSelector(completeSelector(selector), field));
  }

  /** Required when empty; true when there is a value. */
  present(field: string, value: unknown): boolean {
    if (value !== undefined && value !== null && value !== '') return true;
    this.required(field);
    return false;
  }

  immutable(field: string, value: unknown, old: unknown): void {
    if (!sameValue(value, old)) this.invalid(field, value ?? null, immutableMessage);
  }
}

/** The same with an empty key where a requirement has none: a client may send that. */
function completeSelector(selector: LabelSelector): LabelSelector {
  if (selector.matchExpressions?.every(({ key }) => key != null) !== false) return selector;
  return { ...selector, matchExpressions: selector.matchExpressions.map((one) => ({ ...one, key: one.key ?? '' })) };
}

/** Equal as Go sees it: absent, null, and empty strings, lists and objects are the same; order of keys does not matter. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isEmpty(a) || isEmpty(b)) return isEmpty(a) && isEmpty(b);
  if (typeof a !== 'object' || typeof b !== 'object')
    return typeof a !== typeof b && String(a) === String(b) && isNumeric(a, b);
  if (a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((one, index) => sameValue(one, b[index]));
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key of Object.keys(left)) if (!sameValue(left[key], ownValue(right, key))) return false;
  for (const key of Object.keys(right)) if (!Object.hasOwn(left, key) && !isEmpty(right[key])) return false;
  return true;
}

const ownValue = (object: Record<string, unknown>, key: string): unknown =>
  Object.hasOwn(object, key) ? object[key] : undefined;

const isNumeric = (a: unknown, b: unknown): boolean =>
  (typeof a === 'number' || typeof a === 'bigint') && (typeof b === 'number' || typeof b === 'bigint');

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return true;
  if (typeof value !== 'object') return false;
  if (Array.isArray(value)) return value.length === 0;
  for (const key in value) if (!isEmpty((value as Record<string, unknown>)[key])) return false;
  return true;
}

/** Names of the top-level fields in which two objects differ, for messages. */
export function changedFields(a: object | undefined, b: object | undefined): string[] {
  const left = (a ?? {}) as Record<string, unknown>;
  const right = (b ?? {}) as Record<string, unknown>;
  return [...new Set([...Object.keys(left), ...Object.keys(right)])]
    .filter((key) => !sameValue(ownValue(left, key), ownValue(right, key)))
    .sort();
}

/** What changed, a line a field, as the end of a Forbidden message: `  nodeName: "a" → "b"`. */
export function changesText(value: object | undefined, old: object | undefined): string {
  const left = (value ?? {}) as Record<string, unknown>;
  const right = (old ?? {}) as Record<string, unknown>;
  const show = (one: unknown): string =>
    JSON.stringify(one, (_, part) => (typeof part === 'bigint' ? Number(part) : part)) ?? 'absent';
  return changedFields(value, old)
    .map((key) => `  ${key}: ${show(ownValue(right, key))} → ${show(ownValue(left, key))}\n`)
    .join('');
}
