import type { FieldSchema, ScalarType, SchemaNode } from '#api';
import { type FieldError } from './field-error.ts';
import { goQuote } from './go-text.ts';
import { quantityError } from './quantity.ts';
import { parseGoDuration, parseTimeMs } from './times.ts';

const mostErrors = 100;

const goScalars: Readonly<Record<ScalarType, string>> = {
  string: 'string',
  boolean: 'bool',
  int32: 'int32',
  int64: 'int64',
  float64: 'float64',
  bytes: '[]uint8',
  Time: 'v1.Time',
  MicroTime: 'v1.MicroTime',
  Duration: 'v1.Duration',
  Quantity: 'resource.Quantity',
  IntOrString: 'intstr.IntOrString',
};

function goType(node: SchemaNode): string {
  switch (node.form) {
    case 'scalar':
      return goScalars[node.scalar ?? 'string'];
    case 'struct':
      return node.typeName === undefined ? 'object' : node.typeName.replace(/^[^/]*\//, '');
    case 'map':
      return `map[string]${node.element === undefined ? 'interface {}' : goType(node.element)}`;
    case 'list':
      return `[]${node.element === undefined ? 'interface {}' : goType(node.element)}`;
    default:
      return 'interface {}';
  }
}

function jsonKind(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return 'number';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'string';
  return Array.isArray(value) ? 'array' : 'object';
}

/** Why a non-null value is no such scalar: `true` for the wrong JSON kind, a text for a bad spelling. */
function scalarProblem(value: unknown, scalar: ScalarType): true | string | undefined {
  switch (scalar) {
    case 'string':
      return typeof value === 'string' ? undefined : true;
    case 'boolean':
      return typeof value === 'boolean' ? undefined : true;
    case 'int32':
      if (Number.isInteger(value) && (value as number) >= -2147483648 && (value as number) <= 2147483647)
        return undefined;
      return true;
    case 'int64':
      if (typeof value === 'bigint') return value >= -(2n ** 63n) && value < 2n ** 63n ? undefined : true;
      return Number.isInteger(value) && Math.abs(value as number) < 2 ** 63 ? undefined : true;
    case 'float64':
      return typeof value === 'number' || typeof value === 'bigint' ? undefined : true;
    case 'bytes':
      if (value instanceof Uint8Array) return undefined;
      return typeof value === 'string' ? base64Problem(value) : true;
    case 'Time':
    case 'MicroTime': {
      if (typeof value !== 'string') return true;
      const layout = scalar === 'Time' ? '2006-01-02T15:04:05Z07:00' : '2006-01-02T15:04:05.000000Z07:00';
      return Number.isNaN(parseTimeMs(value))
        ? `parsing time ${goQuote(value)} as ${goQuote(layout)}: cannot parse ${goQuote(value)} as "2006"`
        : undefined;
    }
    case 'Duration':
      if (typeof value !== 'string') return true;
      try {
        parseGoDuration(value);
        return undefined;
      } catch (error) {
        return (error as Error).message;
      }
    case 'Quantity':
      if (typeof value === 'number' || typeof value === 'bigint') return undefined;
      return quantityError(typeof value === 'string' ? value.trim() : '');
    default:
      return typeof value === 'string' || Number.isInteger(value) ? undefined : true;
  }
}

function base64Problem(text: string): string | undefined {
  const clean = text.replace(/[\r\n]/g, '');
  if (clean.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(clean)) return undefined;
  const bad = text.search(/[^A-Za-z0-9+/=\r\n]/);
  return `illegal base64 data at input byte ${bad < 0 ? text.length - (text.length % 4) : bad}`;
}

class TypeCheck {
  readonly found: FieldError[] = [];

  check(value: unknown, node: SchemaNode, at: Place): void {
    if (value === null || value === undefined || this.found.length >= mostErrors) return;
    switch (node.form) {
      case 'scalar': {
        const problem = scalarProblem(value, node.scalar ?? 'string');
        if (problem !== undefined) this.#add(value, node, at, problem);
        return;
      }
      case 'struct': {
        if (typeof value !== 'object' || Array.isArray(value)) return this.#add(value, node, at, true);
        const fields = node.fields as ReadonlyMap<string, FieldSchema>;
        for (const key in value) {
          const field = fields.get(key);
          if (field === undefined) continue;
          const one = (value as Record<string, unknown>)[key];
          const form = field.node.form;
          if (typeof one === 'string' && form === 'scalar' && field.node.scalar === 'string') continue;
          if (form !== 'any') this.check(one, field.node, new Place(at, `.${key}`, key, node));
        }
        return;
      }
      case 'map': {
        if (typeof value !== 'object' || Array.isArray(value)) return this.#add(value, node, at, true);
        const element = node.element;
        if (element === undefined || element.form === 'any') return;
        for (const key in value) {
          const one = (value as Record<string, unknown>)[key];
          if (typeof one === 'string' && element.scalar === 'string') continue;
          this.check(one, element, new Place(at, `[${key}]`, undefined, undefined));
        }
        return;
      }
      case 'list': {
        if (!Array.isArray(value)) return this.#add(value, node, at, true);
        const element = node.element;
        if (element === undefined || element.form === 'any') return;
        for (let i = 0; i < value.length; i++)
          this.check(value[i], element, new Place(at, `[${i}]`, undefined, undefined));
        return;
      }
      default:
    }
  }

  #add(value: unknown, node: SchemaNode, at: Place, problem: true | string): void {
    let detail = problem === true ? '' : problem;
    if (problem === true) {
      let kind = jsonKind(value);
      if (kind === 'number' && (node.scalar === 'int32' || node.scalar === 'int64')) kind = `number ${value}`;
      const { struct, keys } = at.goField();
      const where = struct === '' ? 'Go value' : `Go struct field ${struct}.${keys}`;
      detail = `json: cannot unmarshal ${kind} into ${where} of type ${goType(node)}`;
    }
    this.found.push({ type: 'FieldValueTypeInvalid', field: at.path(), detail });
  }
}

/** Where the walk is: a chain that becomes text only when there is something to say. */
class Place {
  readonly parent: Place | undefined;
  readonly step: string;
  readonly key: string | undefined;
  readonly struct: SchemaNode | undefined;

  constructor(parent: Place | undefined, step: string, key: string | undefined, struct: SchemaNode | undefined) {
    this.parent = parent;
    this.step = step;
    this.key = key;
    this.struct = struct;
  }

  path(): string {
    let text = '';
    for (let at: Place | undefined = this; at !== undefined; at = at.parent) text = at.step + text;
    return text.replace(/^\./, '');
  }

  goField(): { struct: string; keys: string } {
    const keys: string[] = [];
    let struct = '';
    for (let at: Place | undefined = this; at !== undefined; at = at.parent) {
      if (at.key === undefined) continue;
      keys.push(at.key);
      if (struct === '' && at.struct !== undefined) struct = at.struct.typeName?.replace(/^.*\./, '') ?? 'object';
    }
    return { struct, keys: keys.reverse().join('.') };
  }
}

/**
 * Findings of values whose JSON type is not the schema's, at most 100. Each detail is upstream's decoding error as a whole,
 * `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`: a request is answered
 * with the first one. Unknown fields are `pruneUnknown`'s business.
 */
export function validateAgainstSchema(object: unknown, node: SchemaNode): FieldError[] {
  const walk = new TypeCheck();
  walk.check(object, node, root);
  return walk.found;
}

const root = new Place(undefined, '', undefined, undefined);
