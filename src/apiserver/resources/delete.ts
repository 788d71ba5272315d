import { type AnyObject, builtinSchema, type Status } from '#api';
import { rfc3339 } from '#base';
import {
  cloneObject,
  errBadRequest,
  errConflict,
  errInvalid,
  errNotFound,
  type FieldError,
  goQuote,
  invalidError,
  notSupportedError,
} from '#machinery';
import type { ServerRequest, ServerResponse } from '../contract.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';
import { admit } from './admit.ts';
import { hooksOf, type KindHooks, type ResourceContext, type Verb } from './context.ts';
import type { KindResource } from './kind-resource.ts';
import { builtinDraft, checkDraft, readBody } from './read-draft.ts';
import { respondObject, respondPlain, type Result } from './respond-object.ts';
import { dryRunErrors, integerOption } from './write-options.ts';

/** DELETE of one object. */
export const remove: Verb = async (context, kind, request) => {
  const options = await deleteOptions(request);
  const { namespace, name } = request.info;
  const current = await kind.find(namespace, name);
  if (current === undefined) throw errNotFound(kind.groupResource, name);
  const { result, gone } = await deleteObject({ context, kind, request, options, current });
  return respondDeleted({ context, kind, request, options, result, gone });
};

export interface DeleteOptions {
  readonly dryRun: boolean;
  readonly gracePeriodSeconds: number | undefined;
  readonly propagationPolicy: 'Orphan' | 'Background' | 'Foreground' | undefined;
  readonly preconditions: { readonly uid?: string | undefined; readonly resourceVersion?: string | undefined };
  /** The request said what becomes of dependents in the old way. */
  readonly orphanDependents: boolean | undefined;
}

const policies = ['Foreground', 'Background', 'Orphan'];

/** From the body, or from the query when there is no body. */
export async function deleteOptions(request: ServerRequest): Promise<DeleteOptions> {
  const { options } = request.info;
  let body: Record<string, unknown> = {};
  const type = builtinDraft('v1', 'DeleteOptions', 'meta/v1.DeleteOptions');
  const bytes = request.objectBody === undefined ? await request.body() : undefined;
  if (bytes === undefined || bytes.length > 0) {
    const raw = await readBody(request, type, 'Ignore');
    if (raw.value !== null) {
      const value = raw.value as Record<string, unknown>;
      const { kind } = value;
      if (typeof kind === 'string' && kind !== '' && kind !== type.kind) {
        throw errBadRequest(`no kind ${goQuote(kind)} is registered for version "meta.k8s.io/v1" at this address`);
      }
      if (request.audited !== undefined) request.audited.requestObject ??= { ...value };
      // Clients send them in the version of the group that they delete from.
      const isObject = typeof value === 'object' && !Array.isArray(value);
      const draft = isObject ? { ...value, apiVersion: 'v1', kind: 'DeleteOptions' } : value;
      body = checkDraft({ value: draft, findings: [] }, type, request, ignoreUnknown) as unknown as Record<
        string,
        unknown
      >;
    }
  }
  const dryRun = (body.dryRun as string[] | undefined) ?? options.getAll('dryRun');
  const grace = (body.gracePeriodSeconds as number | undefined) ?? integerOption(request, 'gracePeriodSeconds');
  const policy = (body.propagationPolicy as string | undefined) ?? options.get('propagationPolicy') ?? undefined;
  const orphan = (body.orphanDependents as boolean | undefined) ?? orphanOption(options.get('orphanDependents'));
  const preconditions = (body.preconditions ?? {}) as DeleteOptions['preconditions'];
  const errors: FieldError[] = dryRunErrors(dryRun);
  if (policy !== undefined && policy !== '' && !policies.includes(policy)) {
    errors.push(notSupportedError('propagationPolicy', policy, [...policies, 'nil']));
  }
  if (policy !== undefined && orphan !== undefined) {
    errors.push(
      invalidError('propagationPolicy', policy, 'orphanDependents and deletionPropagation cannot be both set'),
    );
  }
  if (errors.length > 0) throw errInvalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', errors);
  return {
    dryRun: dryRun.length > 0,
    gracePeriodSeconds: grace,
    propagationPolicy:
      policy === undefined || policy === '' ? undefined : (policy as DeleteOptions['propagationPolicy']),
    preconditions,
    orphanDependents: orphan,
  };
}

