import type {
  AnyObject,
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionVersion,
  JSONSchemaProps,
  ResourceInfo,
} from '#api';
import { type Column, defineKind, type KindDefinition, type ScaleDefinition, timeSince } from '#kinds';
import {
  applySchemaDefaults,
  deepEqual,
  errNotAllowed,
  type FieldError,
  invalidError,
  pruneUnknown,
  validateQualifiedName,
} from '#machinery';
import { parseJsonPath, setAt, valueAt, valuesAt } from './json-path.ts';
import type { RuleValidator } from './rules.ts';
import { dropNulls } from './nulls.ts';
import { rootNode } from './schema-node.ts';
import { type PatternMatcher, SchemaValidator } from './validation.ts';

export interface KindsOptions {
  readonly crd: CustomResourceDefinition;
  /** Those of its names that no one else has. */
  readonly accepted: CustomResourceDefinitionNames;
  readonly matcher: PatternMatcher;
  readonly convert: KindDefinition['convert'];
  /** Only there when some schema has rules. */
  readonly compileRules?: ((schema: JSONSchemaProps) => RuleValidator | undefined) | undefined;
}

/** The kinds that a CustomResourceDefinition serves, one a version. */
export function kindsOf(options: KindsOptions): KindDefinition[] {
  const { versions } = options.crd.spec;
  const storage = versions.find((one) => one.storage)?.name ?? '';
  return versions.filter((one) => one.served).map((version) => kindOf({ ...options, version, storage }));
}

function kindOf(
  parts: KindsOptions & { readonly version: CustomResourceDefinitionVersion; readonly storage: string },
): KindDefinition {
  const { crd, version, storage, matcher, convert, accepted } = parts;
  const { group, names, scope } = crd.spec;
  const resource: ResourceInfo = Object.freeze({
    group,
    version: version.name,
    kind: names.kind,
    plural: names.plural,
    singular: names.singular ?? names.kind.toLowerCase(),
    namespaced: scope === 'Namespaced',
    shortNames: accepted.shortNames ?? [],
    categories: accepted.categories ?? [],
  });
  const schema = version.schema?.openAPIV3Schema;
  const node = rootNode(schema);
  const validator = schema === undefined ? undefined : new SchemaValidator(schema, matcher);
  // Compiled for the first object that comes: a start with many definitions does not wait for it.
  let compiled: { readonly rules: RuleValidator | undefined } | undefined;
  const rulesOf = (): RuleValidator | undefined => {
    compiled ??= { rules: schema === undefined ? undefined : parts.compileRules?.(schema) };
    return compiled.rules;
  };
  const replicas = replicasOf(version);
  const judge = (object: AnyObject, old?: AnyObject): FieldError[] => {
    const found = [...(validator?.validate(object, old) ?? []), ...replicas(object)];
    const rules = rulesOf();
    if (rules === undefined) return found;
    // Rules see only objects whose form is right.
    if (found.some(({ type }) => blocking.has(type))) return [...found, invalidError('<nil>', null, notChecked)];
    return [...found, ...rules.validate(object, old)];
  };
  // What was stored under another schema, or another version's, is read as this one has it.
  const complete =
    schema === undefined || (keepsAll(schema) && !hasDefaults(schema))
      ? undefined
      : (draft: AnyObject): void => {
          pruneUnknown(draft, node);
          dropNulls(draft, schema);
          applySchemaDefaults(draft, node);
        };
  const stored = crd.spec.versions.find(({ name }) => name === storage);
  const isStoredAlike = version === stored || deepEqual(version.schema, stored?.schema);
  const hasStatus = version.subresources?.status !== undefined;
  const scale = scaleOf(version);
  const selectable = (version.selectableFields ?? []).flatMap(({ jsonPath }) => {
    const path = parseJsonPath(jsonPath);
    return path === undefined
      ? []
      : [[jsonPath.replace(/^\./, ''), (object: AnyObject) => scalarText(valueAt(object, path))] as const];
  });
  return defineKind({
    resource,
    schema: node,
    ...(convert === undefined ? {} : { convert }),
    ...(complete === undefined ? {} : { completeStored: complete }),
    ...(complete === undefined || convert !== undefined || isStoredAlike
      ? {}
      : {
          fromStorage: (draft: AnyObject) => {
            complete(draft);
            return draft;
          },
        }),
    ...(schema === undefined
      ? {}
      : {
          // Called when defaults are there already; a null that goes may leave room for one more.
          applyDefaults: (draft: AnyObject) => {
            if (dropNulls(draft, schema)) applySchemaDefaults(draft, node);
          },
        }),
    ...(crd.metadata.deletionTimestamp === undefined
      ? {}
      : {
          prepareForCreate: () => {
            throw errNotAllowed(
              { group, plural: names.plural },
              'create',
              'while custom resource definition is terminating',
            );
          },
        }),
    storageSegment: `${group}/${names.plural}`,
    storageVersion: `${group}/${storage}`,
    generation: true,
    allowUnconditionalUpdate: false,
    columns: columnsOf(version),
    ...(hasStatus ? { status: true } : {}),
    ...(scale === undefined ? {} : { scale }),
    ...(selectable.length === 0 ? {} : { fieldSelectors: Object.fromEntries(selectable) }),
    ...(validator === undefined && scale === undefined ? {} : { validate: judge, validateStatusUpdate: judge }),
    warnings: finalizerWarnings,
    ...(version.deprecated === true
      ? {
          deprecated: {
            warning: version.deprecationWarning ?? `${group}/${version.name} ${names.kind} is deprecated`,
          },
        }
      : {}),
  });
}

