import type { AnyObject, ParamKind, ParamRef } from '#api';
import { CodedError } from '#base';
import { labelSelectorOf } from '#machinery';
import type { ServerObjects } from '../../contract.ts';

/** Why a policy or binding cannot be put to use. */
export class ConfigurationError extends CodedError {
  /** False: the policy itself; true: the binding. */
  readonly ofBinding: boolean;

  constructor(message: string, ofBinding: boolean) {
    super('PolicyConfiguration', message);
    this.ofBinding = ofBinding;
  }
}

export interface ParamsQuestion {
  readonly objects: ServerObjects;
  readonly kind: ParamKind | undefined;
  readonly reference: ParamRef | undefined;
  /** The request's. */
  readonly namespace: string;
}

/** The parameters with which a binding's policy is evaluated, one evaluation each. Throws ConfigurationError. */
export async function paramsFor({
  objects,
  kind,
  reference,
  namespace,
}: ParamsQuestion): Promise<readonly (AnyObject | undefined)[]> {
  if (kind === undefined || reference === undefined) return [undefined];
  const { apiVersion = '', kind: name = '' } = kind;
  const [group, version] = apiVersion.includes('/') ? (apiVersion.split('/') as [string, string]) : ['', apiVersion];
  const definition = objects.kind(group, version, name);
  if (definition === undefined)
    throw new ConfigurationError(
      `failed to find resource referenced by paramKind: '${apiVersion}, Kind=${name}'`,
      false,
    );
  const { plural, namespaced } = definition.resource;
  const within = namespaced ? (reference.namespace ?? '') || namespace : '';
  if (!namespaced && (reference.namespace ?? '') !== '')
    throw new ConfigurationError('paramRef.namespace must not be provided for a cluster-scoped `paramKind`', true);
  if (namespaced && within === '')
    throw new ConfigurationError(
      'cannot use namespaced paramRef in policy binding that matches cluster-scoped resources',
      true,
    );
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const collection = `${root}${namespaced ? `/namespaces/${encodeURIComponent(within)}` : ''}/${plural}`;
  const found = reference.name
    ? await one(objects, `${collection}/${encodeURIComponent(reference.name)}`)
    : await matching(objects, collection, reference, { apiVersion, kind: name });
  if (found.length > 0) return found;
  if (reference.parameterNotFoundAction === 'Allow') return [];
  throw new ConfigurationError('no params found for policy binding with `Deny` parameterNotFoundAction', true);
}

async function one(objects: ServerObjects, target: string): Promise<readonly AnyObject[]> {
  const answer = await objects.transport().request({ method: 'GET', target, objects: true });
  return answer.status === 200 ? [answer.object as AnyObject] : [];
}

async function matching(
  objects: ServerObjects,
  target: string,
  { selector }: ParamRef,
  type: { readonly apiVersion: string; readonly kind: string },
): Promise<readonly AnyObject[]> {
  const answer = await objects
    .transport()
    .request({ method: 'GET', target: `${target}?resourceVersion=0`, objects: true });
  const items = (answer.object as { items?: readonly AnyObject[] } | undefined)?.items ?? [];
  const wanted = labelSelectorOf(selector ?? {});
  return items.filter((item) => wanted.matches(item.metadata.labels)).map((item) => ({ ...type, ...item }));
}
