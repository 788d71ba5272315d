import {
  continueTooOldMessage,
  errBadRequest,
  errExpired,
  errInvalid,
  errTooLargeResourceVersion,
  type FieldError,
  forbiddenError,
  notSupportedError,
} from '#machinery';
import { Compacted } from '#store';
import type { ServerRequest } from '../contract.ts';
import { nextTurn } from '../http/turn.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';
import type { Snapshot } from '../watchcache/ordered-index.ts';
import { prefixEnd } from '../watchcache/store-feed.ts';
import type { ResourceContext, Verb } from './context.ts';
import type { KindResource } from './kind-resource.ts';
import { respondList } from './respond-list.ts';
import { type ContinueToken, encodeContinue, parseContinue, parseRevision } from './revisions.ts';
import { warnIfStale } from './stale.ts';
import { type Selection, selectionOf } from './selection.ts';
import { integerOption } from './write-options.ts';

/** GET of a collection. */
export const list: Verb = async (context, kind, request) => {
  const found = await listObjects(context, kind, request);
  await kind.convert(found.objects);
  return respondList(context, kind, request, found);
};

export interface ListResult {
  readonly objects: readonly CachedObject[];
  readonly revision: number;
  readonly continue?: string;
  readonly remaining?: number;
}

interface ListQuestion {
  readonly limit: number;
  readonly revision: number;
  readonly match: 'fresh' | 'any' | 'notOlder' | 'exact';
  readonly token: ContinueToken | undefined;
}

const longestWaitMs = 3000;
const checksPerTurn = 5000;

/** Reads, selects and pages, at one revision. */
export async function listObjects(
  context: ResourceContext,
  kind: KindResource,
  request: ServerRequest,
): Promise<ListResult> {
  const question = questionOf(request);
  const { cache } = kind.storage;
  if (!cache.isReady) await cache.ready;
  const selection = selectionOf(kind, request.info);
  const { token } = question;
  const nowMs = context.clock.monotonicMs();
  if (token === undefined && question.match !== 'exact') {
    await waitFor(context, kind, question);
    if (question.match === 'fresh') warnIfStale(context, request);
    return pick({ snapshot: cache.snapshot(), revision: cache.revision, selection, question, kind, nowMs });
  }
  const revision = token === undefined ? question.revision : token.revision;
  if (revision > cache.revision) await waitFor(context, kind, { ...question, match: 'notOlder', revision });
  if (revision === 0 || (revision === cache.revision && token === undefined)) {
    return pick({ snapshot: cache.snapshot(), revision: cache.revision, selection, question, kind, nowMs });
  }
  const kept = cache.keptSnapshot(revision);
  if (kept !== undefined) return pick({ snapshot: kept, revision, selection, question, kind, nowMs });
  return fromHistory(context, { selection, question, kind, revision });
}

