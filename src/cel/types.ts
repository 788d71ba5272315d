/** A type of the language. Types that come from a schema also say how large a value can be, for cost estimates. */
export interface CelType {
  readonly kind:
    | 'bool'
    | 'int'
    | 'uint'
    | 'double'
    | 'string'
    | 'bytes'
    | 'null_type'
    | 'timestamp'
    | 'duration'
    | 'dyn'
    | 'error'
    | 'list'
    | 'map'
    | 'object'
    | 'opaque'
    | 'type'
    | 'param';
  /** Of objects, opaque types and type parameters. */
  readonly name?: string;
  /** [element], [key, value], or those of an opaque type. */
  readonly parameters?: readonly CelType[];
  /** Objects: by the name that expressions use (escaped). */
  readonly fields?: ReadonlyMap<string, CelField>;
  /** The most elements, entries, characters or bytes; absent: no one knows. */
  readonly maxElements?: number;
  /** The least bytes that a value takes in JSON. */
  readonly minSize?: number;
  readonly listType?: 'atomic' | 'set' | 'map';
  readonly listMapKeys?: readonly string[];
  /** Strings that are times or bytes in the data: how they are read. */
  readonly dataFormat?: 'date' | 'date-time' | 'duration' | 'byte';
  /** An object that keeps fields which its schema does not name. */
  readonly open?: boolean;
}

export interface CelField {
  /** The name in the data. */
  readonly name: string;
  readonly type: CelType;
  readonly required: boolean;
  readonly default?: unknown;
}

const plain = (kind: CelType['kind']): CelType => Object.freeze({ kind });

export const boolType = plain('bool');
export const intType = plain('int');
export const uintType = plain('uint');
export const doubleType = plain('double');
export const stringType = plain('string');
export const bytesType = plain('bytes');
export const nullType = plain('null_type');
export const timestampType = plain('timestamp');
export const durationType = plain('duration');
export const dynType = plain('dyn');
export const errorType = plain('error');

export function listOf(element: CelType, more: Partial<CelType> = {}): CelType {
  return { kind: 'list', parameters: [element], ...more };
}

export function mapOf(key: CelType, value: CelType, more: Partial<CelType> = {}): CelType {
  return { kind: 'map', parameters: [key, value], ...more };
}

export function objectOf(name: string, fields: ReadonlyMap<string, CelField>, more: Partial<CelType> = {}): CelType {
  return { kind: 'object', name, fields, ...more };
}

export function opaqueOf(name: string, ...parameters: CelType[]): CelType {
  return { kind: 'opaque', name, parameters };
}

export function optionalOf(value: CelType): CelType {
  return opaqueOf('optional_type', value);
}

export function typeOfType(value: CelType): CelType {
  return { kind: 'type', parameters: [value] };
}

/** The element of a list, value of a map, content of an optional. */
export function elementOf(type: CelType): CelType {
  return type.parameters?.at(-1) ?? dynType;
}

/** Types that are values by their name. */
export const plainTypes: ReadonlyMap<string, CelType> = new Map<string, CelType>([
  ['bool', boolType],
  ['int', intType],
  ['uint', uintType],
  ['double', doubleType],
  ['string', stringType],
  ['bytes', bytesType],
  ['null_type', nullType],
  ['list', listOf(dynType)],
  ['map', mapOf(dynType, dynType)],
  ['type', typeOfType(dynType)],
  ['google.protobuf.Timestamp', timestampType],
  ['google.protobuf.Duration', durationType],
  ['optional_type', optionalOf(dynType)],
  ['net.IP', { kind: 'opaque', name: 'net.IP' }],
  ['net.CIDR', { kind: 'opaque', name: 'net.CIDR' }],
]);

const names: ReadonlyMap<string, string> = new Map([
  ['null_type', 'null'],
  ['timestamp', 'google.protobuf.Timestamp'],
  ['duration', 'google.protobuf.Duration'],
  ['error', '!error!'],
]);

/** As messages show it: `list(string)`, `map(string, int)`, `timestamp`. */
export function typeText(type: CelType): string {
  const inner = (): string => (type.parameters ?? []).map(typeText).join(', ');
  switch (type.kind) {
    case 'list':
    case 'map':
      return `${type.kind}(${inner()})`;
    case 'type':
      return `type(${inner()})`;
    case 'opaque':
      return (type.parameters ?? []).length === 0 ? (type.name as string) : `${type.name}(${inner()})`;
    case 'object':
    case 'param':
      return type.name as string;
    default:
      return names.get(type.kind) ?? type.kind;
  }
}

/** What type parameters stand for, during one check. Undone by going back to a size. */
export class Substitution {
  readonly #bound = new Map<string, CelType>();
  readonly #order: string[] = [];
  #fresh = 0;

