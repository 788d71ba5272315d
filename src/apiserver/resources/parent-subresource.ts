import type { AnyObject } from '#api';
import { cloneObject, errBadRequest, errInvalid, errNotFound, type FieldError } from '#machinery';
import type { ResourceContext, Verb } from './context.ts';
import { get } from './get.ts';
import type { KindResource } from './kind-resource.ts';
import { acceptedPatchType, patchBody, patched } from './patch.ts';
import { applyDefaults, draftTypeOf, readDraft } from './read-draft.ts';
import { respondObject } from './respond-object.ts';
import { updateObject } from './update.ts';
import { type WriteOptions, writeOptions } from './write-options.ts';
import type { ServerRequest, ServerResponse } from '../contract.ts';

/** A sub-resource whose body is its parent: of which it may change one part alone. */
export interface ParentSubresource {
  readonly name: string;
  /** Copies the part from `sent` into `draft` (the stored object); throws ApiError for what may not be. */
  readonly take: (draft: AnyObject, sent: AnyObject, context: ResourceContext) => void;
  readonly validate?: (draft: AnyObject, old: AnyObject) => FieldError[];
}

/** Its verbs: get, update, patch. */
export function parentSubresource(subresource: ParentSubresource): ReadonlyMap<string, Verb> {
  const put: Verb = async (context, kind, request) => {
    const options = writeOptions(request, 'UpdateOptions');
    const sent = await readDraft(request, draftTypeOf(kind), options);
    applyDefaults(sent, kind);
    return write({ context, kind, request, options, subresource, sentFor: () => sent });
  };
  const patch: Verb = async (context, kind, request) => {
    const type = acceptedPatchType(request, kind);
    const options = writeOptions(request, 'PatchOptions');
    const body = await patchBody(request, type);
    const sentFor = (old: AnyObject): AnyObject =>
      patched({ context, kind, request, type, body, options, subresource: subresource.name }, old);
    return write({ context, kind, request, options, subresource, sentFor });
  };
  return new Map([
    ['get', get],
    ['update', put],
    ['patch', patch],
  ]);
}

async function write(writing: {
  context: ResourceContext;
  kind: KindResource;
  request: ServerRequest;
  options: WriteOptions;
  subresource: ParentSubresource;
  sentFor: (old: AnyObject) => AnyObject;
}): Promise<ServerResponse> {
  const { context, kind, request, options, subresource, sentFor } = writing;
  const { name, namespace } = request.info;
  const current = await kind.find(namespace, name);
  if (current === undefined) throw errNotFound(kind.groupResource, name);
  const first = sentFor(current.objectAs(kind.definition));
  if ((first.metadata.name ?? name) !== name) {
    throw errBadRequest(`the name of the object (${first.metadata.name}) does not match the name on the URL (${name})`);
  }
  const asked = first.metadata.resourceVersion ?? '';
  const result = await updateObject({
    context,
    kind,
    request,
    options,
    subresource: subresource.name,
    current,
    conditional: asked !== '' && asked !== '0',
    unchecked: true,
    change: (old) => {
      const sent = old === current.objectAs(kind.definition) ? first : sentFor(old);
      const draft = cloneObject(old);
      subresource.take(draft, sent, context);
      if (asked !== '') draft.metadata.resourceVersion = asked;
      const errors = subresource.validate?.(draft, old) ?? [];
      if (errors.length > 0) throw errInvalid(kind.groupKind, name, errors);
      return draft;
    },
  });
  return respondObject(context, kind, request, result);
}
