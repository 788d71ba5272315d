import type { FieldSchema, SchemaNode } from '#api';
import { rfc3339 } from '#base';
import { cloneObject } from './objects.ts';
import { canonicalQuantity } from './quantity.ts';
import { formatGoDuration, parseGoDuration, parseTimeMs } from './times.ts';

type Json = Record<string, unknown>;

const withDefaults = new WeakMap<SchemaNode, boolean>();

/** Whether anything below the node has a default; a node met again on the way says nothing of its own. */
function mayDefault(node: SchemaNode): boolean {
  const known = withDefaults.get(node);
  if (known !== undefined) return known;
  const seen = new Set<SchemaNode>([node]);
  const queue = [node];
  for (let one = queue.pop(); one !== undefined; one = queue.pop()) {
    const next: SchemaNode[] = one.form === 'any' || one.element === undefined ? [] : [one.element];
    if (one.form === 'struct') {
      for (const field of one.fields?.values() ?? []) {
        if (field.default !== undefined) {
          withDefaults.set(node, true);
          return true;
        }
        next.push(field.node);
      }
    }
    for (const child of next) {
      if (child.form === 'scalar' || seen.has(child)) continue;
      seen.add(child);
      queue.push(child);
    }
  }
  withDefaults.set(node, false);
  return false;
}

interface DefaultPlan {
  readonly own: readonly FieldSchema[];
  readonly below: readonly FieldSchema[];
}

const plans = new WeakMap<SchemaNode, DefaultPlan>();

function defaultPlan(node: SchemaNode): DefaultPlan {
  let plan = plans.get(node);
  if (plan === undefined) {
    const fields = [...(node.fields?.values() ?? [])];
    plan = {
      own: fields.filter((one) => one.default !== undefined),
      below: fields.filter((one) => one.node.form !== 'scalar' && one.node.form !== 'any' && mayDefault(one.node)),
    };
    plans.set(node, plan);
  }
  return plan;
}

function isZero(value: unknown): boolean {
  return value === '' || value === 0 || value === false;
}

/**
 * Fills in the schema's static defaults, in place, in every object that is there. In built-in kinds a zero value of a field
 * that is no pointer counts as absent.
 */
export function applySchemaDefaults(draft: unknown, node: SchemaNode): void {
  if (typeof draft !== 'object' || draft === null) return;
  if (node.form === 'struct') {
    if (Array.isArray(draft)) return;
    const { own, below } = defaultPlan(node);
    const typed = node.typeName !== undefined;
    for (const field of own) {
      const value = Object.hasOwn(draft, field.name) ? (draft as Json)[field.name] : undefined;
      if (value === undefined || (typed && !field.pointer && isZero(value))) {
        (draft as Json)[field.name] = cloneObject(field.default);
      }
    }
    for (const field of below) {
      if (Object.hasOwn(draft, field.name)) applySchemaDefaults((draft as Json)[field.name], field.node);
    }
  } else if (
    node.element !== undefined &&
    node.form !== 'any' &&
    node.element.form !== 'scalar' &&
    mayDefault(node.element)
  ) {
    if (node.form === 'list' && Array.isArray(draft)) for (const one of draft) applySchemaDefaults(one, node.element);
    else if (node.form === 'map') for (const key in draft) applySchemaDefaults((draft as Json)[key], node.element);
  }
}

function canonicalScalar(value: unknown, node: SchemaNode): unknown {
  switch (node.scalar) {
    case 'Quantity':
      if (typeof value === 'string') return canonicalQuantity(value === '' ? '0' : value.trim());
      return typeof value === 'number' || typeof value === 'bigint' ? canonicalQuantity(String(value)) : value;
    case 'Time':
      if (typeof value !== 'string' || (value.length === 20 && value.endsWith('Z'))) return value;
      return rfc3339(parseTimeMs(value));
    case 'MicroTime':
      if (typeof value !== 'string' || (value.length === 27 && value.endsWith('Z'))) return value;
      return micro(value);
    case 'Duration':
      return typeof value === 'string' ? formatGoDuration(parseGoDuration(value)) : value;
    case 'bytes':
      return typeof value === 'string' && /[\r\n]/.test(value) ? value.replace(/[\r\n]/g, '') : value;
    default:
      return value;
  }
}

function micro(time: string): string {
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? '';
  return `${rfc3339(parseTimeMs(time)).slice(0, 19)}.${fraction.slice(0, 6).padEnd(6, '0')}Z`;
}

/** Fields that every encoding of a built-in struct has, though the client left them out. */
interface Fill {
  readonly name: string;
  readonly node: SchemaNode;
  readonly make: () => unknown;
}

const fills = new WeakMap<SchemaNode, readonly Fill[]>();

const zeroScalars: Readonly<Record<string, unknown>> = { string: '', boolean: false, int32: 0, int64: 0, float64: 0 };

