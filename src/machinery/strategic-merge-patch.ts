import type { FieldSchema, SchemaNode } from '#api';
import { type ApiError, errBadRequest, errStatus, errUnsupportedMediaType } from './errors.ts';
import { goValueText, jsonTypeOf } from './go-text.ts';
import { cloneObject, setOwn } from './objects.ts';

type Json = Record<string, unknown>;

const directive = '$patch';
const retainKeys = '$retainKeys';
const deleteFromListMark = '$deleteFromPrimitiveList';
const deleteFromList = `${deleteFromListMark}/`;
const elementOrderMark = '$setElementOrder';
const elementOrder = `${elementOrderMark}/`;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const own = (object: Json, key: string): unknown => (Object.hasOwn(object, key) ? object[key] : undefined);

/** Upstream's words; it answers 500 to these mistakes of the client. */
function refused(why: string): ApiError {
  return errStatus(422, 'Invalid', why, {});
}

const isDirective = (value: unknown): boolean => isObject(value) && Object.hasOwn(value, directive);
const badType = (mode: unknown, patch: Json): ApiError =>
  refused(`unknown patch type: ${String(mode)} in map: ${goValueText(patch)}`);

function fieldOf(node: SchemaNode | undefined, key: string): FieldSchema | undefined {
  return node?.form === 'struct' ? node.fields?.get(key) : undefined;
}

function childOf(node: SchemaNode | undefined, key: string): SchemaNode | undefined {
  return node?.form === 'map' ? node.element : fieldOf(node, key)?.node;
}

const merges = (field: FieldSchema | undefined): boolean => field?.patchStrategy?.includes('merge') ?? false;
const replaces = (field: FieldSchema | undefined): boolean => field?.patchStrategy?.includes('replace') ?? false;

/** A value that meets nothing to merge with: nulls and directives in it have no effect of their own. */
function added(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((one) => !isDirective(one)).map(added);
  if (!isObject(value)) return value;
  const result: Json = {};
  for (const [key, one] of Object.entries(value)) {
    if (one === null || key === directive || key === retainKeys || isDirective(one)) continue;
    if (key.startsWith(deleteFromList) || key.startsWith(elementOrder)) continue;
    setOwn(result, key, added(one));
  }
  return result;
}

/** Merges `patch` into `target`, in place, and returns what stands there afterwards. Depth is bounded by the decoder. */
function mergeMap(target: Json, patch: Json, node: SchemaNode | undefined): Json {
  const mode = own(patch, directive);
  if (mode !== undefined) {
    if (mode === 'delete') return {};
    if (mode === 'replace') return added(patch) as Json;
    throw badType(mode, patch);
  }
  retain(target, patch);
  const ordered = orderedLists(patch);

  for (const [key, value] of Object.entries(patch)) {
    if (key === directive || key === retainKeys || key.startsWith(elementOrder)) continue;
    if (key.startsWith(deleteFromListMark)) {
      if (!key.startsWith(deleteFromList)) throw errBadRequest('invalid patch format of primitive list');
      removeFromList(target, key.slice(deleteFromList.length), value);
      continue;
    }
    if (value === null) {
      delete target[key];
      continue;
    }
    const field = fieldOf(node, key);
    const current = own(target, key);
    if (isObject(value) && isObject(current) && !replaces(field)) {
      setOwn(target, key, mergeMap(current, value, childOf(node, key)));
    } else if (Array.isArray(value) && Array.isArray(current) && merges(field)) {
      setOwn(target, key, mergeList(current, value, field as FieldSchema, ordered.get(key)));
    } else if (isDirective(value)) delete target[key];
    else setOwn(target, key, added(value));
  }

  for (const [key, order] of ordered) {
    const list = own(target, key);
    if (Object.hasOwn(patch, key) || !Array.isArray(list)) continue;
    setOwn(target, key, inOrder(list, list, order, fieldOf(node, key)?.patchMergeKey));
  }
  return target;
}

function retain(target: Json, patch: Json): void {
  const list = own(patch, retainKeys);
  if (list === undefined) return;
  if (!Array.isArray(list)) throw errBadRequest('invalid patch format of retainKeys');
  const kept = new Set(list);
  for (const key of Object.keys(patch)) {
    if (key.startsWith('$') || patch[key] === null) continue;
    if (!kept.has(key)) throw errBadRequest('invalid patch format of retainKeys');
  }
  for (const key of Object.keys(target)) if (!kept.has(key)) delete target[key];
}

function orderedLists(patch: Json): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>();
  for (const key of Object.keys(patch)) {
    if (!key.startsWith(elementOrderMark)) continue;
    const order = patch[key];
    if (!Array.isArray(order) || !key.startsWith(elementOrder))
      throw errBadRequest('invalid patch format of setElementOrder list');
    found.set(key.slice(elementOrder.length), order);
  }
  return found;
}

function removeFromList(target: Json, key: string, values: unknown): void {
  if (!Array.isArray(values)) throw errBadRequest('invalid patch format of primitive list');
  const list = own(target, key);
  const removed = new Set<unknown>(values);
  if (Array.isArray(list))
    setOwn(
      target,
      key,
      list.filter((one) => !removed.has(one)),
    );
}

