import type { AnyObject } from '#api';
import { hasKnownFinalizers, type KindDefinition, type MetadataField } from '#kinds';
import {
  cloneObject,
  deepEqual,
  errBadRequest,
  errConflict,
  errInvalid,
  errNotFound,
  type FieldError,
  invalidError,
  keepTimes,
  validateKnownFinalizers,
  validateObjectMetaUpdate,
} from '#machinery';
import type { ServerRequest } from '../contract.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';
import { admit } from './admit.ts';
import { hooksOf, releaseAt, type ResourceContext, type Verb } from './context.ts';
import { createObject, placeInNamespace, removeField } from './create.ts';
import type { KindResource } from './kind-resource.ts';
import { claimChanges, keptMetadata, mutateKeepingBooks } from './ownership.ts';
import { applyDefaults, draftTypeOf, readDraft } from './read-draft.ts';
import { respondObject, type Result } from './respond-object.ts';
import { admissionOptions, type WriteOptions, writeOptions } from './write-options.ts';

/** PUT of an object, or of its status. */
export const update: Verb = async (context, kind, request) => {
  const options = writeOptions(request, 'UpdateOptions');
  const draft = await readDraft(request, draftTypeOf(kind), options);
  const { name, subresource, namespace } = request.info;
  checkName(draft, name);
  kind.definition.applyDefaults?.(draft);
  placeInNamespace(draft, kind, request);
  const current = await kind.find(namespace, name);
  if (current === undefined) {
    if (subresource !== '' || kind.definition.allowCreateOnUpdate !== true) throw errNotFound(kind.groupResource, name);
    if ((draft.metadata.uid ?? '') !== '') {
      throw errConflict(
        kind.groupResource,
        name,
        `Precondition failed: UID in precondition: ${draft.metadata.uid}, UID in object meta: `,
      );
    }
    removeField(draft.metadata, 'resourceVersion');
    const result = await createObject({ context, kind, request, draft, options });
    return respondObject(context, kind, request, result, 201);
  }
  const asked = draft.metadata.resourceVersion ?? '';
  if (asked === '' && kind.definition.allowUnconditionalUpdate === false) {
    // Upstream names the resource where a kind belongs.
    throw errInvalid({ group: kind.info.group, kind: kind.info.plural }, name, [
      invalidError('metadata.resourceVersion', 0, 'must be specified for an update'),
    ]);
  }
  const result = await updateObject({
    context,
    kind,
    request,
    options,
    subresource,
    current,
    conditional: asked !== '' && asked !== '0',
    namesUid: true,
    change: () => cloneObject(draft),
  });
  return respondObject(context, kind, request, result);
};

export interface UpdateOptions {
  readonly context: ResourceContext;
  readonly kind: KindResource;
  readonly request: ServerRequest;
  readonly options: WriteOptions;
  /** `status` replaces only that; others name who changed what in managedFields. */
  readonly subresource: string;
  readonly current: CachedObject;
  /** The draft's resourceVersion must be the current one's; otherwise a write that loses a race is made again. */
  readonly conditional: boolean;
  /** The draft's uid, when it has one, must be the current one's: of a PUT. (For a patch it is a field that may not change.) */
  readonly namesUid?: boolean;
  /** Makes the new object (served version, defaults applied) from the current frozen one; called again after a lost race. */
  readonly change: (current: AnyObject) => AnyObject | Promise<AnyObject>;
  /** managedFields are in the draft already (server-side apply). */
  readonly managed?: boolean;
  /** Leave out the kind's own update preparation and validation: for sub-resources that check themselves. */
  readonly unchecked?: boolean;
  /** Uncounted among admission: already admitted under another form (binding, scale). */
  readonly admitted?: boolean;
}

const attempts = 32;

/**
 * The way of every change to the store. A write that loses a race is made again on what is there now; those who lost stand in line for
 * the key, so that many writers of one object do not defeat each other over and over.
 */
export async function updateObject(update: UpdateOptions): Promise<Result> {
  const first = await attemptUpdate(update, update.current);
  if (first.result !== undefined) return first.result;
  const { kind, request } = update;
  const { storage } = kind;
  const free = await storage.locks.acquire(update.current.key);
  try {
    for (let attempt = 2; attempt <= attempts; attempt++) {
      const current = await storage.get(update.current.key);
      if (current !== undefined) await kind.convert([current]);
      if (current === undefined) throw errNotFound(kind.groupResource, request.info.name);
      const outcome = await attemptUpdate(update, current);
      if (outcome.result !== undefined) return outcome.result;
    }
    throw errConflict(kind.groupResource, request.info.name);
  } finally {
    free();
  }
}