const ignoreUnknown = { dryRun: false, fieldManager: '', fieldValidation: 'Ignore', force: false } as const;

function orphanOption(text: string | null): boolean | undefined {
  return text === null ? undefined : text !== 'false' && text !== '0';
}

export interface Deletion {
  readonly context: ResourceContext;
  readonly kind: KindResource;
  readonly request: ServerRequest;
  readonly options: DeleteOptions;
  readonly current: CachedObject;
}

export interface Deleted {
  readonly result: Result;
  /** False: the object waits for its finalizers or its grace period. */
  readonly gone: boolean;
}

/** Deletes, or begins a deletion that finalizers, a grace period or the kind itself hold up. */
export async function deleteObject(deletion: Deletion): Promise<Deleted> {
  const { context, kind, request, options } = deletion;
  const hooks = hooksOf(context, kind);
  let { current } = deletion;
  for (;;) {
    const old = current.objectAs(kind.definition);
    checkPreconditions(kind, options, old);
    await hooks?.beforeDelete?.(old, { dryRun: options.dryRun, request });
    await admitDeletion(deletion, old);
    const plan = planDeletion(deletion, old, hooks);
    if (plan.step === 'nothing' || options.dryRun) {
      return plan.step === 'mark'
        ? { result: { object: plan.draft }, gone: false }
        : { result: { cached: current }, gone: plan.step === 'remove' };
    }
    if (plan.step === 'remove') {
      const removed = await kind.storage.remove(current);
      if (removed.written) {
        hooks?.afterDelete?.(old);
        return { result: { cached: removed.object }, gone: true };
      }
      current = await missing(kind, old, removed.current);
      continue;
    }
    const stored = await kind.toStored(plan.draft);
    const written = await kind.storage.replace(current, stored);
    if (written.written) {
      await kind.convert([written.object]);
      return { result: { cached: written.object }, gone: false };
    }
    current = await missing(kind, old, written.current);
  }
}

async function missing(kind: KindResource, old: AnyObject, current: CachedObject | undefined): Promise<CachedObject> {
  if (current !== undefined) await kind.convert([current]);
  if (current === undefined || current.objectAs(kind.definition).metadata.uid !== old.metadata.uid) {
    throw errNotFound(kind.groupResource, old.metadata.name);
  }
  return current;
}

async function admitDeletion({ context, kind, request, options }: Deletion, old: AnyObject): Promise<void> {
  const admission = admit({
    context,
    request,
    operation: 'DELETE',
    definition: kind.definition,
    subresource: '',
    object: undefined,
    oldObject: old,
    name: old.metadata.name,
    dryRun: options.dryRun,
    options: {
      kind: 'DeleteOptions',
      apiVersion: 'meta.k8s.io/v1',
      ...(options.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: options.gracePeriodSeconds }),
      ...(options.propagationPolicy === undefined ? {} : { propagationPolicy: options.propagationPolicy }),
      ...(options.dryRun ? { dryRun: ['All'] } : {}),
    },
  });
  await admission.mutate();
  await admission.validate();
}

