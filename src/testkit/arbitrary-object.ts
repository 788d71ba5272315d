import fc from 'fast-check';
import { type AnyObject, builtinSchema, type FieldSchema, type ResourceInfo, type SchemaNode } from '#api';
import { type Random, seededRandom } from '#base';

export interface ArbitraryOptions {
  /** How likely an optional field is there, at the top; it falls by half with each two levels. Default 0.5. */
  readonly presence?: number;
  /** No optional struct below this depth. Default 9. */
  readonly maxDepth?: number;
  /** Integers that a double cannot hold, as BigInt. Default false. */
  readonly bigIntegers?: boolean;
}

/**
 * Random objects of a message: every field has the type of the schema, but no rule of validation is kept (a Service may
 * have no ports). In the form that every encoding preserves: what is zero and optional is absent.
 */
export function arbitraryObject(
  node: SchemaNode,
  options: ArbitraryOptions = {},
): fc.Arbitrary<Record<string, unknown>> {
  return fc.integer({ min: 1 }).map((seed) => randomObject(node, seededRandom(seed), options));
}

/** Random objects of a built-in resource, with apiVersion, kind and a name. */
export function arbitraryResource(info: ResourceInfo, options: ArbitraryOptions = {}): fc.Arbitrary<AnyObject> {
  const node = builtinSchema.type(info.typeName as string);
  const apiVersion = info.group === '' ? info.version : `${info.group}/${info.version}`;
  return fc.integer({ min: 1 }).map((seed) => {
    const random = seededRandom(seed);
    const object = randomObject(node, random, options);
    const metadata = { ...(object.metadata as object | undefined), name: `${info.singular}-${random.suffix(5)}` };
    return { ...object, apiVersion, kind: info.kind, metadata } as unknown as AnyObject;
  });
}

/** One random object of a message: see `arbitraryObject`. */
export function randomObject(
  node: SchemaNode,
  random: Random,
  options: ArbitraryOptions = {},
): Record<string, unknown> {
  const { presence = 0.5, maxDepth = 9, bigIntegers = false } = options;
  return new ObjectMaker(random, presence, maxDepth, bigIntegers).struct(node, 0);
}

class ObjectMaker {
  readonly #random: Random;
  readonly #presence: number;
  readonly #maxDepth: number;
  readonly #bigIntegers: boolean;

  constructor(random: Random, presence: number, maxDepth: number, bigIntegers: boolean) {
    this.#random = random;
    this.#presence = presence;
    this.#maxDepth = maxDepth;
    this.#bigIntegers = bigIntegers;
  }

  struct(node: SchemaNode, depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    for (const field of node.fields?.values() ?? []) {
      if (field.name === 'apiVersion' || field.name === 'kind') {
        if (field.numbers.length === 0) continue;
      }
      const value = this.#field(field, depth);
      if (value !== undefined) object[field.name] = value;
    }
    return object;
  }

  #field(field: FieldSchema, depth: number): unknown {
    const { node, required, pointer } = field;
    const always = required || (!pointer && (node.typeName === 'meta/v1.LabelSelector' || node.scalar === 'Quantity'));
    if (!always) {
      if (depth >= this.#maxDepth && node.form !== 'scalar') return undefined;
      if (this.#random.int(1000) >= 1000 * this.#presence * 0.5 ** (depth / 2)) return undefined;
    }
    if (node.form === 'list' || node.form === 'map') {
      const size = this.#random.int(depth > 4 ? 2 : 3) + (always ? 0 : 1);
      return node.form === 'list' ? this.#list(node, size, depth) : this.#map(node, size, depth);
    }
    const value = this.#value(node, depth + 1);
    return !always && !pointer && isZero(value, node) ? undefined : value;
  }

  #list(node: SchemaNode, size: number, depth: number): unknown[] {
    return Array.from({ length: size }, () => this.#value(node.element as SchemaNode, depth + 1));
  }

  #map(node: SchemaNode, size: number, depth: number): Record<string, unknown> {
    const keys = ['app', 'a.b/c', 'constructor', 'Ünï', 'x-y_z', 'yes', '1', `k${this.#random.suffix(4)}`];
    const entries = Array.from({ length: size }, () => [
      keys[this.#random.int(keys.length)] as string,
      this.#value(node.element as SchemaNode, depth + 1),
    ]);
    return Object.fromEntries(entries) as Record<string, unknown>;
  }

  #value(node: SchemaNode, depth: number): unknown {
    if (node.form === 'struct') return this.struct(node, depth);
    if (node.form === 'list') return this.#list(node, 1 + this.#random.int(2), depth);
    if (node.form === 'map') return this.#map(node, 1 + this.#random.int(2), depth);
    return node.form === 'any' ? this.#any(node, depth) : this.#scalar(node);
  }

