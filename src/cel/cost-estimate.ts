import type { CallExpr, Expr } from './ast.ts';
import type { Checked } from './checker.ts';
import { sortByKeys } from './library/lists.ts';
import { type CelType, elementOf } from './types.ts';

/** Between what two numbers something lies. Infinity: no one knows. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

const fixed = (value: number): Range => ({ min: value, max: value });
const zero = fixed(0);
const one = fixed(1);
const unknown: Range = { min: 0, max: Number.POSITIVE_INFINITY };

const add = (a: Range, b: Range): Range => ({ min: a.min + b.min, max: a.max + b.max });
const times = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : a * b);
const multiply = (a: Range, b: Range): Range => ({ min: times(a.min, b.min), max: times(a.max, b.max) });
const union = (a: Range, b: Range): Range => ({ min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) });
const factor = (a: Range, by: number): Range => ({
  min: Math.ceil(times(a.min, by)),
  max: Math.ceil(times(a.max, by)),
});

const perCharacter = 0.1;
const perPatternCharacter = 0.25;
const longestFormatName = 64;
const longestFormatPattern = 128;

interface EntrySizes {
  readonly list: boolean;
  readonly key: Range;
  readonly value: Range;
}

interface Local {
  readonly place: CelType | undefined;
  readonly size: Range | undefined;
  readonly entries: EntrySizes | undefined;
}

interface CallEstimate {
  readonly cost: Range;
  readonly size?: Range | undefined;
}

/**
 * What a checked expression costs at least and at most, before any data is seen. Sizes of data are those of the declared types
 * (`maxElements`). The prices are upstream's: which rules a definition may have depends on them.
 */
export function estimateCost(checked: Checked, variable: (name: string) => CelType | undefined): Range {
  return new Estimator(checked, variable).cost(checked.expr);
}

class Estimator {
  readonly #checked: Checked;
  readonly #variable: (name: string) => CelType | undefined;
  /** The place in the declared types that an expression reads, when it reads one. */
  readonly #places = new Map<number, CelType>();
  readonly #sizes = new Map<number, Range>();
  readonly #entries = new Map<number, EntrySizes>();
  readonly #locals = new Map<string, Local[]>();

  constructor(checked: Checked, variable: (name: string) => CelType | undefined) {
    this.#checked = checked;
    this.#variable = variable;
  }