function checkPreconditions(kind: KindResource, { preconditions }: DeleteOptions, old: AnyObject): void {
  const { uid, resourceVersion } = preconditions;
  const resource = { group: kind.info.group, plural: kind.info.kind };
  const { name } = old.metadata;
  if (uid !== undefined && uid !== old.metadata.uid) {
    throw errConflict(
      resource,
      name,
      `the UID in the precondition (${uid}) does not match the UID in record (${old.metadata.uid}). The object might have been deleted and then recreated`,
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion) {
    throw errConflict(
      resource,
      name,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${old.metadata.resourceVersion}). The object might have been modified`,
    );
  }
}

type Plan =
  | { readonly step: 'remove' }
  | { readonly step: 'nothing' }
  | { readonly step: 'mark'; readonly draft: AnyObject };

/** What a deletion does now: remove the object, mark it and wait, or nothing because it is marked already. */
export function planDeletion({ context, kind, options }: Deletion, old: AnyObject, hooks: KindHooks | undefined): Plan {
  const { definition } = kind;
  const { deletionTimestamp, deletionGracePeriodSeconds } = old.metadata;
  const before = old.metadata.finalizers ?? [];
  const marked = deletionTimestamp !== undefined;
  const finalizers = finalizersAfter(options, definition.defaultPropagation ?? 'background', before, marked);
  for (const one of marked ? [] : (hooks?.deletionFinalizers?.(old) ?? [])) {
    if (!finalizers.includes(one)) finalizers.push(one);
  }
  const grace = definition.gracePeriodSeconds?.(old, options.gracePeriodSeconds) ?? 0;
  const stays = finalizers.length > 0 || hooks?.mustStay?.(old) === true;
  if (deletionTimestamp !== undefined) {
    const left = deletionGracePeriodSeconds ?? 0;
    const shorter = options.gracePeriodSeconds !== undefined && grace < left;
    const ended = definition.gracePeriodSeconds === undefined || grace === 0;
    if (!stays && (left === 0 || (ended && (shorter || options.gracePeriodSeconds === 0)))) return { step: 'remove' };
    const sameFinalizers = before.length === finalizers.length;
    if (!shorter && sameFinalizers) return { step: 'nothing' };
  } else if (!stays && grace === 0) return { step: 'remove' };
  const draft = cloneObject(old);
  const { metadata } = draft;
  if (finalizers.length > 0) metadata.finalizers = finalizers;
  else if (metadata.finalizers !== undefined) delete metadata.finalizers;
  const first = deletionTimestamp === undefined;
  if (first || grace < (deletionGracePeriodSeconds ?? 0)) {
    const startMs = first
      ? context.clock.nowMs()
      : Date.parse(deletionTimestamp) - (deletionGracePeriodSeconds ?? 0) * 1000;
    metadata.deletionTimestamp = rfc3339(Math.max(startMs, 0) + grace * 1000);
    metadata.deletionGracePeriodSeconds = grace;
    if (definition.generation === true || metadata.generation !== undefined)
      metadata.generation = (metadata.generation ?? 0) + (first ? 1 : 0);
  }
  hooks?.markDeleted?.(draft);
  return { step: 'mark', draft };
}

/** Propagation is a finalizer that the garbage collector takes off when it has done its part. */
function finalizersAfter(
  { propagationPolicy, orphanDependents }: DeleteOptions,
  byDefault: 'orphan' | 'background',
  before: readonly string[],
  marked: boolean,
): string[] {
  const policy =
    propagationPolicy ?? (orphanDependents === undefined ? undefined : orphanDependents ? 'Orphan' : 'Background');
  const others = before.filter((one) => one !== 'orphan' && one !== 'foregroundDeletion');
  switch (policy) {
    case 'Orphan':
      return [...others, 'orphan'];
    case 'Foreground':
      return [...others, 'foregroundDeletion'];
    case 'Background':
      return others;
    default:
      if (before.length !== others.length || marked) return [...before];
      return byDefault === 'orphan' ? [...others, 'orphan'] : others;
  }
}

/** Kinds whose deletion answers with the object that was deleted, as upstream's. */
const answeredWithObject = new Set([
  '/pods',
  '/persistentvolumes',
  '/persistentvolumeclaims',
  '/podtemplates',
  '/resourcequotas',
  '/services',
  '/serviceaccounts',
  'storage.k8s.io/csidrivers',
  'storage.k8s.io/csinodes',
  'storage.k8s.io/storageclasses',
  'storage.k8s.io/volumeattachments',
]);

export function respondDeleted(deleted: {
  context: ResourceContext;
  kind: KindResource;
  request: ServerRequest;
  options: DeleteOptions;
  result: Result;
  gone: boolean;
}): ServerResponse | Promise<ServerResponse> {
  const { context, kind, request, options, result, gone } = deleted;
  const { group, plural } = kind.info;
  const code = !gone && options.orphanDependents === false ? 202 : 200;
  if (!gone || answeredWithObject.has(`${group}/${plural}`)) return respondObject(context, kind, request, result, code);
  const { metadata } = result.cached === undefined ? result.object : result.cached.objectAs(kind.definition);
  const status: Status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name: metadata.name, ...(group === '' ? {} : { group }), kind: plural, uid: metadata.uid },
  };
  return respondPlain(request, status, builtinSchema.type('meta/v1.Status'));
}