function fillsOf(node: SchemaNode): readonly Fill[] {
  let list = fills.get(node);
  if (list === undefined) {
    list = [...(node.fields?.values() ?? [])].flatMap((field): Fill[] => {
      const { name, node: child, pointer, required, numbers } = field;
      if (pointer || numbers.length !== 1 || name === 'metadata') return [];
      if (child.form === 'struct') return [{ name, node: child, make: () => ({}) }];
      const zero = child.form === 'scalar' ? zeroScalars[child.scalar as string] : undefined;
      return required && zero !== undefined ? [{ name, node: child, make: () => zero }] : [];
    });
    fills.set(node, list);
  }
  return list;
}

/**
 * Brings typed values into the form in which the server stores and answers, in place: quantities, times and durations
 * canonical; nulls and (where upstream omits them) empty values gone; structs and required scalars that upstream always encodes
 * present (`resources: {}`, `status: {}`). Only built-in types; a custom resource's own fields stay as they are. Validate types first.
 */
export function normalizeScalars(draft: object, node: SchemaNode): void {
  normalize(draft, node);
}

function normalize(value: unknown, node: SchemaNode): unknown {
  switch (node.form) {
    case 'scalar':
      return canonicalScalar(value, node);
    case 'struct': {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
      if (node.typeName === undefined) return normalizeCustom(value as Json, node);
      const object = value as Json;
      const fields = node.fields as ReadonlyMap<string, FieldSchema>;
      for (const key in object) {
        const one = object[key];
        const field = fields.get(key);
        if (field === undefined) continue;
        if (one === null || one === undefined || (!field.pointer && !field.required && omitted(one, field.node))) {
          delete object[key];
          continue;
        }
        const kind = field.node.form;
        if (kind === 'any' || (kind === 'scalar' && plain.has(field.node.scalar as string))) continue;
        const made = normalize(one, field.node);
        if (made !== one) object[key] = made;
      }
      for (const { name, node: child, make } of fillsOf(node)) {
        if (Object.hasOwn(object, name)) continue;
        object[name] = make();
        if (child.form === 'struct') normalize(object[name], child);
      }
      return object;
    }
    case 'map': {
      const element = node.element;
      if (element === undefined || element.form === 'any' || typeof value !== 'object' || value === null) return value;
      const object = value as Json;
      for (const key in object) {
        const one = object[key];
        if (one === null) object[key] = emptyOf(element);
        else if (element.form !== 'scalar' || !plain.has(element.scalar as string)) {
          const made = normalize(one, element);
          if (made !== one) object[key] = made;
        }
      }
      return object;
    }
    case 'list': {
      const element = node.element;
      if (element === undefined || element.form === 'any' || !Array.isArray(value)) return value;
      for (let i = 0; i < value.length; i++)
        value[i] = normalize(value[i] === null ? emptyOf(element) : value[i], element);
      return value;
    }
    default:
      return value;
  }
}

function normalizeCustom(object: Json, node: SchemaNode): Json {
  for (const key in object) {
    const child = node.fields?.get(key)?.node;
    if (child !== undefined && child.form !== 'scalar' && child.typeName !== undefined) normalize(object[key], child);
  }
  return object;
}

/** Scalars that have one spelling only. */
const plain = new Set(['string', 'boolean', 'int32', 'int64', 'float64', 'IntOrString']);

function omitted(value: unknown, node: SchemaNode): boolean {
  switch (node.form) {
    case 'scalar':
      return plain.has(node.scalar as string) && node.scalar !== 'IntOrString'
        ? isZero(value)
        : node.scalar === 'bytes' && value === '';
    case 'list':
      return Array.isArray(value) && value.length === 0;
    case 'map': {
      for (const key in value as Json) return key === undefined;
      return true;
    }
    default:
      return false;
  }
}

function emptyOf(node: SchemaNode): unknown {
  switch (node.form) {
    case 'struct':
      return normalize({}, node);
    case 'map':
      return {};
    case 'list':
      return [];
    case 'scalar':
      return (
        zeroScalars[node.scalar as string] ?? (node.scalar === 'Quantity' ? '0' : node.scalar === 'bytes' ? '' : null)
      );
    default:
      return null;
  }
}

/** Only the canonical spelling of scalars, in place: nothing is filled in or left out (what an applier sent stays its own). */
export function canonicalizeScalars(value: unknown, node: SchemaNode): unknown {
  if (typeof value !== 'object' || value === null) return node.form === 'scalar' ? canonicalScalar(value, node) : value;
  const each = (key: string | number, child: SchemaNode | undefined): void => {
    if (child === undefined || child.form === 'any' || (child.form === 'scalar' && plain.has(child.scalar as string)))
      return;
    const one = (value as Json)[key];
    const made = canonicalizeScalars(one, child);
    if (made !== one) (value as Json)[key] = made;
  };
  if (Array.isArray(value)) value.forEach((_, index) => void each(index, node.element));
  else if (node.form === 'struct') {
    for (const key in value) {
      const child = node.fields?.get(key)?.node;
      if (child?.form !== 'scalar' || node.typeName !== undefined) each(key, child);
    }
  } else if (node.form === 'map') for (const key in value) each(key, node.element);
  return value;
}
