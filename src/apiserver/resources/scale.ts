import { type AnyObject, builtinSchema } from '#api';
import {
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  cloneObject,
  errBadRequest,
  errConflict,
  errInvalid,
  errNotFound,
  invalidError,
} from '#machinery';
import type { ServerRequest } from '../contract.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';
import { admit } from './admit.ts';
import type { ResourceContext, Verb } from './context.ts';
import type { KindResource } from './kind-resource.ts';
import { acceptedPatchType, patchBody } from './patch.ts';
import { builtinDraft, checkDraft, readDraft } from './read-draft.ts';
import { resultObject, respondPlain } from './respond-object.ts';
import { staleUid, updateObject } from './update.ts';
import { type WriteOptions, writeOptions } from './write-options.ts';

const scaleType = builtinDraft('autoscaling/v1', 'Scale', 'autoscaling/v1.Scale');

/** GET …/scale. */
export const getScale: Verb = async (_context, kind, request) => {
  const current = await existing(kind, request, '/scale');
  return respondPlain(request, scaleOf(kind, current.objectAs(kind.definition)), scaleType.node);
};

/** PUT …/scale. */
export const updateScale: Verb = async (context, kind, request) => {
  const options = writeOptions(request, 'UpdateOptions');
  const scale = await readDraft(request, scaleType, options);
  return writeScale({ context, kind, request, options, scaleFor: () => scale });
};

/** PATCH …/scale. */
export const patchScale: Verb = async (context, kind, request) => {
  const type = acceptedPatchType(request, undefined);
  const options = writeOptions(request, 'PatchOptions');
  const body = await patchBody(request, type);
  const scaleFor = (old: AnyObject): AnyObject => {
    const before = scaleOf(kind, old);
    let patched: unknown;
    if (type === 'json') patched = applyJsonPatch(before, body as object[]);
    else if (type === 'strategic') patched = applyStrategicMergePatch(before, body as object, scaleType.node);
    else patched = applyMergePatch(before, body as object);
    return checkDraft({ value: cloneObject(patched), findings: [] }, scaleType, request, options);
  };
  return writeScale({ context, kind, request, options, scaleFor });
};

/** `subresource`: as which a built-in kind's object is said to be missing. */
async function existing(kind: KindResource, { info }: ServerRequest, subresource = ''): Promise<CachedObject> {
  const found = await kind.find(info.namespace, info.name);
  if (found === undefined) {
    const { group, plural } = kind.groupResource;
    const isBuiltin = kind.definition.schema === undefined;
    throw errNotFound({ group, plural: isBuiltin ? `${plural}${subresource}` : plural }, info.name);
  }
  return found;
}

function scaleOf(kind: KindResource, object: AnyObject): AnyObject {
  const { scale } = kind.definition;
  if (scale === undefined) throw new TypeError(`${kind.info.plural} have no scale`);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = scale.selector(object);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      uid,
      resourceVersion,
      creationTimestamp,
    } as AnyObject['metadata'],
    spec: { replicas: scale.replicas(object) },
    status: { replicas: scale.statusReplicas(object), ...(selector === '' ? {} : { selector }) },
  };
}

async function writeScale(writing: {
  context: ResourceContext;
  kind: KindResource;
  request: ServerRequest;
  options: WriteOptions;
  scaleFor: (old: AnyObject) => AnyObject;
}): ReturnType<Verb> {
  const { context, kind, request, options, scaleFor } = writing;
  const { name } = request.info;
  const current = await existing(kind, request);
  const change = async (old: AnyObject): Promise<AnyObject> => {
    const scale = scaleFor(old);
    const { metadata } = scale;
    if (metadata.name !== undefined && metadata.name !== '' && metadata.name !== name) {
      throw errBadRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
    }
    if ((metadata.uid ?? '') !== '' && metadata.uid !== old.metadata.uid) {
      const key = `${kind.storage.cache.prefix}${kind.key(old.metadata.namespace ?? '', name)}`;
      throw errConflict(kind.groupResource, name, staleUid(key, metadata.uid, old.metadata.uid));
    }
    if ((metadata.resourceVersion ?? '') !== '' && metadata.resourceVersion !== old.metadata.resourceVersion) {
      throw errConflict(kind.groupResource, name);
    }
    const before = scaleOf(kind, old);
    const admission = admit({
      context,
      request,
      operation: 'UPDATE',
      definition: kind.definition,
      kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
      object: scale,
      oldObject: before,
      dryRun: options.dryRun,
    });
    await admission.mutate();
    await admission.validate();
    const replicas = (scale.spec as { replicas?: number } | undefined)?.replicas ?? 0;
    if (replicas < 0) {
      throw errInvalid({ group: 'autoscaling', kind: 'Scale' }, name, [
        invalidError('spec.replicas', replicas, 'must be greater than or equal to 0'),
      ]);
    }
    const draft = cloneObject(old);
    kind.definition.scale?.setReplicas(draft, replicas);
    return draft;
  };
  const result = await updateObject({
    context,
    kind,
    request,
    options,
    subresource: 'scale',
    current,
    conditional: false,
    change,
    admitted: true,
  });
  return respondPlain(request, scaleOf(kind, resultObject(result, kind)), builtinSchema.type('autoscaling/v1.Scale'));
}