  get size(): number {
    return this.#order.length;
  }

  restore(size: number): void {
    while (this.#order.length > size) this.#bound.delete(this.#order.pop() as string);
  }

  /** The type with bound parameters replaced; parameters that nothing binds become dyn when `open` is false. */
  resolve(type: CelType, open = true): CelType {
    if (type.kind === 'param') {
      const bound = this.#bound.get(type.name as string);
      if (bound !== undefined) return this.resolve(bound, open);
      return open ? type : dynType;
    }
    const { parameters } = type;
    if (parameters === undefined || parameters.length === 0) return type;
    const resolved = parameters.map((one) => this.resolve(one, open));
    return resolved.every((one, index) => one === parameters[index]) ? type : { ...type, parameters: resolved };
  }

  freshParam(): CelType {
    return { kind: 'param', name: `_var${this.#fresh++}` };
  }

  /** A copy of types with their parameters renamed apart from all others. */
  instantiate(types: readonly CelType[]): CelType[] {
    const renamed = new Map<string, CelType>();
    const copy = (type: CelType): CelType => {
      if (type.kind === 'param') {
        let fresh = renamed.get(type.name as string);
        if (fresh === undefined) renamed.set(type.name as string, (fresh = this.freshParam()));
        return fresh;
      }
      return type.parameters === undefined || type.parameters.length === 0
        ? type
        : { ...type, parameters: type.parameters.map(copy) };
    };
    return types.map(copy);
  }

  #bind(name: string, type: CelType): boolean {
    if (mentions(type, name)) return false;
    this.#bound.set(name, type);
    this.#order.push(name);
    return true;
  }

  /** Whether a value of `from` may stand where `to` is wanted; binds parameters on the way. */
  assignable(to: CelType, from: CelType): boolean {
    const wanted = this.resolve(to);
    const given = this.resolve(from);
    if (wanted.kind === 'param') {
      return given.kind === 'param' && given.name === wanted.name ? true : this.#bind(wanted.name as string, given);
    }
    if (given.kind === 'param') return this.#bind(given.name as string, wanted);
    if (wanted.kind === 'dyn' || given.kind === 'dyn' || wanted.kind === 'error' || given.kind === 'error') return true;
    if (given.kind === 'null_type' && nullable(wanted)) return true;
    if (wanted.kind !== given.kind) return false;
    switch (wanted.kind) {
      case 'object':
        return wanted.name === given.name;
      case 'opaque':
        if (wanted.name !== given.name) return false;
        break;
      case 'list':
      case 'map':
        break;
      case 'type':
        return true;
      default:
        return true;
    }
    const left = wanted.parameters ?? [];
    const right = given.parameters ?? [];
    return left.length === right.length && left.every((one, index) => this.assignable(one, right[index] as CelType));
  }
}

function nullable({ kind }: CelType): boolean {
  return kind === 'object' || kind === 'opaque' || kind === 'timestamp' || kind === 'duration' || kind === 'null_type';
}

function mentions(type: CelType, name: string): boolean {
  return type.kind === 'param' ? type.name === name : (type.parameters ?? []).some((one) => mentions(one, name));
}

const simple: ReadonlyMap<string, CelType> = new Map([
  ['bool', boolType],
  ['int', intType],
  ['uint', uintType],
  ['double', doubleType],
  ['string', stringType],
  ['bytes', bytesType],
  ['null', nullType],
  ['timestamp', timestampType],
  ['duration', durationType],
  ['dyn', dynType],
]);

/** Reads a type of a signature: `list<A>`, `map<string, B>`, `optional<A>`, `net.IP`; one capital letter is a parameter. */
export function parseType(text: string): CelType {
  const trimmed = text.trim();
  const open = trimmed.indexOf('<');
  if (open < 0) {
    if (/^[A-Z]$/.test(trimmed)) return { kind: 'param', name: trimmed };
    return simple.get(trimmed) ?? opaqueOf(trimmed);
  }
  const head = trimmed.slice(0, open);
  const parameters = splitTypes(trimmed.slice(open + 1, -1)).map(parseType);
  const [first = dynType, second = dynType] = parameters;
  switch (head) {
    case 'list':
      return listOf(first);
    case 'map':
      return mapOf(first, second);
    case 'optional':
      return optionalOf(first);
    case 'type':
      return typeOfType(first);
    default:
      return opaqueOf(head, ...parameters);
  }
}

/** Splits at commas that are not inside angle brackets. */
export function splitTypes(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at <= text.length; at++) {
    const letter = text[at];
    if (letter === '<') depth++;
    else if (letter === '>') depth--;
    else if ((letter === ',' && depth === 0) || at === text.length) {
      const part = text.slice(start, at).trim();
      if (part !== '') parts.push(part);
      start = at + 1;
    }
  }
  return parts;
}