  #typeOf(expr: Expr): CelType {
    return this.#checked.types.get(expr.id) ?? { kind: 'dyn' };
  }

  #push(name: string, local: Local): void {
    const stack = this.#locals.get(name);
    if (stack === undefined) this.#locals.set(name, [local]);
    else stack.push(local);
  }

  #pop(name: string): void {
    this.#locals.get(name)?.pop();
  }

  #local(name: string): Local | undefined {
    return this.#locals.get(name)?.at(-1);
  }

  cost(expr: Expr): Range {
    switch (expr.kind) {
      case 'literal':
        return zero;
      case 'ident': {
        const local = this.#local(expr.name);
        const place = local === undefined ? this.#variable(expr.name) : local.place;
        if (place !== undefined) this.#places.set(expr.id, place);
        return one;
      }
      case 'select':
        return this.#select(expr);
      case 'call':
        return this.#call(expr);
      case 'list': {
        let sum = fixed(10);
        let size: Range = { min: expr.elements.length === 0 ? 0 : Number.POSITIVE_INFINITY, max: 0 };
        for (const element of expr.elements) {
          sum = add(sum, this.cost(element));
          size = union(size, this.#sizeOrUnknown(element));
        }
        this.#entries.set(expr.id, { list: true, key: one, value: size });
        return sum;
      }
      case 'map': {
        let sum = fixed(30);
        const nothing: Range = { min: expr.entries.length === 0 ? 0 : Number.POSITIVE_INFINITY, max: 0 };
        let key = nothing;
        let value = nothing;
        for (const entry of expr.entries) {
          sum = add(sum, add(this.cost(entry.key), this.cost(entry.value)));
          key = union(key, this.#sizeOrUnknown(entry.key));
          value = union(value, this.#sizeOrUnknown(entry.value));
        }
        this.#entries.set(expr.id, { list: false, key, value });
        return sum;
      }
      case 'struct':
        return expr.fields.reduce((sum, { value }) => add(sum, this.cost(value)), fixed(40));
      case 'comprehension':
        return expr.iterVar === '#unused' ? this.#bind(expr) : this.#comprehension(expr);
    }
  }

  #select(expr: Extract<Expr, { kind: 'select' }>): Range {
    if (this.#checked.qualified.has(expr.id)) return one;
    const operand = this.cost(expr.operand);
    if (expr.testOnly) return operand;
    const place = this.#places.get(expr.operand.id);
    const field = place?.fields?.get(expr.field)?.type ?? (place?.kind === 'map' ? elementOf(place) : undefined);
    if (field !== undefined) this.#places.set(expr.id, field);
    const { kind } = this.#typeOf(expr.operand);
    return kind === 'map' || kind === 'object' || kind === 'param' ? add(operand, one) : operand;
  }

  #bind(expr: Extract<Expr, { kind: 'comprehension' }>): Range {
    let sum = add(this.cost(expr.iterRange), this.cost(expr.accuInit));
    this.#push(expr.accuVar, {
      place: this.#places.get(expr.accuInit.id),
      size: this.#size(expr.accuInit),
      entries: this.#entrySizes(expr.accuInit),
    });
    sum = add(sum, this.cost(expr.result));
    this.#pop(expr.accuVar);
    this.#copySizes(expr, expr.result);
    return sum;
  }

  #copySizes(to: Expr, from: Expr): void {
    const size = this.#size(from);
    if (size !== undefined) this.#sizes.set(to.id, size);
    const entries = this.#entrySizes(from);
    if (entries !== undefined) this.#entries.set(to.id, entries);
  }

  #comprehension(expr: Extract<Expr, { kind: 'comprehension' }>): Range {
    let sum = add(this.cost(expr.iterRange), this.cost(expr.accuInit));
    this.#push(expr.accuVar, {
      place: undefined,
      size: this.#size(expr.accuInit),
      entries: this.#entrySizes(expr.accuInit),
    });
    const place = this.#places.get(expr.iterRange.id);
    const sizes = this.#entrySizes(expr.iterRange);
    const isList = sizes?.list ?? this.#typeOf(expr.iterRange).kind === 'list';
    const keyPlace = isList ? undefined : place?.parameters?.[0];
    const valuePlace = place === undefined || place.kind === 'object' ? undefined : elementOf(place);
    const key: Local = { place: keyPlace, size: sizes?.key, entries: undefined };
    const value: Local = { place: valuePlace, size: sizes?.value, entries: undefined };
    this.#push(expr.iterVar, expr.iterVar2 !== undefined || !isList ? key : value);
    if (expr.iterVar2 !== undefined) this.#push(expr.iterVar2, value);
    const turn = add(this.cost(expr.loopCondition), this.cost(expr.loopStep));
    this.#pop(expr.iterVar);
    if (expr.iterVar2 !== undefined) this.#pop(expr.iterVar2);
    sum = add(sum, this.cost(expr.result));
    this.#pop(expr.accuVar);
    const count = this.#sizeOrUnknown(expr.iterRange);
    sum = add(sum, multiply(count, turn));
    if (expr.accuInit.kind === 'list' || expr.accuInit.kind === 'map') {
      this.#sizes.set(expr.id, count);
      const step = this.#entrySizes(expr.loopStep);
      if (step !== undefined) this.#entries.set(expr.id, step);
    } else {
      const size = this.#size(expr.accuInit);
      if (size !== undefined) this.#sizes.set(expr.id, size);
    }
    return sum;
  }

  #call(expr: CallExpr): Range {
    const { args } = expr;
    if (expr.function === 'dyn' && args.length === 1) {
      const inner = this.cost(args[0] as Expr);
      this.#copySizes(expr, args[0] as Expr);
      const place = this.#places.get((args[0] as Expr).id);
      if (place !== undefined) this.#places.set(expr.id, place);
      return add(one, inner);
    }
    if (expr.function === '_?._') return this.#optionalSelect(expr);
    const costs = args.map((arg) => this.cost(arg));
    const qualified = this.#checked.qualified.get(expr.id);
    const target = qualified === undefined ? expr.target : undefined;
    const targetCost = target === undefined ? zero : this.cost(target);
    const overloads = this.#checked.overloads.get(expr.id) ?? [];
    const argumentCost = costs.reduce(add, zero);
    let cost: Range = { min: Number.POSITIVE_INFINITY, max: 0 };
    let size: Range | undefined;
    for (const { id } of overloads) {
      const estimate = this.#functionCost({
        expr,
        name: qualified ?? expr.function,
        id,
        target,
        args,
        costs,
        argumentCost,
      });
      cost = union(cost, estimate.cost);
      if (estimate.size !== undefined) size = size === undefined ? estimate.size : union(size, estimate.size);
      const container = args[0];
      if (container !== undefined && (id === 'index_list' || id === 'index_map')) {
        const place = this.#places.get(container.id);
        if (place !== undefined && place.kind !== 'object') this.#places.set(expr.id, elementOf(place));
        size = this.#entrySizes(container)?.value;
      }
      size ??= this.#size(expr);
    }
    if (size !== undefined) this.#sizes.set(expr.id, size);
    return overloads.length === 0 ? add(targetCost, argumentCost) : add(targetCost, cost);
  }

  #optionalSelect(expr: CallExpr): Range {
    const operand = expr.args[0] as Expr;
    const cost = this.cost(operand);
    const place = this.#places.get(operand.id);
    const field = place?.fields?.get((expr.args[1] as { value: string }).value)?.type;
    if (field !== undefined) this.#places.set(expr.id, field);
    return add(cost, one);
  }

  #functionCost(call: {
    readonly expr: CallExpr;
    readonly name: string;
    readonly id: string;
    readonly target: Expr | undefined;
    readonly args: readonly Expr[];
    readonly costs: readonly Range[];
    readonly argumentCost: Range;
  }): CallEstimate {
    const { expr, name, id, target, args, costs, argumentCost } = call;
    const [first, second, third] = args;
    const sizeOf = (arg: Expr | undefined): Range => (arg === undefined ? unknown : this.#sizeOrUnknown(arg));
    const priced = (price: Range, size?: Range): CallEstimate => ({ cost: add(price, argumentCost), size });
    switch (id) {
      case 'starts_with_string':
      case 'ends_with_string':
        return priced(factor(sizeOf(first), perCharacter));
      case 'string_to_bytes': {
        const size = sizeOf(first);
        return priced(factor(size, perCharacter), { min: size.min, max: size.max * 4 });
      }
      case 'bytes_to_string': {
        const size = sizeOf(first);
        return priced(factor(size, perCharacter), { min: Math.floor(size.min / 4), max: size.max });
      }
      case 'in_list':
        return priced(sizeOf(second));
      case 'matches_string':
      case 'matches':
        return priced(
          multiply(
            factor(add(sizeOf(target ?? first), one), perCharacter),
            factor(sizeOf(target === undefined ? second : first), perPatternCharacter),
          ),
        );
      case 'contains_string':
        return priced(multiply(factor(sizeOf(target), perCharacter), factor(sizeOf(first), perCharacter)));
      case 'logical_or':
      case 'logical_and': {
        const [left = zero, right = zero] = costs;
        return { cost: { min: left.min, max: left.max + right.max } };
      }
      case 'conditional': {
        const [condition = zero, yes = zero, no = zero] = costs;
        const left = second === undefined ? undefined : this.#entrySizes(second);
        const right = third === undefined ? undefined : this.#entrySizes(third);
        if (left !== undefined && right !== undefined) this.#entries.set(expr.id, joinedEntries(left, right));
        return { cost: add(condition, union(yes, no)), size: union(sizeOf(second), sizeOf(third)) };
      }
      case 'add_string':
      case 'add_bytes':
      case 'add_list': {
        const size = add(sizeOf(first), sizeOf(second));
        const left = first === undefined ? undefined : this.#entrySizes(first);
        const right = second === undefined ? undefined : this.#entrySizes(second);
        if (left !== undefined && right !== undefined) this.#entries.set(expr.id, joinedEntries(left, right));
        return priced(id === 'add_list' ? one : factor(size, perCharacter), size);
      }
      case 'equals': {
        const opaque = first === undefined || second === undefined ? undefined : this.#opaqueEquality(first, second);
        return priced(opaque ?? this.#smaller(first, second));
      }
      case 'not_equals':
        return priced(this.#smaller(first, second));
    }
    if (/^(less|less_equals|greater|greater_equals)_(string|bytes)$/.test(id))
      return priced(this.#smaller(first, second));
    const library = this.#libraryCost(name, id, target, args);
    return library === undefined ? priced(one) : priced(library.cost, library.size);
  }

  /** Values of the libraries' types have prices of their own. */
  #opaqueEquality(a: Expr, b: Expr): Range | undefined {
    const { kind, name = '' } = this.#typeOf(a);
    if (kind !== 'opaque' || this.#typeOf(b).name !== name) return undefined;
    if (name === 'kubernetes.NamedFormat') return factor({ min: 1, max: longestFormatName }, perCharacter);
    if (name === 'kubernetes.URL') return factor({ min: 1, max: this.#size(b)?.max ?? 1 }, perCharacter);
    return name === 'optional_type' ? undefined : one;
  }

  #smaller(a: Expr | undefined, b: Expr | undefined): Range {
    const max = Math.min(
      a === undefined ? 0 : this.#sizeOrUnknown(a).max,
      b === undefined ? 0 : this.#sizeOrUnknown(b).max,
    );
    return factor({ min: max > 0 ? 1 : 0, max }, perCharacter);
  }

  #libraryCost(name: string, id: string, target: Expr | undefined, args: readonly Expr[]): CallEstimate | undefined {
    const [first] = args;
    const sizeOf = (expr: Expr | undefined): Range => (expr === undefined ? unknown : this.#sizeOrUnknown(expr));
    const scanned = (expr: Expr | undefined, by = 1): CallEstimate => ({
      cost: factor(sizeOf(expr), by * perCharacter),
    });
    switch (name) {
      case 'check':
        return { cost: fixed(350_000) };
      case 'isSorted':
      case 'sum':
      case 'max':
      case 'min':
      case 'indexOf':
      case 'lastIndexOf': {
        if (target === undefined) return undefined;
        const type = this.#typeOf(target);
        if (type.kind !== 'list') return scanned(target);
        const { kind } = elementOf(type);
        const place = this.#places.get(target.id);
        const element =
          kind === 'string' || kind === 'bytes'
            ? add(
                one,
                factor(
                  place === undefined || place.kind === 'object' ? unknown : placeSize(elementOf(place)),
                  perCharacter,
                ),
              )
            : one;
        return { cost: multiply(sizeOf(target), element) };
      }
      case 'url':
      case 'jsonpatch.escapeKey':
        return { ...scanned(first), size: sizeOf(first) };
      case 'ip':
        return id === 'cidr_ip' ? undefined : scanned(first);
      case 'cidr':
      case 'isIP':
      case 'isCIDR':
      case 'quantity':
      case 'isQuantity':
      case 'semver':
      case 'isSemver':
        return scanned(first);
      case 'ip.isCanonical':
        return scanned(first, 2);
      case 'strings.quote':
        return { ...scanned(first), size: { min: sizeOf(first).min + 2, max: sizeOf(first).max * 2 + 2 } };
      case 'validate':
        return { cost: factor(factor(sizeOf(first), perCharacter), longestFormatPattern * perPatternCharacter) };
      case 'fieldSelector':
      case 'labelSelector':
        return {
          cost: add(add(fixed(10), factor(sizeOf(first), perCharacter)), factor(factor(sizeOf(first), 0.5), 50)),
        };
      case 'lowerAscii':
      case 'upperAscii':
      case 'substring':
      case 'trim':
        return { ...scanned(target), size: sizeOf(target) };
      case 'replace':
        return {
          cost: factor(sizeOf(target), 2 * perCharacter),
          size: replacedSize(sizeOf(target), sizeOf(first), sizeOf(args[1])),
        };
      case 'split':
        return {
          cost: factor(sizeOf(target), 2 * perCharacter),
          size: { min: 0, max: limitOf(args[1]) ?? sizeOf(target).max },
        };
      case 'join': {
        const list = sizeOf(target);
        const place = target === undefined ? undefined : this.#places.get(target.id);
        const element = place === undefined || place.kind === 'object' ? unknown : placeSize(elementOf(place));
        let size = multiply(list, element);
        if (first !== undefined) {
          const separators: Range = { min: Math.max(0, list.min - 1), max: Math.max(0, list.max - 1) };
          size = add(size, multiply(sizeOf(first), separators));
        }
        return { cost: factor(size, perCharacter), size };
      }
      case 'find':
      case 'findAll': {
        const size = sizeOf(target);
        const cost = multiply(factor(add(size, one), perCharacter), factor(sizeOf(first), perPatternCharacter));
        return { cost, size: { min: 0, max: size.max } };
      }
      case 'containsIP':
      case 'containsCIDR': {
        const bytes: Range = { min: 4, max: 16 };
        let cost = factor(add(bytes, bytes), perCharacter);
        if (name === 'containsCIDR') cost = add(add(cost, factor(bytes, perCharacter)), one);
        if (id.endsWith('_string')) cost = add(cost, factor(sizeOf(first), perCharacter));
        return { cost };
      }
      case 'format':
        return { cost: add(factor(sizeOf(target), perCharacter), sizeOf(first)) };
      case 'slice':
        return allocated(1, fixed(Math.max(0, (limitOf(args[1]) ?? sizeOf(target).max) - (limitOf(first) ?? 0))));
      case 'lists.range':
        return allocated(1, fixed(limitOf(first) ?? Number.POSITIVE_INFINITY));
      case 'reverse':
        return allocated(1, sizeOf(target));
      case 'flatten':
        return allocated(first === undefined ? 1 : (limitOf(first) ?? Number.POSITIVE_INFINITY), sizeOf(target));
      case 'distinct':
        return allocated(2, multiply(sizeOf(target), sizeOf(target)));
      case 'sort':
      case sortByKeys: {
        const size = sizeOf(name === 'sort' ? target : first);
        return allocated(/^list_(?:string|bytes)_/.test(id) ? 2 + perCharacter : 2, multiply(size, size));
      }
      case 'sets.contains':
      case 'sets.intersects':
        return { cost: add(multiply(sizeOf(first), sizeOf(args[1])), one) };
      case 'sets.equivalent':
        return { cost: add(factor(multiply(sizeOf(first), sizeOf(args[1])), 2), one) };
      default:
        return undefined;
    }
  }

  #sizeOrUnknown(expr: Expr): Range {
    return this.#size(expr) ?? unknown;
  }

  #size(expr: Expr): Range | undefined {
    const known = this.#sizes.get(expr.id);
    if (known !== undefined) return known;
    const literal = literalSize(expr);
    if (literal !== undefined) return literal;
    const place = this.#places.get(expr.id);
    if (place !== undefined) {
      const size = sizeOfPlace(place);
      if (size !== undefined) return size;
    }
    if (isScalar(this.#typeOf(expr))) return one;
    return expr.kind === 'ident' ? this.#local(expr.name)?.size : undefined;
  }

  #entrySizes(expr: Expr): EntrySizes | undefined {
    const known = this.#entries.get(expr.id);
    if (known !== undefined) return known;
    return expr.kind === 'ident' ? this.#local(expr.name)?.entries : undefined;
  }
}

/** A call that makes a list of that size, for so much an element. */
function allocated(each: number, size: Range): CallEstimate {
  return { cost: add(factor(size, each), fixed(11)), size };
}

/** A limit that is written down as a number. */
function limitOf(expr: Expr | undefined): number | undefined {
  return expr?.kind === 'literal' && typeof expr.value === 'bigint' && expr.value >= 0n
    ? Number(expr.value)
    : undefined;
}

const scalars: ReadonlySet<CelType['kind']> = new Set([
  'bool',
  'double',
  'duration',
  'int',
  'null_type',
  'timestamp',
  'type',
  'uint',
]);

function isScalar(type: CelType): boolean {
  return scalars.has(type.kind) || (type.name === 'optional_type' && isScalar(elementOf(type)));
}

function joinedEntries(a: EntrySizes, b: EntrySizes): EntrySizes {
  return { list: a.list, key: union(a.key, b.key), value: union(a.value, b.value) };
}

function literalSize(expr: Expr): Range | undefined {
  if (expr.kind === 'literal') {
    const { value } = expr;
    if (typeof value === 'string') return fixed([...value].length);
    return value instanceof Uint8Array ? fixed(value.length) : one;
  }
  if (expr.kind === 'list')
    return expr.optional.size === 0
      ? fixed(expr.elements.length)
      : { min: expr.elements.length - expr.optional.size, max: expr.elements.length };
  return expr.kind === 'map' ? fixed(expr.entries.length) : undefined;
}

/** What the declared type says of its values' sizes. */
function sizeOfPlace(type: CelType): Range | undefined {
  if (type.maxElements !== undefined) return { min: 0, max: type.maxElements };
  return type.kind === 'object' ? { min: 0, max: type.fields?.size ?? 0 } : undefined;
}

const placeSize = (type: CelType): Range => sizeOfPlace(type) ?? unknown;

function replacedSize(text: Range, part: Range, by: Range): Range {
  const most =
    part.min === 0
      ? times(text.max + 1, by.max) + text.max
      : by.max <= part.min
        ? text.max
        : times(Math.ceil(text.max / part.min), by.max);
  const least =
    part.max === 0
      ? times(text.min + 1, by.min) + text.min
      : part.max <= by.min
        ? text.min
        : times(Math.ceil(text.min / part.max), by.min);
  return { min: Math.min(least, most), max: most };
}
