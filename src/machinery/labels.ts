import type { LabelSelector as ApiLabelSelector } from '#api';
import { errBadRequest } from './errors.ts';
import { type FieldError, fieldErrorText, invalidError } from './field-error.ts';
import { goQuote } from './go-text.ts';
import { validateLabelValue, validateQualifiedName } from './names.ts';

export type LabelOperator = 'in' | 'notin' | '=' | '==' | '!=' | 'exists' | '!' | 'gt' | 'lt';

export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  /** Sorted, each once. */
  readonly values: readonly string[];
}

type Labels = Readonly<Record<string, string>> | undefined;

const integer = /^[+-]?[0-9]+$/;
/** From here on a set is faster than looking through the values. */
const manyValues = 16;

/** A requirement ready to be asked of many objects. */
interface Asked extends LabelRequirement {
  readonly among: { has(value: string): boolean };
}

function asked(requirement: LabelRequirement): Asked {
  const { values } = requirement;
  const among = values.length < manyValues ? { has: (one: string) => values.includes(one) } : new Set(values);
  return { ...requirement, among };
}

function meets({ key, operator, values, among }: Asked, labels: Labels): boolean {
  const present = labels !== undefined && Object.hasOwn(labels, key);
  const value = present ? labels[key] : undefined;
  switch (operator) {
    case 'in':
    case '=':
    case '==':
      return present && among.has(value as string);
    case 'notin':
    case '!=':
      return !present || !among.has(value as string);
    case 'exists':
      return present;
    case '!':
      return !present;
    default: {
      if (!present || !integer.test(value as string)) return false;
      const actual = BigInt(value as string);
      const bound = BigInt(values[0] as string);
      return operator === 'gt' ? actual > bound : actual < bound;
    }
  }
}

function requirementText({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case 'exists':
      return key;
    case '!':
      return `!${key}`;
    case 'in':
    case 'notin':
      return `${key} ${operator} (${values.join(',')})`;
    case 'gt':
      return `${key}>${values[0]}`;
    case 'lt':
      return `${key}<${values[0]}`;
    default:
      return `${key}${operator}${values[0] ?? ''}`;
  }
}

/** Requirements that must all hold. With none it matches everything, but `nothing` matches nothing. */
export class LabelSelector {
  readonly requirements: readonly LabelRequirement[];
  readonly #nothing: boolean;
  #asked: readonly Asked[] | undefined;

  constructor(requirements: readonly LabelRequirement[], nothing = false) {
    this.requirements = requirements.length > 1 ? requirements.toSorted(byKey) : requirements;
    this.#nothing = nothing;
  }

  matches(labels: Labels): boolean {
    if (this.#nothing) return false;
    this.#asked ??= this.requirements.map(asked);
    for (const one of this.#asked) if (!meets(one, labels)) return false;
    return true;
  }

  /** True when it matches everything. */
  isEmpty(): boolean {
    return !this.#nothing && this.requirements.length === 0;
  }

  /** True when it can match nothing at all, being the selector of an absent field. */
  isNothing(): boolean {
    return this.#nothing;
  }

  /** The text that parseLabelSelector reads: `a=b,c in (d,e),!f`. */
  toString(): string {
    return this.requirements.map(requirementText).join(',');
  }
}

const byKey = (a: LabelRequirement, b: LabelRequirement): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

export const everything = new LabelSelector([]);
export const nothing = new LabelSelector([], true);

/** The findings of upstream's NewRequirement, with its own paths (`key`, `values`). */
export function requirementErrors({ key, operator, values }: LabelRequirement): FieldError[] {
  const found: FieldError[] = [];
  const keyMessages = validateQualifiedName(key);
  if (keyMessages.length > 0) found.push(invalidError('key', key, keyMessages.join('; ')));
  const bad = (detail: string): void => void found.push(invalidError('values', values, detail));
  switch (operator) {
    case 'in':
    case 'notin':
      if (values.length === 0) bad("for 'in', 'notin' operators, values set can't be empty");
      break;
    case '=':
    case '==':
    case '!=':
      if (values.length !== 1) bad('exact-match compatibility requires one single value');
      break;
    case 'exists':
    case '!':
      if (values.length !== 0) bad('values set must be empty for exists and does not exist');
      break;
    default:
      if (values.length !== 1) bad("for 'Gt', 'Lt' operators, exactly one value is required");
      values.forEach((value, index) => {
        if (integer.test(value)) return;
        found.push(invalidError(`values[${index}]`, value, "for 'Gt', 'Lt' operators, the value must be an integer"));
      });
  }
  values.forEach((value, index) => {
    const messages = validateLabelValue(value);
    if (messages.length > 0) found.push(invalidError(`values[${index}][${key}]`, value, messages.join('; ')));
  });
  return found;
}

/** Several findings as one text, as upstream joins them: bare when one, `[a, b]` when more. */
export function aggregateText(errors: readonly FieldError[]): string {
  const texts = [...new Set(errors.map(fieldErrorText))];
  return texts.length === 1 ? (texts[0] as string) : `[${texts.join(', ')}]`;
}

const apiOperators = new Map<string, LabelOperator>([
  ['In', 'in'],
  ['NotIn', 'notin'],
  ['Exists', 'exists'],
  ['DoesNotExist', '!'],
]);

const known = new WeakMap<object, LabelSelector>();

/**
 * The selector of an API field: absent matches nothing, `{}` matches everything. Throws ApiError 400 on one that validation
 * would have refused. Results are remembered for frozen objects.
 */
export function labelSelectorOf(selector: ApiLabelSelector | undefined | null): LabelSelector {
  if (selector === undefined || selector === null) return nothing;
  const remembered = known.get(selector);
  if (remembered !== undefined) return remembered;
  const requirements: LabelRequirement[] = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    requirements.push({ key, operator: '=', values: [value] });
  }
  for (const { key, operator: name, values } of selector.matchExpressions ?? []) {
    const operator = apiOperators.get(name);
    if (operator === undefined) throw errBadRequest(`${goQuote(name)} is not a valid label selector operator`);
    requirements.push({ key, operator, values: sortedSet(values ?? []) });
  }
  for (const one of requirements) {
    const errors = requirementErrors(one);
    if (errors.length > 0) throw errBadRequest(aggregateText(errors));
  }
  const made = requirements.length === 0 ? everything : new LabelSelector(requirements);
  if (Object.isFrozen(selector)) known.set(selector, made);
  return made;
}

/** All of the map's labels must be there with these values; an empty or absent map matches everything. */
export function labelSelectorFromMap(map: Readonly<Record<string, string>> | undefined): LabelSelector {
  if (map === undefined) return everything;
  const entries = Object.entries(map);
  if (entries.length === 0) return everything;
  return new LabelSelector(entries.map(([key, value]) => ({ key, operator: '=', values: [value] })));
}

export function sortedSet(values: readonly string[]): readonly string[] {
  return values.length < 2 ? values : [...new Set(values)].sort();
}
