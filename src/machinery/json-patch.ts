import { ApiError, errBadRequest, errStatus, errTooLarge } from './errors.ts';
import { goQuote, jsonTypeOf } from './go-text.ts';
import { cloneObject, deepEqual, extentOf, setOwn } from './objects.ts';

const mostOperations = 10_000;
const mostCopiedBytes = 3 * 1024 * 1024;
/** As the decoder's: walks of the result recurse. */
const mostDepth = 1000;
/** Items that operations push along in arrays, and values that moves look at: with ten thousand operations this bounds the time. */
const mostTouched = 50_000_000;

type Container = Record<string, unknown> | unknown[];

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

/** 422 in upstream's words, which name no reason: that is for whoever catches the error, as its cause. */
function refused(why: string): ApiError {
  const error = errStatus(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
  error.cause = why;
  return error;
}

function decode(operations: unknown): Operation[] {
  if (!Array.isArray(operations)) {
    throw errBadRequest(
      `error decoding patch: json: cannot unmarshal ${jsonTypeOf(operations)} into Go value of type []handlers.jsonPatchOp`,
    );
  }
  if (operations.length > mostOperations) {
    throw errTooLarge(`The allowed maximum operations in a JSON patch is ${mostOperations}, got ${operations.length}`);
  }
  return operations.map((one: unknown) => {
    if (typeof one !== 'object' || one === null || Array.isArray(one)) {
      throw errBadRequest(
        `error decoding patch: json: cannot unmarshal ${jsonTypeOf(one)} into Go value of type handlers.jsonPatchOp`,
      );
    }
    return one as Operation;
  });
}

function pointer(path: unknown): string[] {
  if (typeof path !== 'string') throw refused('operation lacks a path');
  if (path === '') return [];
  if (!path.startsWith('/')) throw refused(`path ${goQuote(path)} does not start with /`);
  return path
    .slice(1)
    .split('/')
    .map((step) => step.replace(/~1/g, '/').replace(/~0/g, '~'));
}

const isContainer = (value: unknown): value is Container => typeof value === 'object' && value !== null;

/** Where a step points among `last` + 1 places; below zero it counts from behind, as upstream's library does. */
function index(step: string, length: number, last: number): number {
  if (!/^[+-]?[0-9]{1,15}$/.test(step)) throw refused(`array index ${goQuote(step)} is not a number`);
  const named = Number(step);
  const at = named < 0 ? named + last + 1 : named;
  if (at < 0 || at > last) throw refused(`array index ${at} is out of range of ${length} items`);
  return at;
}

function read(container: Container, step: string, op: string, path: string): unknown {
  if (Array.isArray(container)) return container[index(step, container.length, container.length - 1)];
  if (!Object.hasOwn(container, step)) throw refused(`${op} operation does not apply: doc is missing key: ${path}`);
  return container[step];
}

/** The document of one patch run: operations change it in place. */
class Document {
  root: unknown;
  #copiedBytes = 0;
  #touched = 0;

  constructor(root: unknown) {
    this.root = root;
  }

  apply({ op, path, from, value }: Operation): void {
    switch (op) {
      case 'add':
        return this.#add(path, cloneObject(value ?? null));
      case 'remove':
        this.#remove(path, op);
        return;
      case 'replace':
        return this.#replace(path, cloneObject(value ?? null));
      case 'move': {
        const steps = pointer(path);
        const source = pointer(from);
        if (steps.length > source.length && source.every((step, at) => step === steps[at])) {
          throw refused('a value cannot be moved into itself');
        }
        const value = this.#remove(from as string, op);
        return steps.length > source.length ? this.#add(path, value) : this.#put(path, value);
      }
      case 'copy': {
        const source = pointer(from);
        const within = this.#get(source.slice(0, -1), op, from as string);
        const last = source.at(-1);
        const isMissing =
          last !== undefined && isContainer(within) && !Array.isArray(within) && !Object.hasOwn(within, last);
        // As upstream's library: what is not there is copied as null.
        const copied = isMissing ? null : this.#get(source, op, from as string);
        this.#copiedBytes += JSON.stringify(copied)?.length ?? 0;
        if (this.#copiedBytes > mostCopiedBytes) {
          throw refused(
            `Unable to copy, the accumulated size increase of copy is ${this.#copiedBytes}, exceeding the limit ${mostCopiedBytes}`,
          );
        }
        return this.#add(path, cloneObject(copied));
      }
      case 'test': {
        const steps = pointer(path);
        const actual = value === null || value === undefined ? this.#find(steps) : this.#get(steps, op, path);
        if (!deepEqual(actual ?? null, value ?? null)) throw refused(`testing value ${path} failed`);
        return;
      }
      default:
        throw refused(`Unexpected kind: ${op}`);
    }
  }

  #get(steps: readonly string[], op: string, path: string): unknown {
    let at = this.root;
    for (const step of steps) {
      if (!isContainer(at)) throw refused(`${op} operation does not apply: doc is missing path: ${path}`);
      at = read(at, step, op, path);
    }
    return at;
  }

  #find(steps: readonly string[]): unknown {
    let at = this.root;
    for (const step of steps) {
      if (!isContainer(at) || !Object.hasOwn(at, step)) return undefined;
      at = (at as Record<string, unknown>)[step];
    }
    return at;
  }

  #parent(path: string, op: string): { container: Container; step: string } {
    const steps = pointer(path);
    const step = steps.pop() as string;
    const container = this.#get(steps, op, path);
    if (!isContainer(container)) throw refused(`${op} operation does not apply: doc is missing path: ${path}`);
    return { container, step };
  }

  /** Puts a value in, unless the document would become too deep. */
  #add(path: string, value: unknown): void {
    const { depth, values } = extentOf(value);
    if (depth + pointer(path).length > mostDepth) throw refused(`the document would nest deeper than ${mostDepth}`);
    this.#touch(values);
    this.#put(path, value);
  }

  #touch(values: number): void {
    this.#touched += values;
    if (this.#touched > mostTouched) throw refused('the operations together move too many values');
  }

  #put(path: string, value: unknown): void {
    if (path === '') {
      this.root = value;
      return;
    }
    const { container, step } = this.#parent(path, 'add');
    if (!Array.isArray(container)) setOwn(container, step, value);
    else if (step === '-') container.push(value);
    else {
      const at = index(step, container.length, container.length);
      this.#touch(container.length - at);
      container.splice(at, 0, value);
    }
  }

  #replace(path: string, value: unknown): void {
    if (extentOf(value).depth + pointer(path).length > mostDepth)
      throw refused(`the document would nest deeper than ${mostDepth}`);
    if (path === '') {
      this.root = value;
      return;
    }
    // As upstream's library: what an object does not have yet is added.
    const { container, step } = this.#parent(path, 'replace');
    if (Array.isArray(container)) container[index(step, container.length, container.length - 1)] = value;
    else setOwn(container, step, value);
  }

  #remove(path: string, op: string): unknown {
    if (path === '') throw refused('the whole document cannot be removed');
    const { container, step } = this.#parent(path, op);
    const old = read(container, step, op, path);
    if (Array.isArray(container)) {
      const at = index(step, container.length, container.length - 1);
      this.#touch(container.length - at);
      container.splice(at, 1);
    } else delete container[step];
    return old;
  }
}

/**
 * RFC 6902 on a copy. Throws ApiError: 400 for a patch that is none, 413 above 10,000 operations, 422 for one that does not
 * apply or whose copies add up to more than 3 MiB.
 */
export function applyJsonPatch<T>(object: T, operations: unknown): T {
  const list = decode(operations);
  const document = new Document(cloneObject(object));
  for (const one of list) document.apply(one);
  if (!isContainer(document.root) || Array.isArray(document.root))
    throw refused('the patched document is not an object');
  return document.root as T;
}
