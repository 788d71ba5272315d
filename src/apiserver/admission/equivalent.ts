import { type AnyObject, apiVersionOf, type RuleWithOperations } from '#api';
import type { KindDefinition } from '#kinds';
import { cloneObject } from '#machinery';
import type { AdmissionAttributes, ServerObjects } from '../contract.ts';
import { type RequestKind, rulesMatch } from './webhook/webhook-rules.ts';

/**
 * The version in which rules with `matchPolicy: Equivalent` want to see a request: its own when a rule names that, another served
 * one of the same resource that a rule names, or undefined when none does.
 */
export function versionFor(
  rules: readonly RuleWithOperations[],
  request: RequestKind,
  { exact, objects }: { readonly exact: boolean; readonly objects: ServerObjects },
): string | undefined {
  if (rulesMatch(rules, request)) return request.version;
  if (exact || (request.subresource !== '' && request.subresource !== 'status')) return undefined;
  for (const rule of rules)
    for (const version of rule.apiVersions ?? []) {
      if (version === '*' || version === request.version) continue;
      if (objects.definition(request.group, request.resource, version) === undefined) continue;
      if (rulesMatch([rule], { ...request, version })) return version;
    }
  return undefined;
}

async function converted(object: AnyObject, from: KindDefinition, to: KindDefinition): Promise<AnyObject> {
  const apiVersion = apiVersionOf(to.resource);
  if (to.convert !== undefined) {
    const [made] = await to.convert([object], apiVersion);
    return cloneObject(made as AnyObject);
  }
  const stored = from.toStorage?.(cloneObject(object)) ?? cloneObject(object);
  const made = to.fromStorage?.(stored) ?? stored;
  return { ...made, apiVersion, kind: to.resource.kind };
}

/** A request as it looks in another version. */
export interface SeenAs {
  readonly attributes: AdmissionAttributes;
  /** Takes what was made of the object over into the request's own draft. */
  back(): Promise<void>;
}

/** The request in a version of its resource; itself when that is its own. */
export async function seenAs(
  attributes: AdmissionAttributes,
  version: string,
  objects: ServerObjects,
): Promise<SeenAs> {
  const { definition, object, oldObject } = attributes;
  const target =
    definition === undefined || definition.resource.version === version
      ? undefined
      : objects.definition(definition.resource.group, definition.resource.plural, version);
  if (definition === undefined || target === undefined) return { attributes, back: async () => {} };
  const draft = object === undefined ? undefined : await converted(object, definition, target);
  const old = oldObject === undefined ? undefined : await converted(oldObject, definition, target);
  return {
    attributes: {
      ...attributes,
      name: attributes.name,
      version,
      kind: target.resource.kind,
      definition: target,
      object: draft,
      oldObject: old,
    },
    async back() {
      if (object === undefined || draft === undefined) return;
      const made = await converted(draft, target, definition);
      for (const key of Object.keys(object)) delete object[key];
      Object.assign(object, made);
    },
  };
}
