import type { AnyObject, Namespace } from '#api';
import { cloneObject, errBadRequest, errNotFound } from '#machinery';
import type { KindHooks, Verb } from './context.ts';
import { draftTypeOf, readDraft } from './read-draft.ts';
import { respondObject } from './respond-object.ts';
import { updateObject } from './update.ts';
import { writeOptions } from './write-options.ts';

const finalizersOf = (object: AnyObject): readonly string[] => (object as unknown as Namespace).spec?.finalizers ?? [];

/** A namespace stays while spec.finalizers says so, and shows that it is going. */
export const namespaceHooks: KindHooks = {
  mustStay: (object) => finalizersOf(object).length > 0,
  markDeleted: (draft) => {
    draft.status = { ...(draft.status as object | undefined), phase: 'Terminating' };
  },
};

/** PUT namespaces/NAME/finalize: spec.finalizers alone; the namespace goes with its last one. */
export const namespaceFinalize: Verb = async (context, kind, request) => {
  const options = writeOptions(request, 'UpdateOptions');
  const draft = await readDraft(request, draftTypeOf(kind), options);
  const { name } = request.info;
  if ((draft.metadata.name ?? name) !== name) {
    throw errBadRequest(`the name of the object (${draft.metadata.name}) does not match the name on the URL (${name})`);
  }
  const current = await kind.storage.get(name);
  if (current === undefined) throw errNotFound(kind.groupResource, name);
  const { resourceVersion = '', uid } = draft.metadata;
  const finalizers = finalizersOf(draft);
  const result = await updateObject({
    context,
    kind,
    request,
    options,
    subresource: 'finalize',
    current,
    conditional: resourceVersion !== '',
    unchecked: true,
    change: (old) => {
      const next = cloneObject(old);
      next.spec = { ...(next.spec as object | undefined), finalizers: [...finalizers] };
      if (uid !== undefined) next.metadata.uid = uid;
      if (resourceVersion !== '') next.metadata.resourceVersion = resourceVersion;
      return next;
    },
  });
  return respondObject(context, kind, request, result);
};
