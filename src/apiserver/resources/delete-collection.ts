import { isNotFound } from '#machinery';
import type { CachedObject } from '../watchcache/cached-object.ts';
import type { Verb } from './context.ts';
import { deleteObject, deleteOptions } from './delete.ts';
import { listObjects } from './list.ts';
import { respondList } from './respond-list.ts';

const atOnce = 16;

/** DELETE of a collection: each object by itself, with admission, as if deleted alone. Answers with what was there. */
export const removeCollection: Verb = async (context, kind, request) => {
  const options = await deleteOptions(request);
  const found = await listObjects(context, kind, request);
  await kind.convert(found.objects);
  const left = [...found.objects].reverse();
  const work = async (): Promise<void> => {
    for (let current = left.pop(); current !== undefined; current = left.pop()) {
      await deleteOne(current);
    }
  };
  const deleteOne = async (current: CachedObject): Promise<void> => {
    try {
      await deleteObject({ context, kind, request, options, current });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, found.objects.length) }, work));
  return respondList(context, kind, request, found);
};
