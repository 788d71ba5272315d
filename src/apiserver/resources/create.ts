import type { AnyObject, ObjectMeta } from '#api';
import { rfc3339 } from '#base';
import { hasKnownFinalizers } from '#kinds';
import {
  type ApiError,
  errAlreadyExists,
  errBadRequest,
  errGenerateNameConflict,
  errInvalid,
  validateKnownFinalizers,
  validateObjectMeta,
} from '#machinery';
import type { ServerRequest } from '../contract.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';
import { attributesOf, authorize } from '../http/authorization.ts';
import { admit } from './admit.ts';
import { hooksOf, releaseAt, type ResourceContext, type Verb } from './context.ts';
import type { KindResource } from './kind-resource.ts';
import { claimChanges, mutateKeepingBooks } from './ownership.ts';
import { applyDefaults, draftTypeOf, readDraft } from './read-draft.ts';
import { respondObject, type Result } from './respond-object.ts';
import { admissionOptions, type WriteOptions, writeOptions } from './write-options.ts';

/** POST to a collection. */
export const create: Verb = async (context, kind, request) => {
  const options = writeOptions(request, 'CreateOptions');
  const draft = await readDraft(request, draftTypeOf(kind), options);
  const result = await createObject({ context, kind, request, draft, options });
  return respondObject(context, kind, request, result, 201);
};

export interface CreateOptions {
  readonly context: ResourceContext;
  readonly kind: KindResource;
  readonly request: ServerRequest;
  /** Checked, with static defaults. */
  readonly draft: AnyObject;
  readonly options: WriteOptions;
  /** Already set: server-side apply brings its own managedFields. */
  readonly managed?: boolean;
}

const nameAttempts = 8;
const longestGeneratedBase = 58;

/** The way of every new object to the store. Also for PUT and apply of an object that is not there. */
export async function createObject(create: CreateOptions): Promise<Result> {
  const { context, kind, request, draft, options } = create;
  const { definition } = kind;
  definition.applyDefaults?.(draft);
  const { metadata } = draft;
  placeInNamespace(draft, kind, request);
  if (metadata.resourceVersion !== undefined && metadata.resourceVersion !== '') {
    throw errBadRequest('resourceVersion should not be set on objects to be created');
  }
  if (create.managed !== true) claimChanges({ context, kind, request, options, subresource: '' }, draft, undefined);
  const generated = (metadata.name ?? '') === '' && (metadata.generateName ?? '') !== '';
  const admission = admit({
    context,
    request,
    operation: 'CREATE',
    definition,
    object: draft,
    dryRun: options.dryRun,
    options: admissionOptions(request, options),
  });
  await mutateKeepingBooks(admission, draft, request);
  if (admission.mutates) applyDefaults(draft, kind);
  beginObject(context, draft, kind);
  hooksOf(context, kind)?.prepareCreate?.(draft, { dryRun: options.dryRun, request });
  if (generated) generateName(context, draft);
  validateNew(draft, kind, request);
  await authorizeCreation(context, request);
  await admission.validate();
  return storeNew(create, generated);
}

/** Who may update or patch may not therefore create: PUT and apply of what is not there need both. */
async function authorizeCreation({ authorizer }: ResourceContext, request: ServerRequest): Promise<void> {
  const { info, identity } = request;
  if (info.verb !== 'create') await authorize(authorizer, request, { ...attributesOf(info, identity), verb: 'create' });
}

async function storeNew(create: CreateOptions, generated: boolean): Promise<Result> {
  const { context, kind, request, draft, options } = create;
  const hooks = hooksOf(context, kind);
  const before = hooks?.beforeCreate?.(draft, { dryRun: options.dryRun, request });
  const release = before instanceof Promise ? await before : before;
  try {
    const { storage } = kind;
    if (options.dryRun) {
      release?.();
      const there = await storage.get(kind.key(draft.metadata.namespace ?? '', draft.metadata.name));
      if (there !== undefined) throw alreadyThere(kind, there);
      return { object: draft };
    }
    const stored = await kind.toStored(draft);
    const lease = context.leaseFor(kind);
    for (let attempt = 1; ; attempt++) {
      const { name, namespace = '' } = stored.metadata;
      const written = await storage.create(
        kind.key(namespace, name),
        stored,
        lease === undefined ? undefined : await lease,
      );
      if (written.written) {
        releaseAt(context, written.object.revision, release);
        const converting = kind.convert([written.object]);
        if (converting !== undefined) await converting;
        return { cached: written.object };
      }
      if (!generated) {
        const there = await storage.get(kind.key(namespace, name));
        throw there === undefined ? errAlreadyExists(kind.groupResource, name) : alreadyThere(kind, there);
      }
      if (attempt === nameAttempts)
        throw errGenerateNameConflict(kind.groupResource, stored.metadata.generateName ?? '');
      generateName(context, stored);
    }
  } catch (error) {
    if (!options.dryRun) release?.();
    throw error;
  }
}

/** The object's namespace is that of the path. */
export function placeInNamespace(draft: AnyObject, kind: KindResource, request: ServerRequest): void {
  const { metadata } = draft;
  if (!kind.info.namespaced) {
    removeField(metadata, 'namespace');
    return;
  }
  const { namespace } = request.info;
  if (metadata.namespace === undefined || metadata.namespace === '') metadata.namespace = namespace;
  else if (metadata.namespace !== namespace) {
    throw errBadRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
}

const serverFields = [
  'resourceVersion',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
  'generation',
] as const;

/** Also of fields that every stored object has. */
export function removeField(metadata: Partial<ObjectMeta>, field: keyof ObjectMeta): void {
  if (metadata[field] !== undefined) delete metadata[field];
}

/** What the server alone says about a new object. */
function beginObject(context: ResourceContext, draft: AnyObject, kind: KindResource): void {
  const { metadata } = draft;
  for (const field of serverFields) removeField(metadata, field);
  metadata.uid = context.random.uuid();
  metadata.creationTimestamp = rfc3339(context.clock.nowMs());
  if (kind.definition.generation === true) metadata.generation = 1;
  kind.definition.prepareForCreate?.(draft);
}

function alreadyThere(kind: KindResource, { object }: CachedObject): ApiError {
  const { name, deletionTimestamp } = object.metadata;
  return errAlreadyExists(kind.groupResource, name, deletionTimestamp !== undefined);
}

function generateName(context: ResourceContext, draft: AnyObject): void {
  const base = (draft.metadata.generateName ?? '').slice(0, longestGeneratedBase);
  draft.metadata.name = `${base}${context.random.suffix(5)}`;
}

function validateNew(draft: AnyObject, kind: KindResource, request: ServerRequest): void {
  const { definition } = kind;
  const errors = validateObjectMeta(draft.metadata, {
    namespaced: kind.info.namespaced,
    validateName: definition.validateName,
  });
  if (hasKnownFinalizers(definition)) for (const one of validateKnownFinalizers(draft.metadata)) errors.push(one);
  for (const one of definition.validate?.(draft) ?? []) errors.push(one);
  if (errors.length > 0) throw errInvalid(kind.groupKind, draft.metadata.name ?? '', errors);
  const warnings = definition.warnings?.(draft, undefined);
  if (warnings !== undefined) request.warnings.push(...warnings);
}
