import { errNotFound, errTooLargeResourceVersion } from '#machinery';
import type { Verb } from './context.ts';
import { respondObject } from './respond-object.ts';
import { parseRevision } from './revisions.ts';
import { warnIfStale } from './stale.ts';

const longestWaitMs = 3000;

/** GET of one object: everything acknowledged by default, the cache as it is with resourceVersion=0. */
export const get: Verb = async (context, kind, request) => {
  const { namespace, name, rawQuery, options } = request.info;
  const key = kind.key(namespace, name);
  const { storage } = kind;
  const asked = rawQuery === '' ? '' : (options.get('resourceVersion') ?? '');
  let found: Awaited<ReturnType<typeof storage.get>>;
  if (asked === '') {
    found = await storage.get(key);
    warnIfStale(context, request);
  } else {
    await storage.cache.ready;
    const revision = parseRevision(asked);
    if (!(await context.feed.reachedWithin(revision, longestWaitMs)) && storage.cache.revision < revision) {
      throw errTooLargeResourceVersion(asked, String(storage.cache.revision));
    }
    found = storage.cache.get(key);
  }
  if (found !== undefined) await kind.convert([found]);
  if (found === undefined) throw errNotFound(kind.groupResource, name);
  return respondObject(context, kind, request, { cached: found });
};
