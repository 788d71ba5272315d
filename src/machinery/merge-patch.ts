import { errBadRequest } from './errors.ts';
import { jsonTypeOf } from './go-text.ts';
import { cloneObject, setOwn } from './objects.ts';

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Refuses anything but an object as a merge patch. */
function patchObject(patch: unknown): Json {
  if (isObject(patch)) return patch;
  if (patch === null) throw errBadRequest('Invalid JSON Patch');
  throw errBadRequest(
    `error decoding patch: json: cannot unmarshal ${jsonTypeOf(patch)} into Go value of type map[string]interface {}`,
  );
}

/** RFC 7386 on a copy: null removes, objects merge, all else replaces. Throws ApiError 400 when the patch is no object. */
export function applyMergePatch<T>(object: T, patch: unknown): T {
  const root = cloneObject(object) as Json;
  const queue: { target: Json; patch: Json }[] = [{ target: root, patch: patchObject(patch) }];
  for (let step = queue.pop(); step !== undefined; step = queue.pop()) {
    const { target } = step;
    for (const [key, value] of Object.entries(step.patch)) {
      if (value === null) delete target[key];
      else if (isObject(value)) {
        let child: unknown = Object.hasOwn(target, key) ? target[key] : undefined;
        if (!isObject(child)) {
          child = {};
          setOwn(target, key, child);
        }
        queue.push({ target: child as Json, patch: value });
      } else setOwn(target, key, cloneObject(value));
    }
  }
  return root as T;
}
