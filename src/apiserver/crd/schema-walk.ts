import type { JSONSchemaProps } from '#api';

/** Whether some schema below, itself included, has the trait. Schemas are trees whose depth was bounded when they were decoded. */
export function someSchema(schema: JSONSchemaProps, test: (schema: JSONSchemaProps) => boolean): boolean {
  if (test(schema)) return true;
  const { properties, items, additionalProperties, allOf, anyOf, oneOf, not } = schema;
  const below = [
    ...Object.values(properties ?? {}),
    items,
    additionalProperties,
    ...(allOf ?? []),
    ...(anyOf ?? []),
    ...(oneOf ?? []),
    not,
  ];
  return below.some(
    (one) => typeof one === 'object' && !Array.isArray(one) && someSchema(one as JSONSchemaProps, test),
  );
}

/** Whether a schema has rules in the expression language. */
export function hasRules(schema: JSONSchemaProps | undefined): boolean {
  return schema !== undefined && someSchema(schema, (one) => (one['x-kubernetes-validations']?.length ?? 0) > 0);
}

/** The single schema of a list's items. */
export function itemsOf({ items }: JSONSchemaProps): JSONSchemaProps | undefined {
  return items === undefined || items === null || Array.isArray(items) ? undefined : (items as JSONSchemaProps);
}

/** The schema of a map's values. */
export function valuesOf({ additionalProperties }: JSONSchemaProps): JSONSchemaProps | undefined {
  return typeof additionalProperties === 'object' && additionalProperties !== null
    ? (additionalProperties as JSONSchemaProps)
    : undefined;
}

/** Finds the old item that an item of a map list stands for: the one with the same keys. Undefined for lists of other types. */
export function oldItems(schema: JSONSchemaProps, old: unknown): ((item: unknown) => unknown) | undefined {
  if (schema['x-kubernetes-list-type'] !== 'map' || !Array.isArray(old)) return undefined;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const nameOf = (item: unknown): string =>
    JSON.stringify(
      keys.map((key) => {
        const value =
          typeof item === 'object' && item !== null && Object.hasOwn(item, key)
            ? (item as Record<string, unknown>)[key]
            : null;
        return typeof value === 'bigint' ? String(value) : value;
      }),
    );
  const byName = new Map(old.map((item) => [nameOf(item), item]));
  return (item) => byName.get(nameOf(item));
}

/** A field's old value, where fields keep their identity. */
export function oldField(schema: JSONSchemaProps, old: unknown, name: string): unknown {
  if (schema['x-kubernetes-map-type'] === 'atomic') return undefined;
  if (typeof old !== 'object' || old === null || Array.isArray(old) || !Object.hasOwn(old, name)) return undefined;
  return (old as Record<string, unknown>)[name];
}