/** Without a result the race was lost. */
interface Outcome {
  readonly result?: Result;
}

async function attemptUpdate(update: UpdateOptions, current: CachedObject): Promise<Outcome> {
  const { context, kind, request, options, subresource } = update;
  const { definition } = kind;
  const old = current.objectAs(definition);
  let draft = await update.change(old);
  checkPreconditions(update, draft, old);
  if (update.managed !== true) claimChanges(update, draft, old);
  draft = carryOver(update, draft, old);
  const admission =
    update.admitted === true
      ? undefined
      : admit({
          context,
          request,
          operation: 'UPDATE',
          definition,
          subresource,
          object: draft,
          oldObject: old,
          dryRun: options.dryRun,
          options: admissionOptions(request, options),
        });
  if (admission !== undefined) {
    await mutateKeepingBooks(admission, draft, request);
    if (admission.mutates) {
      if (subresource === '') applyDefaults(draft, kind);
      // Nor may admission change what this way of writing leaves as it is.
      draft = carryOver(update, draft, old);
    }
  }
  if (subresource === '') hooksOf(context, kind)?.prepareUpdate?.(draft, old, { dryRun: options.dryRun, request });
  keepTimes(draft, old);
  if (update.unchecked !== true) validateChanged(update, draft, old);
  if (admission !== undefined) await admission.validate();
  return storeChanged(update, { draft, old, current });
}

/** The preparation rules between the old object and the new. */
function carryOver(update: UpdateOptions, changed: AnyObject, old: AnyObject): AnyObject {
  const { kind, subresource } = update;
  const { definition } = kind;
  let draft = changed;
  if (subresource === 'status') {
    const { status, metadata } = draft;
    draft = cloneObject(old);
    if (status === undefined) delete draft.status;
    else draft.status = status;
    draft.metadata = metadata;
    for (const field of keptMetadata(definition)) keep(metadata, old.metadata, field);
  } else if (definition.status === true && update.unchecked !== true) {
    if (old.status === undefined) delete draft.status;
    else draft.status = cloneObject(old.status);
  }
  const { metadata } = draft;
  const before = old.metadata;
  metadata.uid ||= before.uid;
  metadata.creationTimestamp = before.creationTimestamp;
  metadata.resourceVersion = before.resourceVersion;
  if (before.deletionTimestamp !== undefined) metadata.deletionTimestamp = before.deletionTimestamp;
  if (before.deletionGracePeriodSeconds !== undefined) {
    metadata.deletionGracePeriodSeconds ??= before.deletionGracePeriodSeconds;
  }
  if (update.unchecked !== true) keep(metadata, before, 'generation');
  keep(metadata, before, 'generateName');
  removeField(metadata, 'selfLink');
  if (update.unchecked !== true) {
    if (subresource === 'status') definition.prepareForStatusUpdate?.(draft, old);
    else definition.prepareForUpdate?.(draft, old);
  }
  if (
    definition.generation === true &&
    subresource !== 'status' &&
    update.unchecked !== true &&
    countsAsNew(definition, draft, old)
  ) {
    metadata.generation = (before.generation ?? 0) + 1;
  }
  return draft;
}

function keep(
  metadata: AnyObject['metadata'],
  before: AnyObject['metadata'],
  field: 'generation' | 'generateName' | MetadataField,
): void {
  const value = before[field];
  if (value === undefined) removeField(metadata, field);
  else (metadata as unknown as Record<string, unknown>)[field] = typeof value === 'object' ? cloneObject(value) : value;
}

/** Whether a change counts in metadata.generation. */
function countsAsNew(definition: KindDefinition, draft: AnyObject, old: AnyObject): boolean {
  const { generationCounts } = definition;
  if (generationCounts === 'nothing') return false;
  if (specChanged(draft, old)) return true;
  return (
    generationCounts === 'annotations' && !deepEqual(draft.metadata.annotations ?? {}, old.metadata.annotations ?? {})
  );
}

/** Anything but metadata and status. */
function specChanged(draft: AnyObject, old: AnyObject): boolean {
  for (const field of new Set([...Object.keys(draft), ...Object.keys(old)])) {
    if (field === 'metadata' || field === 'status' || field === 'apiVersion' || field === 'kind') continue;
    if (!deepEqual(draft[field], old[field])) return true;
  }
  return false;
}

