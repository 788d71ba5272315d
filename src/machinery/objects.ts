/**
 * Verbs on JSON data (objects, arrays, strings, numbers, bigints, booleans, null). Depth is bounded by the decoder, so
 * recursion here is too. A key `__proto__` is data like any other and never reaches a prototype.
 */
type Json = { [key: string]: unknown };

/** Sets an own property whatever its name. */
export function setOwn(target: Json, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else target[key] = value;
}

function clone(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const length = value.length;
    const copy = new Array<unknown>(length);
    for (let i = 0; i < length; i++) {
      const one: unknown = value[i];
      copy[i] = typeof one === 'object' && one !== null ? clone(one) : one;
    }
    return copy;
  }
  if (value instanceof Uint8Array) return value.slice();
  const copy: Json = {};
  for (const key in value) {
    const one = (value as Json)[key];
    const mine = typeof one === 'object' && one !== null ? clone(one) : one;
    if (key === '__proto__') setOwn(copy, key, mine);
    else copy[key] = mine;
  }
  return copy;
}

/** A deep copy that may be changed freely, of frozen or unfrozen JSON data. */
export function cloneObject<T>(object: T): T {
  return clone(object) as T;
}

/** Freezes it and all below; returns the same object. Parts already frozen are taken as frozen below too. */
export function deepFreeze<T>(object: T): T {
  if (typeof object === 'object' && object !== null && !Object.isFrozen(object) && !ArrayBuffer.isView(object)) {
    Object.freeze(object);
    if (Array.isArray(object)) for (let i = 0; i < object.length; i++) deepFreeze(object[i]);
    else for (const key in object) deepFreeze(object[key]);
  }
  return object;
}

/** Same JSON. A field that is undefined counts as absent; order of keys does not matter. */
export function deepEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    if (typeof a === 'bigint' || typeof b === 'bigint') {
      // biome-ignore lint: 5 and 5n are the same JSON
      return (
        (typeof a === 'number' || typeof a === 'bigint') && (typeof b === 'number' || typeof b === 'bigint') && a == b
      );
    }
    return false;
  }
  const isArray = Array.isArray(a);
  if (isArray !== Array.isArray(b)) return false;
  if (isArray) {
    const left = a as unknown[];
    const right = b as unknown[];
    if (left.length !== right.length) return false;
    for (let i = 0; i < left.length; i++) if (left[i] !== right[i] && !deepEqual(left[i], right[i])) return false;
    return true;
  }
  let extra = 0;
  for (const key in b) if ((b as Json)[key] !== undefined) extra++;
  for (const key in a) {
    const left = (a as Json)[key];
    if (left === undefined) continue;
    if (!Object.hasOwn(b, key)) return false;
    const right = (b as Json)[key];
    if (left !== right && !deepEqual(left, right)) return false;
    extra--;
  }
  return extra === 0;
}

/** True when JSON text nests deeper than `most`: to be asked before text of a user's is parsed inside an object. */
export function nestsDeeper(text: string, most: number): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === 0x5c) at++;
      else if (code === 0x22) quoted = false;
    } else if (code === 0x22) quoted = true;
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > most) return true;
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
  return false;
}

/** How deep JSON data nests and of how many values it consists; walked without recursion. */
export function extentOf(value: unknown): { readonly depth: number; readonly values: number } {
  let values = 0;
  let depth = 0;
  let layer: unknown[] = [value];
  while (layer.length > 0) {
    values += layer.length;
    const below: unknown[] = [];
    for (const one of layer) {
      if (typeof one !== 'object' || one === null) continue;
      if (Array.isArray(one)) for (const inner of one) below.push(inner);
      else for (const key in one) below.push((one as Json)[key]);
    }
    if (layer.some((one) => typeof one === 'object' && one !== null)) depth++;
    layer = below;
  }
  return { depth, values };
}