function questionOf(request: ServerRequest): ListQuestion {
  const { options, rawQuery } = request.info;
  if (rawQuery === '') return { limit: 0, revision: 0, match: 'fresh', token: undefined };
  const limit = Math.max(0, integerOption(request, 'limit') ?? 0);
  integerOption(request, 'timeoutSeconds');
  const asked = options.get('resourceVersion') ?? '';
  const match = options.get('resourceVersionMatch') ?? '';
  const text = options.get('continue') ?? '';
  const errors: FieldError[] = [];
  if (options.get('sendInitialEvents') !== null) {
    errors.push(forbiddenError('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  }
  if (match !== '') {
    if (asked === '')
      errors.push(
        forbiddenError('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided'),
      );
    if (text !== '')
      errors.push(
        forbiddenError('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'),
      );
    if (match !== 'Exact' && match !== 'NotOlderThan')
      errors.push(notSupportedError('resourceVersionMatch', match, ['Exact', 'NotOlderThan', '']));
    if (match === 'Exact' && asked === '0') {
      errors.push(
        forbiddenError('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
      );
    }
  }
  if (errors.length > 0) throw errInvalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', errors);
  if (text !== '') {
    if (asked !== '' && asked !== '0')
      throw errBadRequest('specifying resource version is not allowed when using continue');
    return { limit, revision: 0, match: 'exact', token: parseContinue(text) };
  }
  const revision = parseRevision(asked);
  if (asked === '') return { limit, revision, match: 'fresh', token: undefined };
  // As upstream: whoever takes any state gets all of it at once.
  if (revision === 0) return { limit: 0, revision, match: 'any', token: undefined };
  const exact = match === 'Exact' || (match === '' && limit > 0);
  return { limit, revision, match: exact ? 'exact' : 'notOlder', token: undefined };
}

async function waitFor(context: ResourceContext, kind: KindResource, { match, revision }: ListQuestion): Promise<void> {
  const { cache } = kind.storage;
  if (match === 'fresh') {
    const fresh = cache.fresh();
    if (fresh !== undefined) await fresh;
  } else if (match === 'notOlder' && cache.revision < revision) {
    if (!(await context.feed.reachedWithin(revision, longestWaitMs))) {
      throw errTooLargeResourceVersion(String(revision), String(cache.revision));
    }
  }
}

interface Picking {
  readonly snapshot: Snapshot<CachedObject>;
  readonly revision: number;
  readonly selection: Selection;
  readonly question: ListQuestion;
  readonly kind: KindResource;
  readonly nowMs: number;
}

async function pick(picking: Picking): Promise<ListResult> {
  const { snapshot, revision, selection, question, kind } = picking;
  const { limit, token } = question;
  const { cache } = kind.storage;
  if (selection.scope.key !== undefined) {
    const one = snapshot.slice(selection.scope.key, `${selection.scope.key}\0`, 1);
    return { objects: selection.matches === undefined ? one : one.filter(selection.matches), revision };
  }
  if (selection.scope.indexed !== undefined && limit === 0 && token === undefined && question.match !== 'exact') {
    const objects = [...cache.byIndex(selection.scope.indexed)].sort((a, b) => (a.key < b.key ? -1 : 1));
    return { objects: selection.matches === undefined ? objects : objects.filter(selection.matches), revision };
  }
  const low = selection.namespace === '' ? '' : `${selection.namespace}/`;
  const end = low === '' ? '' : prefixEnd(low);
  const start = token === undefined || token.start < low ? low : token.start;
  if (selection.matches === undefined) {
    const objects = snapshot.slice(start, end, limit);
    if (limit === 0 || objects.length < limit) return { objects, revision };
    const remaining = snapshot.count(start, end) - objects.length;
    return remaining === 0 ? { objects, revision } : paged(picking, objects, remaining);
  }
  const objects: CachedObject[] = [];
  let checked = 0;
  for (const object of snapshot.range(start, end)) {
    if (selection.matches(object)) {
      if (limit > 0 && objects.length === limit) return paged(picking, objects);
      objects.push(object);
    }
    if (++checked % checksPerTurn === 0) await nextTurn();
  }
  return { objects, revision };
}

function paged({ snapshot, revision, kind, nowMs }: Picking, objects: CachedObject[], remaining?: number): ListResult {
  kind.storage.cache.keepSnapshot(revision, snapshot, nowMs);
  return withContinue(objects, revision, remaining);
}

function withContinue(objects: CachedObject[], revision: number, remaining?: number): ListResult {
  const last = objects.at(-1) as CachedObject;
  const token = encodeContinue({ revision, start: `${last.key}\0` });
  return { objects, revision, continue: token, ...(remaining === undefined ? {} : { remaining }) };
}

const historyPage = 1000;

/** An exact revision that no snapshot holds: from the store, page by page. */
async function fromHistory(
  context: ResourceContext,
  options: { selection: Selection; question: ListQuestion; kind: KindResource; revision: number },
): Promise<ListResult> {
  const { selection, question, kind, revision } = options;
  const { cache } = kind.storage;
  const low = selection.namespace === '' ? '' : `${selection.namespace}/`;
  const first = question.token === undefined || question.token.start < low ? low : question.token.start;
  const end = prefixEnd(cache.prefix + low);
  let start = cache.prefix + first;
  const objects: CachedObject[] = [];
  try {
    for (;;) {
      const page = await context.store.range({ start, end, limit: historyPage, revision });
      for (const entry of page.entries) {
        const object = cache.fromEntry(entry.key.slice(cache.prefix.length), entry.modRevision, entry.value);
        if (selection.name !== '' && object.name !== selection.name) continue;
        if (selection.matches !== undefined && !selection.matches(object)) continue;
        if (question.limit > 0 && objects.length === question.limit) return withContinue(objects, revision);
        objects.push(object);
      }
      const last = page.entries.at(-1);
      if (!page.more || last === undefined) return { objects, revision };
      start = `${last.key}\0`;
    }
  } catch (error) {
    if (!(error instanceof Compacted)) throw error;
    if (question.token === undefined) throw errExpired('The resourceVersion for the provided list is too old.');
    throw expiredToken(question.token);
  }
}

/** 410 with a token that goes on from the same place over the newest state. */
function expiredToken(token: ContinueToken): Error {
  const error = errExpired(continueTooOldMessage);
  error.status.metadata = { continue: encodeContinue({ revision: 0, start: token.start }) };
  return error;
}