/** Refuses an object without a name, or with another than that of the path. */
export function checkName(draft: AnyObject, name: string): void {
  const sent = draft.metadata?.name ?? '';
  if (sent === name) return;
  throw errBadRequest(
    sent === ''
      ? `the name of the object (${name} based on URL) was undeterminable: name must be provided`
      : `the name of the object (${sent}) does not match the name on the URL (${name})`,
  );
}

/** What upstream's storage says of a write that is meant for another object of the same name. */
export const staleUid = (key: string, uid: string, uidNow: string | undefined): string =>
  `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${uid}, UID in object meta: ${uidNow}`;

/** A PUT that names a uid is meant for that object only, in the words of upstream's storage. */
function checkPreconditions({ kind, conditional, namesUid }: UpdateOptions, draft: AnyObject, old: AnyObject): void {
  const { uid, resourceVersion, name } = draft.metadata;
  if (namesUid === true && uid !== undefined && uid !== '' && uid !== old.metadata.uid) {
    const key = `${kind.storage.cache.prefix}${kind.key(old.metadata.namespace ?? '', name)}`;
    throw errConflict(kind.groupResource, name, staleUid(key, uid, old.metadata.uid));
  }
  if (conditional && resourceVersion !== old.metadata.resourceVersion) throw errConflict(kind.groupResource, name);
}

function validateChanged({ kind, request, subresource }: UpdateOptions, draft: AnyObject, old: AnyObject): void {
  const { definition } = kind;
  const errors = validateObjectMetaUpdate(draft.metadata, old.metadata);
  if (hasKnownFinalizers(definition)) for (const one of validateKnownFinalizers(draft.metadata)) errors.push(one);
  if (subresource === 'status') {
    for (const one of definition.validateStatusUpdate?.(draft, old) ?? []) errors.push(one);
  } else {
    const changes = definition.validateUpdate?.(draft, old) ?? [];
    const state = definition.validate?.(draft, old) ?? [];
    for (const found of definition.updateRulesFirst === true ? [changes, state] : [state, changes])
      addNew(errors, found);
    const warnings = definition.warnings?.(draft, old);
    if (warnings !== undefined) request.warnings.push(...warnings);
  }
  if (errors.length > 0) throw errInvalid(kind.groupKind, draft.metadata.name, errors);
}

/** Rules of updates often repeat those of new objects. */
function addNew(errors: FieldError[], more: readonly FieldError[]): void {
  const textOf = ({ field, detail }: FieldError): string => `${field}\n${detail}`;
  const known = new Set(errors.map(textOf));
  for (const one of more) {
    const text = textOf(one);
    if (known.has(text)) continue;
    known.add(text);
    errors.push(one);
  }
}

async function storeChanged(
  update: UpdateOptions,
  { draft, old, current }: { draft: AnyObject; old: AnyObject; current: CachedObject },
): Promise<Outcome> {
  const { context, kind, request, options } = update;
  const hooks = hooksOf(context, kind);
  const release = await hooks?.beforeUpdate?.(draft, old, { dryRun: options.dryRun, request });
  if (options.dryRun) {
    release?.();
    return { result: { object: draft } };
  }
  const { storage } = kind;
  try {
    if (isFinished(draft, old, hooks?.mustStay)) {
      const removed = await storage.remove(current);
      if (!removed.written) {
        release?.();
        return {};
      }
      releaseAt(context, removed.object.revision, release);
      hooks?.afterDelete?.(draft);
      return { result: { object: draft } };
    }
    const stored = await kind.toStored(draft);
    const lease = context.leaseFor(kind);
    const written = await storage.replace(current, stored, lease === undefined ? undefined : await lease);
    if (!written.written) {
      release?.();
      return {};
    }
    releaseAt(context, written.object.revision, release);
    await kind.convert([written.object]);
    hooks?.afterUpdate?.(written.object.objectAs(kind.definition), old);
    return { result: { cached: written.object } };
  } catch (error) {
    release?.();
    throw error;
  }
}

/** The last finalizer of an object that waits for its deletion was taken off: this update removes it. */
function isFinished(draft: AnyObject, old: AnyObject, mustStay: ((object: AnyObject) => boolean) | undefined): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = draft.metadata;
  if (deletionTimestamp === undefined || old.metadata.deletionTimestamp === undefined) return false;
  if ((finalizers?.length ?? 0) > 0 || (deletionGracePeriodSeconds ?? 0) > 0) return false;
  return mustStay === undefined || !mustStay(draft);
}
