import { builtinSchema, type ResourceInfo } from '#api';
import { descriptionsOf } from './descriptions.ts';
import { customDefinitionName } from './names.ts';
import type { Definitions } from './schemas.ts';
import type { Json, Style } from './style.ts';

const deepest = 200;

/** Adds the definitions of a custom resource and its list; `schema` is its openAPIV3Schema. */
export function addCustomDefinitions(
  definitions: Definitions,
  style: Style,
  info: ResourceInfo,
  schema: Json | undefined,
): void {
  const { group, version, kind } = info;
  const name = customDefinitionName(info);
  const preserves = schema?.['x-kubernetes-preserve-unknown-fields'] === true;
  const isBare = schema === undefined || (style.version === 2 && preserves);
  const own = isBare ? { type: 'object' } : style.version === 2 ? simplified(schema, 0) : schema;
  const [, texts] = descriptionsOf('core/v1.Pod');
  const listing = descriptionsOf('core/v1.PodList')[1];
  const properties = ((own as Json).properties ?? {}) as Json;
  const typeFields = {
    apiVersion: { description: texts.apiVersion, type: 'string' },
    kind: { description: texts.kind, type: 'string' },
  };
  definitions.add(name, {
    ...own,
    ...(isBare
      ? {}
      : {
          properties: {
            ...properties,
            ...typeFields,
            metadata: definitions.type('meta/v1.ObjectMeta', {
              description:
                "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
            }),
          },
        }),
    'x-kubernetes-group-version-kind': [{ group, kind, version }],
  });
  definitions.add(`${name}List`, {
    description: `${kind}List is a list of ${kind}`,
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: { description: listing.apiVersion ?? texts.apiVersion, type: 'string' },
      items: {
        description: `List of ${info.plural}. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md`,
        type: 'array',
        items: style.ref(name),
      },
      kind: { description: listing.kind ?? texts.kind, type: 'string' },
      metadata: definitions.type('meta/v1.ListMeta', {
        description:
          'Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds',
      }),
    },
    'x-kubernetes-group-version-kind': [{ group, kind: `${kind}List`, version }],
  });
}

const unknownTo2: ReadonlySet<string> = new Set([
  'nullable',
  'oneOf',
  'anyOf',
  'allOf',
  'not',
  'x-kubernetes-validations',
]);

/**
 * A schema with only what OpenAPI 2 and its clients understand: no alternatives, nothing below a nullable value, no list of
 * fields where unknown ones are kept.
 */
function simplified(schema: Json, depth: number): Json {
  if (depth > deepest) return {};
  const opens = schema['x-kubernetes-preserve-unknown-fields'] === true;
  const nullable = schema.nullable === true;
  const intOrString = schema['x-kubernetes-int-or-string'] === true;
  const result: Json = {};
  for (const [key, value] of Object.entries(schema)) {
    if (unknownTo2.has(key)) continue;
    if (
      (opens || nullable) &&
      (key === 'properties' || key === 'items' || key === 'required' || key === 'additionalProperties')
    )
      continue;
    if (key === 'type' && (nullable || intOrString || (opens && (value === 'object' || value === 'array')))) continue;
    if (key === 'properties')
      result.properties = Object.fromEntries(
        Object.entries(value as Json).map(([name, one]) => [name, simplified(one as Json, depth + 1)]),
      );
    else if ((key === 'items' || key === 'additionalProperties') && typeof value === 'object' && value !== null)
      result[key] = simplified(value as Json, depth + 1);
    else result[key] = value;
  }
  return withoutRequiredNulls(schema, result);
}

/** Clients refuse null for what is required, even where the schema allows it. */
function withoutRequiredNulls(schema: Json, result: Json): Json {
  const { required, ...rest } = result;
  if (!Array.isArray(required)) return result;
  if ((schema.additionalProperties as Json | undefined)?.nullable === true) return rest;
  const properties = (schema.properties ?? {}) as Record<string, Json>;
  const kept = required.filter((name) => !Object.hasOwn(properties, name) || properties[name]?.nullable !== true);
  return kept.length === 0 ? rest : { ...rest, required: kept };
}

/** The list's message of a built-in kind, when it has one. */
export function listTypeName(info: ResourceInfo): string | undefined {
  const name = info.typeName === undefined ? undefined : `${info.typeName}List`;
  return name !== undefined && builtinSchema.has(name) ? name : undefined;
}
