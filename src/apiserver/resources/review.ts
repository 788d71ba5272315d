import { apiVersionOf } from '#api';
import { errInvalid, errMethodNotSupported, errNotFound } from '#machinery';
import { admit } from './admit.ts';
import type { Verb } from './context.ts';
import { placeInNamespace } from './create.ts';
import { applyDefaults, draftTypeOf, readDraft } from './read-draft.ts';
import { respondPlain } from './respond-object.ts';
import { writeOptions } from './write-options.ts';

/** Kinds that are asked, not stored: POST computes the answer. */
export const review: Verb = async (context, kind, request) => {
  const { group, plural } = kind.info;
  const answer = context.reviews.get(`${group}/${plural}`);
  if (request.info.verb === 'create' && answer !== undefined) {
    const options = writeOptions(request, 'CreateOptions');
    const draft = await readDraft(request, draftTypeOf(kind), options);
    applyDefaults(draft, kind);
    placeInNamespace(draft, kind, request);
    const admission = admit({
      context,
      request,
      operation: 'CREATE',
      definition: kind.definition,
      object: draft,
      dryRun: options.dryRun,
    });
    await admission.mutate();
    const errors = kind.definition.validate?.(draft) ?? [];
    if (errors.length > 0) throw errInvalid(kind.groupKind, draft.metadata.name ?? '', errors);
    await admission.validate();
    return respondPlain(request, await answer(draft, request), kind.node, 201);
  }
  if (request.info.verb === 'list') {
    const list = {
      kind: `${kind.info.kind}List`,
      apiVersion: apiVersionOf(kind.info),
      metadata: { resourceVersion: '' },
      items: [],
    };
    return respondPlain(request, list, undefined);
  }
  if (request.info.verb === 'get') throw errNotFound(kind.groupResource, request.info.name);
  throw errMethodNotSupported(kind.groupResource, request.info.verb);
};
