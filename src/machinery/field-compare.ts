import type { SchemaNode } from '#api';
import { type FieldSet, fieldNode, member } from './field-set.ts';
import { deduced, type Shape, shapeOf } from './field-shape.ts';
import { deepEqual } from './objects.ts';

type Json = Record<string, unknown>;
type Draft = Record<string, FieldSet>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What an item of an associative list is known by: the keys that it has. Undefined when it has none. */
export function itemLabel(item: unknown, shape: Shape): string | undefined {
  if (shape.kind === 'set') return `v:${JSON.stringify(item)}`;
  if (!isObject(item)) return undefined;
  let text = '';
  for (const { name, fallback } of shape.keys) {
    const value = item[name] ?? fallback;
    if (value === undefined) continue;
    if (typeof value === 'object') return undefined;
    const spelled = typeof value === 'bigint' ? String(value) : JSON.stringify(value);
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${spelled}`;
  }
  return text === '' ? undefined : `k:{${text}}`;
}

/** Items by label; items that share one are kept together in a list and compared as a whole. */
export function itemsByLabel(list: readonly unknown[], shape: Shape): Map<string, unknown> {
  const items = new Map<string, unknown>();
  for (let i = 0; i < list.length; i++) {
    const label = itemLabel(list[i], shape) ?? `i:${i}`;
    const before = items.get(label);
    if (before === undefined) items.set(label, list[i]);
    else if (before instanceof Duplicates) before.add(list[i]);
    else items.set(label, new Duplicates([before, list[i]]));
  }
  return items;
}

/** Items of one label: never merged with another, compared as a whole. */
export class Duplicates {
  readonly items: unknown[];
  constructor(items: unknown[]) {
    this.items = items;
  }
  add(item: unknown): void {
    this.items.push(item);
  }
}

/** Null is a value where a schema of custom resources lets it stand; in built-in kinds it is none. */
const isAbsent = (value: unknown, within: Shape): boolean =>
  value === undefined || (value === null && within.node.typeName !== undefined);

const isEmpty = (value: unknown): boolean => {
  if (Array.isArray(value)) return value.length === 0;
  for (const key in value as Json) return key === undefined;
  return true;
};

/** Whether the value is looked into; otherwise it is owned whole. */
export function isComposite(value: unknown, shape: Shape): boolean {
  switch (shape.kind) {
    case 'struct':
    case 'map':
    case 'deduced':
      return isObject(value) && !isEmpty(value);
    case 'set':
    case 'keyed':
      return Array.isArray(value) && value.length > 0;
    default:
      return false;
  }
}

/** All of a value that was not there before. `own`: whether its being there is itself somebody's doing. */
function allOf(value: unknown, shape: Shape, own: boolean): FieldSet | undefined {
  if (!isComposite(value, shape)) return member;
  let children: Draft | undefined;
  if (Array.isArray(value)) {
    for (const [label, item] of itemsByLabel(value, shape)) {
      const made = item instanceof Duplicates ? member : allOf(item, shape.element, true);
      if (made !== undefined) (children ??= {})[label] = made;
    }
  } else {
    for (const key in value as Json) {
      const one = (value as Json)[key];
      if (isAbsent(one, shape)) continue;
      const field = shape.kind === 'struct' ? shape.field(key) : undefined;
      const made = field === undefined ? allOf(one, elementShape(shape), true) : allOf(one, field.shape, true);
      if (made !== undefined) (children ??= own ? { '.': member } : {})[field?.label ?? `f:${key}`] = made;
    }
  }
  if (children === undefined) return member;
  return fieldNode(own, children);
}

function elementShape(shape: Shape): Shape {
  return shape.kind === 'map' ? shape.element : deduced;
}

/** Fields of `after` that `before` has not, or has with another value. Both are of the same shape. */
function changedIn(before: unknown, after: unknown, shape: Shape): FieldSet | undefined {
  if (before === after) return undefined;
  const wasComposite = isComposite(before, shape);
  if (shape.kind === 'deduced' && before !== null && after !== null && isObject(before) !== isObject(after)) {
    return allOf(after, shape, true);
  }
  if (!isComposite(after, shape)) {
    if (wasComposite && (after === null || isContainer(after))) return undefined;
    return deepEqual(before, after) ? undefined : member;
  }
  let children: Draft | undefined;
  if (Array.isArray(after)) {
    const old = wasComposite ? itemsByLabel(before as unknown[], shape) : undefined;
    for (const [label, item] of itemsByLabel(after, shape)) {
      const previous = old?.get(label);
      let made: FieldSet | undefined;
      if (item instanceof Duplicates) made = deepEqual(item, previous) ? undefined : member;
      else if (previous === undefined || previous instanceof Duplicates) made = allOf(item, shape.element, true);
      else made = changedIn(previous, item, shape.element);
      if (made !== undefined) (children ??= {})[label] = made;
    }
    return children;
  }
  const old = isObject(before) ? before : undefined;
  for (const key in after as Json) {
    const one = (after as Json)[key];
    if (isAbsent(one, shape)) continue;
    const previous = old !== undefined && Object.hasOwn(old, key) ? old[key] : undefined;
    if (previous === one) continue;
    const field = shape.kind === 'struct' ? shape.field(key) : undefined;
    const child = field?.shape ?? elementShape(shape);
    let made: FieldSet | undefined;
    if (!isAbsent(previous, shape)) made = changedIn(previous, one, child);
    else if (field?.always === true) {
      made = isComposite(one, child) ? allOf(one, child, false) : isContainer(one) && isEmpty(one) ? undefined : member;
    } else made = allOf(one, child, true);
    if (made !== undefined) (children ??= {})[field?.label ?? `f:${key}`] = made;
  }
  return children;
}

const isContainer = (value: unknown): boolean => typeof value === 'object' && value !== null;

/** Fields of `before` that `after` has no more, with all that was below them. */
function removedIn(before: unknown, after: unknown, shape: Shape): FieldSet | undefined {
  if (before === after || !isComposite(before, shape)) return undefined;
  let children: Draft | undefined;
  if (Array.isArray(before)) {
    const now = Array.isArray(after) ? itemsByLabel(after, shape) : undefined;
    for (const [label, item] of itemsByLabel(before, shape)) {
      const next = now?.get(label);
      let made: FieldSet | undefined;
      if (item instanceof Duplicates) made = next instanceof Duplicates ? undefined : member;
      else if (next === undefined || next instanceof Duplicates) made = allOf(item, shape.element, true);
      else made = removedIn(item, next, shape.element);
      if (made !== undefined) (children ??= {})[label] = made;
    }
    return children;
  }
  const now = isObject(after) ? after : undefined;
  for (const key in before as Json) {
    const one = (before as Json)[key];
    if (isAbsent(one, shape)) continue;
    const next = now !== undefined && Object.hasOwn(now, key) ? now[key] : undefined;
    if (next === one) continue;
    const field = shape.kind === 'struct' ? shape.field(key) : undefined;
    const child = field?.shape ?? elementShape(shape);
    const made = isAbsent(next, shape) ? allOf(one, child, true) : removedIn(one, next, child);
    if (made !== undefined) (children ??= {})[field?.label ?? `f:${key}`] = made;
  }
  return children;
}

/** Fields that are added or have another value in `after`. */
export function changedFields(before: object, after: object, node: SchemaNode): FieldSet | undefined {
  return withoutIdentity(changedIn(before, after, shapeOf(node)));
}

/** Fields that `after` lacks. */
export function removedFields(before: object, after: object, node: SchemaNode): FieldSet | undefined {
  return withoutIdentity(removedIn(before, after, shapeOf(node)));
}

/** Every field that a configuration names, identity included: what must not be pruned. */
export function fieldsNamed(config: object, node: SchemaNode): FieldSet | undefined {
  return namedIn(config, shapeOf(node));
}

/** An associative list without items names nothing: there is nothing in it to own. */
const isEmptyItems = (value: unknown, shape: Shape): boolean =>
  (shape.kind === 'set' || shape.kind === 'keyed') && Array.isArray(value) && value.length === 0;

function namedIn(value: unknown, shape: Shape): FieldSet | undefined {
  if (!isComposite(value, shape)) return member;
  let children: Draft | undefined;
  if (Array.isArray(value)) {
    for (const [label, item] of itemsByLabel(value, shape)) {
      const below = item instanceof Duplicates ? member : namedIn(item, shape.element);
      (children ??= {})[label] = fieldNode(true, below === member ? undefined : below) as FieldSet;
    }
    return children;
  }
  for (const key in value as Json) {
    const one = (value as Json)[key];
    if (one === undefined) continue;
    const field = shape.kind === 'struct' ? shape.field(key) : undefined;
    const child = field?.shape ?? elementShape(shape);
    const below = isEmptyItems(one, child) ? undefined : namedIn(one, child);
    const made = field === undefined ? fieldNode(true, below === member ? undefined : below) : below;
    if (made !== undefined) (children ??= {})[field?.label ?? `f:${key}`] = made;
  }
  return children;
}

/** Fields of metadata that the server keeps for itself: nobody's. */
const serverMeta = new Set(
  [
    'name',
    'namespace',
    'creationTimestamp',
    'selfLink',
    'uid',
    'clusterName',
    'generation',
    'managedFields',
    'resourceVersion',
  ].map((name) => `f:${name}`),
);

/** Without what the server keeps for itself: the rest can be owned. */
export function withoutIdentity(set: FieldSet | undefined): FieldSet | undefined {
  if (set === undefined || set === member) return undefined;
  let result: Draft | undefined;
  for (const label in set) {
    if (label === 'f:apiVersion' || label === 'f:kind' || label === '.') continue;
    let node: FieldSet | undefined = set[label] as FieldSet;
    if (label === 'f:metadata') {
      let kept: Draft | undefined;
      for (const one in node) if (one !== '.' && !serverMeta.has(one)) (kept ??= {})[one] = node[one] as FieldSet;
      node = kept;
    }
    if (node !== undefined) (result ??= {})[label] = node;
  }
  return result;
}