const blocking: ReadonlySet<FieldError['type']> = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);
const notChecked =
  'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';

/** What a scale reads must be numbers of replicas, and text. */
function replicasOf({ subresources }: CustomResourceDefinitionVersion): (object: AnyObject) => FieldError[] {
  const scale = subresources?.scale;
  if (scale === undefined) return () => [];
  const { specReplicasPath, statusReplicasPath, labelSelectorPath } = scale;
  return (object) => [
    ...[specReplicasPath, statusReplicasPath].flatMap((path) => {
      const { value, stopped } = reached(object, path);
      const wrong = stopped ?? (value === undefined || isWhole(value) ? undefined : wrongForm(path, value, 'int64'));
      if (wrong !== undefined) return [invalidError(path, 0, wrong)];
      const count = Number(value ?? 0);
      if (count < 0) return [invalidError(path, count, 'should be a non-negative integer')];
      return count > maxInt32 ? [invalidError(path, count, `should be less than or equal to ${maxInt32}`)] : [];
    }),
    ...[labelSelectorPath ?? ''].flatMap((path) => {
      const { value, stopped } = path === '' ? { value: undefined, stopped: undefined } : reached(object, path);
      const wrong =
        stopped ?? (value === undefined || typeof value === 'string' ? undefined : wrongForm(path, value, 'string'));
      return wrong === undefined ? [] : [invalidError(path, '', wrong)];
    }),
  ];
}

const maxInt32 = 2_147_483_647;
const isWhole = (value: unknown): boolean =>
  typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));

function wrongForm(path: string, value: unknown, wanted: string): string {
  const form =
    typeof value === 'boolean'
      ? 'bool'
      : typeof value === 'string'
        ? 'string'
        : typeof value === 'number'
          ? 'float64'
          : typeof value === 'bigint'
            ? 'int64'
            : value === null
              ? '<nil>'
              : Array.isArray(value)
                ? '[]interface {}'
                : 'map[string]interface {}';
  const shown = typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value ?? '<nil>');
  return `${path} accessor error: ${shown} is of the type ${form}, expected ${wanted}`;
}

/** What plain dots lead to, or why they lead nowhere. */
function reached(object: AnyObject, path: string): { readonly value?: unknown; readonly stopped?: string } {
  let value: unknown = object;
  const names = path.replace(/^\./, '').split('.');
  for (const [index, name] of names.entries()) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return { stopped: wrongForm(`.${names.slice(0, index + 1).join('.')}`, value, 'map[string]interface{}') };
    if (!Object.hasOwn(value, name)) return {};
    value = (value as Record<string, unknown>)[name];
  }
  return { value };
}

