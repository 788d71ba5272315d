import type { SchemaNode } from '#api';
import { fieldsNamed, itemLabel } from './field-compare.ts';
import { type FieldSet, fieldNode, intersect, isMember, subtract, unite } from './field-set.ts';
import { childShape, type Shape, shapeOf } from './field-shape.ts';
import { setOwn } from './objects.ts';

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The node's children without the mark that it is a member itself; undefined when it has none. */
function below(node: FieldSet): FieldSet | undefined {
  for (const label in node) if (label !== '.') return node;
  return undefined;
}

/**
 * The set in which every declared field with members below it is a member too. An applier that names `a.b` answers for `a`
 * where `a` is a field of the schema, not where it is a key of a map.
 */
function withNamedFields(set: FieldSet | undefined, shape: Shape): FieldSet | undefined {
  if (set === undefined) return undefined;
  const result: Record<string, FieldSet> = {};
  for (const label in set) {
    const node = set[label] as FieldSet;
    const inner = below(node);
    if (label === '.' || inner === undefined) {
      result[label] = node;
      continue;
    }
    const isField = label.startsWith('f:');
    const named = isField && shape.kind === 'struct' && shape.field(label.slice(2)) !== undefined;
    const next = withNamedFields(inner, isField ? childShape(shape, label.slice(2)) : shape.element);
    result[label] = fieldNode(named || isMember(node), next) as FieldSet;
  }
  return result;
}

/** A copy without the members of `gone`; what lost all it had this way stays as an empty container, other empty ones go. */
function withoutMembers(value: unknown, gone: FieldSet, shape: Shape): unknown {
  let matched = false;
  const keptBelow = (child: unknown, node: FieldSet, childShape: Shape): unknown => {
    matched = true;
    return withoutMembers(child, node, childShape) ?? (Array.isArray(child) ? [] : isObject(child) ? {} : undefined);
  };
  if (Array.isArray(value)) {
    if (shape.kind !== 'set' && shape.kind !== 'keyed') return undefined;
    const items: unknown[] = [];
    for (const item of value) {
      const label = itemLabel(item, shape);
      const node = label === undefined ? undefined : gone[label];
      if (node === undefined) items.push(item);
      else if (!isMember(node)) items.push(keptBelow(item, node, shape.element));
    }
    return items.length > 0 || matched ? items : undefined;
  }
  if (!isObject(value) || shape.kind === 'leaf') return undefined;
  const result: Json = {};
  let size = 0;
  for (const key in value) {
    const node = gone[`f:${key}`];
    if (node !== undefined && isMember(node)) continue;
    setOwn(result, key, node === undefined ? value[key] : keptBelow(value[key], node, childShape(shape, key)));
    size++;
  }
  return size > 0 || matched ? result : undefined;
}

export interface Pruning {
  /** The live object with the configuration merged into it. */
  readonly merged: object;
  /** What this applier named the last time. */
  readonly last: FieldSet;
  /** What it names now. */
  readonly present: FieldSet | undefined;
  /** What others own. */
  readonly others: FieldSet | undefined;
  readonly node: SchemaNode;
}

/**
 * Removes what the applier named before and nobody names now: all of its last set goes, then what anyone owns comes back, then what was
 * never in the last set. The object itself when nothing was given up.
 */
export function pruned({ merged, last, present, others, node }: Pruning): object {
  if (subtract(last, present) === undefined) return merged;
  const shape = shapeOf(node);
  const named = (value: object): FieldSet | undefined => withNamedFields(fieldsNamed(value, node), shape);
  const without = (gone: FieldSet | undefined): object =>
    gone === undefined ? merged : ((withoutMembers(merged, gone, shape) as object | undefined) ?? {});
  const all = named(merged);
  const lastNamed = withNamedFields(last, shape);
  const owned = withNamedFields(unite(present, others), shape);
  const bare = without(lastNamed);
  const ownedBack = without(subtract(all, unite(named(bare), owned)));
  return without(intersect(subtract(all, named(ownedBack)), lastNamed));
}