  #any(node: SchemaNode, depth: number): unknown {
    switch (node.opaque) {
      case 'JSONSchemaPropsOrBool':
        return this.#random.int(2) === 0 ? this.#random.int(2) === 0 : this.struct(node.element as SchemaNode, depth);
      case 'JSONSchemaPropsOrStringArray':
        return this.#random.int(2) === 0 ? ['a', 'b'] : this.struct(node.element as SchemaNode, depth);
      case 'JSONSchemaPropsOrArray':
        return this.#random.int(2) === 0
          ? [this.struct(node.element as SchemaNode, depth)]
          : this.struct(node.element as SchemaNode, depth);
      case 'JSON':
        return this.#pick<unknown>([1, 'text', true, false, [], { a: [1, { b: 'c' }] }, 1.5, 0, '']);
      default:
        return this.#pick<unknown>([
          {},
          { apiVersion: 'v1', kind: 'X' },
          { 'f:metadata': { 'f:labels': { '.': {} } } },
        ]);
    }
  }

  #scalar(node: SchemaNode): unknown {
    if (node.enum !== undefined) return this.#pick(node.enum);
    const { int } = this.#random;
    const seconds = (): string =>
      `20${10 + int(80)}-0${1 + int(9)}-${10 + int(18)}T1${int(10)}:0${int(10)}:${10 + int(50)}`;
    switch (node.scalar) {
      case 'boolean':
        return int(2) === 0;
      case 'int32':
        return this.#pick([0, 1, -1, 80, 127, 128, 65535, 2 ** 31 - 1, -(2 ** 31), int(2 ** 31)]);
      case 'int64': {
        const safe = [0, 1, -1, 300, 2 ** 32, 2 ** 53 - 1, -(2 ** 53 - 1), int(2 ** 31) * 2 ** 20];
        return this.#bigIntegers && int(4) === 0
          ? this.#pick([2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n])
          : this.#pick(safe);
      }
      case 'float64':
        return this.#pick([0, 1, 0.5, -3.25, 1e21, 1e-7]);
      case 'bytes':
        return Buffer.from(this.#random.bytes(int(12))).toString('base64');
      case 'Time':
        return `${seconds()}Z`;
      case 'MicroTime':
        return `${seconds()}.${100_000 + int(900_000)}Z`;
      case 'Duration':
        return this.#pick(['0s', '1h0m0s', '2m3.5s', '-300ms', '7µs']);
      case 'Quantity':
        return this.#pick(['0', '100m', '1', '128Mi', '2k', '1e3', '0.5Gi']);
      case 'IntOrString':
        return this.#pick<number | string>([0, 8080, -1, 'http', '25%']);
      default:
        return this.#text();
    }
  }

  #text(): string {
    const odd = [
      '',
      'yes',
      'null',
      '~',
      '1e3',
      '0777',
      '1:30',
      '2001-12-14',
      'a: b',
      ' x',
      '# no',
      'two\nlines\n',
      'x\n',
      '日本語',
      '😀',
      '"q"',
      '\\',
      '\t',
      '<<',
      '=',
      '-',
      'é'.repeat(60),
    ];
    return this.#random.int(4) === 0 ? this.#pick(odd) : `${this.#random.suffix(1 + this.#random.int(20))}`;
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#random.int(values.length)] as T;
  }
}

function isZero(value: unknown, node: SchemaNode): boolean {
  if (node.form === 'struct') {
    return [...(node.fields?.values() ?? [])].every((field) => {
      const inner = (value as Record<string, unknown>)[field.name];
      return inner === undefined || (!field.pointer && isZero(inner, field.node));
    });
  }
  if (node.form === 'list') return (value as unknown[]).length === 0;
  if (node.form === 'map') return Object.keys(value as object).length === 0;
  if (node.form === 'any') return false;
  if (node.scalar === 'Quantity') return value === '0';
  if (node.scalar === 'Duration') return value === '0s';
  return value === '' || value === 0 || value === false;
}