const wellKnownFinalizers: ReadonlySet<string> = new Set(['orphan', 'foregroundDeletion', 'kubernetes']);

/** Names of new finalizers that others may come to use too. */
function finalizerWarnings(object: AnyObject, old: AnyObject | undefined): string[] {
  const before = new Set(old?.metadata.finalizers ?? []);
  const added = [...new Set(object.metadata.finalizers ?? [])].filter((one) => !before.has(one)).sort();
  return added.flatMap((name) => {
    const at = `metadata.finalizers: ${JSON.stringify(name)}: `;
    const found = validateQualifiedName(name).map((message) => at + message);
    if (!name.includes('/') && !wellKnownFinalizers.has(name))
      found.push(
        `${at}prefer a domain-qualified finalizer name ${name.includes('.') ? 'including a path (/) ' : ''}to avoid accidental conflicts with other finalizer writers`,
      );
    return found;
  });
}

/** A schema that says nothing of its fields. */
const keepsAll = (schema: JSONSchemaProps): boolean =>
  schema['x-kubernetes-preserve-unknown-fields'] === true && schema.properties === undefined;

/** Whether some field of the schema has a default. */
function hasDefaults(schema: JSONSchemaProps): boolean {
  if (schema.default !== undefined) return true;
  const { properties, items, additionalProperties } = schema;
  const below = [...Object.values(properties ?? {}), items, additionalProperties];
  return below.some((one) => typeof one === 'object' && !Array.isArray(one) && hasDefaults(one));
}

const nameColumn: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name of the object, unique for its kind within its namespace.',
  value: (object) => object.metadata.name,
};
const ageColumn: Column = {
  name: 'Age',
  type: 'date',
  description: 'Time since the object was created.',
  value: (object, { nowMs }) => timeSince(object.metadata.creationTimestamp, nowMs),
};

function columnsOf({ additionalPrinterColumns }: CustomResourceDefinitionVersion): readonly Column[] {
  if (additionalPrinterColumns === undefined || additionalPrinterColumns.length === 0) return [nameColumn, ageColumn];
  return [
    nameColumn,
    ...additionalPrinterColumns.map((one): Column => {
      const path = parseJsonPath(one.jsonPath);
      return {
        name: one.name,
        type: one.type as Column['type'],
        ...(one.format === undefined ? {} : { format: one.format as '' }),
        description: one.description ?? `Custom resource definition column (in JSONPath format): ${one.jsonPath}`,
        ...((one.priority ?? 0) > 0 ? { priority: 1 as const } : {}),
        value: (object, { nowMs }) => (path === undefined ? null : cell(valuesAt(object, path), one.type, nowMs)),
      };
    }),
  ];
}

function cell(values: readonly unknown[], type: string, nowMs: number): string | number | boolean | null {
  if (values.length === 0) return null;
  if (type === 'string' && values.length > 1) return values.map(scalarText).join(',');
  const [value] = values;
  if (value === null || value === undefined) return null;
  switch (type) {
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : typeof value === 'bigint' ? Number(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return typeof value === 'string' ? timeSince(value, nowMs) : null;
    default:
      return scalarText(value);
  }
}

function scalarText(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function scaleOf({ subresources }: CustomResourceDefinitionVersion): ScaleDefinition | undefined {
  const scale = subresources?.scale;
  if (scale === undefined) return undefined;
  const spec = parseJsonPath(scale.specReplicasPath);
  const status = parseJsonPath(scale.statusReplicasPath);
  const selector = scale.labelSelectorPath === undefined ? undefined : parseJsonPath(scale.labelSelectorPath);
  const numberAt = (object: AnyObject, path: typeof spec): number => Number((path && valueAt(object, path)) ?? 0);
  return {
    replicas: (object) => numberAt(object, spec),
    setReplicas: (draft, replicas) => {
      if (spec !== undefined) setAt(draft, spec, replicas);
    },
    statusReplicas: (object) => numberAt(object, status),
    selector: (object) => scalarText(selector && valueAt(object, selector)),
  };
}
