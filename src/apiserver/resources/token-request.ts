import type { AnyObject, Pod, TokenRequest } from '#api';
import {
  errBadRequest,
  errConflict,
  errInvalid,
  errNotFound,
  errServiceUnavailable,
  type FieldError,
  invalidError,
} from '#machinery';
import { admit } from './admit.ts';
import type { ResourceContext, Verb } from './context.ts';
import { builtinDraft, readDraft } from './read-draft.ts';
import { respondPlain } from './respond-object.ts';
import { writeOptions } from './write-options.ts';

const tokenType = builtinDraft('authentication.k8s.io/v1', 'TokenRequest', 'authentication/v1.TokenRequest');
const defaultSeconds = 3600;
const shortestSeconds = 600;
const longestSeconds = 2 ** 32;

/** POST serviceaccounts/NAME/token: a signed token, bound to a pod, secret or node when the request says so. */
export const createToken: Verb = async (context, kind, request) => {
  const { tokens } = context;
  if (tokens === undefined) throw errServiceUnavailable('this server has no key to sign service account tokens with');
  const options = writeOptions(request, 'CreateOptions');
  const draft = await readDraft(request, tokenType, options);
  const { namespace, name } = request.info;
  const account = await kind.storage.get(kind.key(namespace, name));
  if (account === undefined) throw errNotFound(kind.groupResource, name);
  draft.metadata.name ||= name;
  draft.metadata.namespace ||= namespace;
  if (draft.metadata.name !== name) throw errBadRequest(`must match the service account name`);
  const asked = draft as AnyObject & TokenRequest;
  const { audiences = [], expirationSeconds = defaultSeconds, boundObjectRef } = asked.spec ?? {};
  const errors: FieldError[] = [];
  if (expirationSeconds < shortestSeconds)
    errors.push(
      invalidError('spec.expirationSeconds', expirationSeconds, 'may not specify a duration less than 10 minutes'),
    );
  if (expirationSeconds > longestSeconds)
    errors.push(
      invalidError('spec.expirationSeconds', expirationSeconds, 'may not specify a duration larger than 2^32 seconds'),
    );
  if (errors.length > 0) throw errInvalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, name, errors);
  const admission = admit({
    context,
    request,
    operation: 'CREATE',
    definition: kind.definition,
    subresource: 'token',
    kind: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
    object: draft,
    dryRun: options.dryRun,
  });
  await admission.mutate();
  await admission.validate();
  const bound = await boundObject(context, namespace, name, boundObjectRef);
  const { token, expirationTimestamp } = await tokens.issue({
    namespace,
    name,
    uid: account.object.metadata.uid,
    audiences,
    expirationSeconds,
    ...bound,
  });
  const answer = {
    ...draft,
    metadata: { ...draft.metadata, creationTimestamp: null },
    spec: { ...asked.spec, audiences: audiences.length > 0 ? audiences : tokens.audiences, expirationSeconds },
    status: { token, expirationTimestamp },
  };
  return respondPlain(request, answer, tokenType.node, 201);
};

const bindable: ReadonlyMap<string, string> = new Map([
  ['Pod', 'pods'],
  ['Secret', 'secrets'],
  ['Node', 'nodes'],
]);

type Bound = Pick<Parameters<NonNullable<ResourceContext['tokens']>['issue']>[0], 'boundObject' | 'node'>;

async function boundObject(
  context: ResourceContext,
  namespace: string,
  account: string,
  reference: { kind?: string; apiVersion?: string; name?: string; uid?: string } | undefined,
): Promise<Bound> {
  if (reference === undefined) return {};
  const plural = bindable.get(reference.kind ?? '');
  if (plural === undefined || (reference.apiVersion ?? 'v1') !== 'v1') {
    throw errBadRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(account)} to object of kind ${reference.kind}`,
    );
  }
  const find = async (kindName: string, name: string): Promise<AnyObject | undefined> => {
    const kind = context.registry.find('', 'v1', kindName);
    return (await kind?.storage.get(kind.key(namespace, name)))?.object;
  };
  const { name = '' } = reference;
  const found = await find(plural, name);
  if (found === undefined) throw errNotFound({ group: '', plural }, name);
  const { uid } = found.metadata;
  if (reference.uid !== undefined && reference.uid !== '' && reference.uid !== uid) {
    throw errConflict(
      { group: '', plural },
      name,
      `the UID in the bound object reference (${reference.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  const boundTo = { apiVersion: 'v1', kind: reference.kind as string, name, uid };
  if (plural !== 'pods') return { boundObject: boundTo };
  const { spec } = found as unknown as Pod;
  if ((spec?.serviceAccountName ?? '') !== account) {
    throw errBadRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(account)} to pod running with different serviceaccount name.`,
    );
  }
  const nodeName = spec?.nodeName ?? '';
  const node = nodeName === '' ? undefined : await find('nodes', nodeName);
  return { boundObject: boundTo, ...(node === undefined ? {} : { node: { name: nodeName, uid: node.metadata.uid } }) };
}