/** Merged items in the order of the patch, then of the order that it asks for. */
function mergeList(current: unknown[], patch: unknown[], field: FieldSchema, order: unknown[] | undefined): unknown[] {
  const { patchMergeKey: key = '' } = field;
  if (order !== undefined) checkOrder(patch, order, key);
  if (current.length === 0 && patch.length === 0) return current;
  const merged =
    key === '' ? inOrder(union(current, patch), current, patch, undefined) : mergeByKey(current, patch, key, field);
  return order === undefined ? merged : inOrder(merged, current, order, key);
}

/** The items of the patch must stand in the list of the order, in that order. */
function checkOrder(patch: readonly unknown[], order: readonly unknown[], key: string): void {
  if (order.length === 0 || patch.length === 0) return;
  let at = 0;
  for (const one of patch) {
    if (isDirective(one)) continue;
    const name = key === '' ? one : keyValue(one, key);
    while (at < order.length && (key === '' ? order[at] : keyValue(order[at], key)) !== name) at++;
    if (at++ >= order.length) {
      throw refused(
        `The order in patch list:\n${goValueText(patch)}\n doesn't match ${elementOrderMark} list:\n${goValueText(order)}\n`,
      );
    }
  }
}

function union(current: readonly unknown[], patch: readonly unknown[]): unknown[] {
  const result: unknown[] = [];
  const seen = new Set<unknown>();
  for (const one of [...current, ...patch]) {
    if (seen.has(one)) continue;
    seen.add(one);
    result.push(one);
  }
  return result;
}

function keyValue(item: unknown, key: string): unknown {
  const value = isObject(item) ? own(item, key) : undefined;
  if (value === undefined) {
    throw refused(`map: ${goValueText(item)} does not contain declared merge key: ${key}`);
  }
  return value;
}

function mergeByKey(current: unknown[], patch: unknown[], key: string, field: FieldSchema): unknown[] {
  if (patch.some((one) => isObject(one) && own(one, directive) === 'replace')) {
    return patch.filter((one) => !(isObject(one) && Object.hasOwn(one, directive))).map(added);
  }
  const gone = new Set<unknown>();
  for (const item of patch) {
    if (!isObject(item)) throw refused(`map: ${goValueText(item)} does not contain declared merge key: ${key}`);
    const mode = own(item, directive);
    if (mode === 'merge') throw refused('merging lists cannot yet be specified in the patch');
    if (mode !== undefined && mode !== 'delete') throw badType(mode, item);
    if (mode === 'delete') gone.add(keyValue(item, key));
  }
  const merged = gone.size === 0 ? [...current] : current.filter((one) => !(isObject(one) && gone.has(own(one, key))));
  const places = new Map<unknown, number>();
  for (let at = merged.length - 1; at >= 0; at--) {
    const one = merged[at];
    if (isObject(one)) places.set(own(one, key), at);
  }
  for (const item of patch) {
    if (isDirective(item)) continue;
    const value = keyValue(item, key);
    const at = places.get(value);
    if (at === undefined) places.set(value, merged.push(added(item)) - 1);
    else merged[at] = mergeMap(merged[at] as Json, item as Json, field.node.element);
  }
  const named = patch.filter((one) => !isDirective(one));
  return inOrder(merged, current, named, key);
}

/** Items named by `order` in that order, the others keeping their place relative to those they stood next to. */
function inOrder(
  list: readonly unknown[],
  before: readonly unknown[],
  order: readonly unknown[],
  key: string | undefined,
): unknown[] {
  const identity = (one: unknown): unknown => (key !== undefined && key !== '' && isObject(one) ? own(one, key) : one);
  const placesIn = (items: readonly unknown[]): Map<unknown, number> => {
    const places = new Map<unknown, number>();
    for (const [at, one] of items.entries()) if (!places.has(identity(one))) places.set(identity(one), at);
    return places;
  };
  const wanted = placesIn(order);
  const was = placesIn(before);
  const place = (one: unknown): number => wanted.get(identity(one)) ?? -1;
  const former = (one: unknown): number => was.get(identity(one)) ?? before.length;
  const listed = list.filter((one) => place(one) >= 0).sort((a, b) => place(a) - place(b));
  const others = list.filter((one) => place(one) < 0).sort((a, b) => former(a) - former(b));
  const result: unknown[] = [];
  let left = 0;
  let right = 0;
  while (left < others.length || right < listed.length) {
    const other = was.get(identity(others[left]));
    const next = was.get(identity(listed[right]));
    const takeOther =
      right >= listed.length || (left < others.length && other !== undefined && next !== undefined && other < next);
    result.push(takeOther ? others[left++] : listed[right++]);
  }
  return result;
}

/**
 * A strategic merge patch, directed by the schema's patchStrategy and patchMergeKey, on a copy. Throws ApiError: 415 for kinds
 * without such a schema (custom resources), 400 for a malformed patch, 422 for an item without its merge key.
 */
export function applyStrategicMergePatch<T>(object: T, patch: unknown, node: SchemaNode | undefined): T {
  if (node?.typeName === undefined) {
    throw errUnsupportedMediaType('application/strategic-merge-patch+json', [
      'application/json-patch+json',
      'application/merge-patch+json',
      'application/apply-patch+yaml',
    ]);
  }
  if (!isObject(patch) && patch !== null) {
    throw errBadRequest(`json: cannot unmarshal ${jsonTypeOf(patch)} into Go value of type map[string]interface {}`);
  }
  return mergeMap(cloneObject(object) as Json, cloneObject(patch ?? {}), node) as T;
}
