import { type AnyObject, apiVersionOf, builtinSchema, type FieldSchema, type SchemaNode } from '#api';
import { CelError, CelList, CelMap, jsonOf, StructValue, type Value } from '#cel';
import type { KindDefinition } from '#kinds';
import { applyJsonPatch, applySchemaDefaults, applyServerSide, cloneObject, pruneUnknown } from '#machinery';
import type { AdmissionAttributes } from '../../contract.ts';
import { AskedAuthorizer, Budget, policyBudget } from './environment.ts';
import type { CompiledMutatingPolicy, CompiledMutation, Evaluation } from './compiled-policy.ts';

/** Applies the mutations of a policy, one after the other, to the request's draft. Returns why it could not, when it could not. */
export async function mutateDraft(policy: CompiledMutatingPolicy, evaluation: Evaluation): Promise<string | undefined> {
  const { attributes, authorizer } = evaluation;
  const asked = new AskedAuthorizer(authorizer, attributes);
  const { matches, error } = await policy.matches(evaluation, asked);
  if (error !== undefined) return error;
  if (!matches || attributes.object === undefined) return undefined;
  const budget = new Budget(policyBudget);
  for (const one of policy.mutations) {
    const result = await policy.evaluate(one, evaluation, asked, budget);
    if (result.error !== undefined) return result.error;
    try {
      replaceContent(attributes.object, mutated(one, result.value as Value, attributes));
    } catch (failure) {
      return (failure as Error).message;
    }
  }
  return undefined;
}

/** Makes `draft` equal to `result`, in place. */
function replaceContent(draft: AnyObject, result: AnyObject): void {
  for (const key of Object.keys(draft)) delete draft[key];
  Object.assign(draft, result);
}

function nodeOf(definition: KindDefinition): SchemaNode {
  return definition.schema ?? builtinSchema.type(definition.resource.typeName as string);
}

function mutated({ mutation }: CompiledMutation, value: Value, attributes: AdmissionAttributes): AnyObject {
  const { object, definition } = attributes;
  if (object === undefined || definition === undefined) throw new CelError('there is no object to mutate');
  const isWhole = attributes.subresource === '' || attributes.subresource === 'status';
  const result =
    mutation.patchType === 'JSONPatch'
      ? (applyJsonPatch(cloneObject(object), operationsOf(value)) as AnyObject)
      : configured(value, object, definition);
  if (isWhole) {
    const node = nodeOf(definition);
    pruneUnknown(result, node);
    applySchemaDefaults(result, node);
  }
  return result;
}

const operationFields = ['op', 'path', 'from', 'value'] as const;

/** A list of JSONPatch as RFC 6902 has it. */
function operationsOf(value: Value): object[] {
  if (!(value instanceof CelList)) throw new CelError('JSONPatch expression must evaluate to a list of JSONPatch');
  return [...value].map((one) => {
    if (!(one instanceof StructValue) || one.typeName !== 'JSONPatch')
      throw new CelError('JSONPatch expression must evaluate to a list of JSONPatch');
    return Object.fromEntries(
      operationFields.flatMap((field) => {
        const part = one.get(field);
        return part === undefined ? [] : [[field, jsonOf(part)] as const];
      }),
    );
  });
}

const manager = 'MutatingAdmissionPolicy';

/** Merges an apply configuration in, by the rules of the schema; who owns what does not change. */
function configured(value: Value, object: AnyObject, definition: KindDefinition): AnyObject {
  if (!(value instanceof StructValue) || value.typeName !== 'Object')
    throw new CelError('ApplyConfiguration expression must evaluate to Object');
  const apiVersion = apiVersionOf(definition.resource);
  // First: what can be converted is of a size that can be walked.
  const configuration = jsonOf(value) as AnyObject;
  checkNames(value, 'Object');
  for (const field of ['apiVersion', 'kind', 'metadata'] as const) {
    const part = (configuration as Partial<AnyObject>)[field];
    if (field !== 'metadata' ? part !== undefined : (part as { name?: unknown } | undefined)?.name !== undefined)
      throw new CelError(`apply configuration must not set ${field === 'metadata' ? 'metadata.name' : field}`);
  }
  const atomics = atomicsIn(configuration, nodeOf(definition));
  if (atomics.length > 0)
    throw new CelError(
      `invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomics.join(', ')}`,
    );
  const { managedFields, ...metadata } = object.metadata;
  const live = { ...object, apiVersion, kind: definition.resource.kind, metadata } as AnyObject;
  const config = {
    ...configuration,
    apiVersion,
    kind: definition.resource.kind,
    metadata: { ...configuration.metadata, name: object.metadata.name },
  } as AnyObject;
  if (config.metadata.name === undefined) delete (config.metadata as { name?: string }).name;
  const { object: merged } = applyServerSide({
    live,
    config,
    manager,
    force: true,
    node: nodeOf(definition),
    apiVersion,
    nowMs: 0,
  });
  const draft = cloneObject(merged);
  delete draft.metadata.managedFields;
  if (managedFields !== undefined) draft.metadata.managedFields = managedFields;
  return draft;
}

/**
 * The paths of lists, maps and structs in a configuration that are one value to the merge: setting a part of one would take the rest
 * away. What a value may nest was bounded when it was made.
 */
function atomicsIn(value: unknown, node: SchemaNode, traits?: FieldSchema, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) {
    if (node.form !== 'list') return [];
    const own = traits?.listType === 'set' || traits?.listType === 'map' ? [] : [path];
    const { element } = node;
    return [
      ...own,
      ...(element === undefined
        ? []
        : value.flatMap((one, index) => atomicsIn(one, element, undefined, `${path}[${index}]`))),
    ];
  }
  const isAtomic = node.form === 'map' ? traits?.mapType === 'atomic' : traits?.structType === 'atomic';
  return [
    ...(isAtomic ? [path] : []),
    ...Object.entries(value).flatMap(([name, one]) => {
      const field = node.fields?.get(name);
      return field === undefined ? [] : atomicsIn(one, field.node, field, `${path}.${name}`);
    }),
  ];
}

/** `Object.spec` is the only name of what stands in the field spec of `Object`; elements of lists go by the list's name. */
function checkNames(value: Value, name: string): void {
  if (value instanceof CelList) {
    for (const one of value) checkNames(one, name);
    return;
  }
  if (!(value instanceof StructValue)) {
    if (value instanceof CelMap) for (const key of value.keys()) checkNames(value.get(key) as Value, name);
    return;
  }
  if (value.typeName !== name)
    throw new CelError(
      `unexpected type name "${value.typeName}", expected "${name}", which matches field name path from root Object type`,
    );
  for (const key of value.keys()) checkNames(value.get(key) as Value, `${name}.${String(key)}`);
}
