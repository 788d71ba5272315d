import type { JSONSchemaProps } from '#api';
import { cloneObject } from '#machinery';
import { itemsOf, valuesOf } from './schema-walk.ts';

type Json = Record<string, unknown>;

const isLostNull = (value: unknown, schema: JSONSchemaProps): boolean => value === null && schema.nullable !== true;

/**
 * Removes, in place, every null that its schema does not allow: such a field counts as absent, and gets its default if it has one.
 * In lists and maps the default takes its place at once; a null in a list without one stays, for validation to refuse. True when
 * something changed. Schemas are trees whose depth was bounded when they were decoded.
 */
export function dropNulls(value: unknown, schema: JSONSchemaProps): boolean {
  if (typeof value !== 'object' || value === null) return false;
  let changed = false;
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    if (items === undefined) return false;
    for (const [index, one] of value.entries()) {
      if (!isLostNull(one, items)) changed = dropNulls(one, items) || changed;
      else if (items.default !== undefined) {
        value[index] = cloneObject(items.default as object);
        changed = true;
      }
    }
    return changed;
  }
  const values = valuesOf(schema);
  for (const name of Object.keys(value)) {
    const property = Object.hasOwn(schema.properties ?? {}, name) ? schema.properties?.[name] : undefined;
    const below = property ?? values;
    if (below === undefined) continue;
    const one = (value as Json)[name];
    if (!isLostNull(one, below)) {
      changed = dropNulls(one, below) || changed;
      continue;
    }
    if (property === undefined && below.default !== undefined)
      (value as Json)[name] = cloneObject(below.default as object);
    else delete (value as Json)[name];
    changed = true;
  }
  return changed;
}
