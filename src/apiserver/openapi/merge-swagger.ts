import type { Json } from './style.ts';

/** What is taken over of another server's OpenAPI 2 document. */
export interface SwaggerPart {
  readonly paths: Json;
  readonly definitions: Json;
}

const definitionPrefix = '#/definitions/';
const parameterPrefix = '#/parameters/';

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const own = (object: Json, key: string): unknown => (Object.hasOwn(object, key) ? object[key] : undefined);

/**
 * The paths of a document below `roots` (`/apis/GROUP/VERSION`), with shared parameters written out, and the definitions that they refer
 * to. Throws where references lead nowhere.
 */
export function partOfSwagger(document: unknown, roots: readonly string[]): SwaggerPart {
  const whole = isObject(document) ? document : {};
  const parameters = own(whole, 'parameters');
  const definitions = own(whole, 'definitions');
  const all = own(whole, 'paths');
  if (!isObject(all) || (definitions !== undefined && !isObject(definitions)))
    throw new Error('it has no paths and definitions');
  const inline = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inline);
    if (!isObject(value)) return value;
    const reference = own(value, '$ref');
    if (typeof reference === 'string' && reference.startsWith(parameterPrefix)) {
      const found = isObject(parameters) ? own(parameters, reference.slice(parameterPrefix.length)) : undefined;
      if (!isObject(found)) throw new Error(`${reference} is not there`);
      return found;
    }
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, inline(one)]));
  };
  const paths = Object.fromEntries(
    Object.entries(all)
      .filter(([path, item]) => isObject(item) && roots.some((root) => path === root || path.startsWith(`${root}/`)))
      .map(([path, item]) => [path, inline(item)]),
  );
  const used = new Map<string, unknown>();
  const wanted = [...namesIn(paths)];
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (used.has(name)) continue;
    const definition = isObject(definitions) ? own(definitions, name) : undefined;
    if (!isObject(definition)) throw new Error(`${definitionPrefix}${name} is not there`);
    used.set(name, definition);
    wanted.push(...namesIn(definition));
  }
  return { paths, definitions: Object.fromEntries(used) };
}

/** Definitions that a piece of a document refers to. */
function namesIn(value: unknown, found: Set<string> = new Set()): Set<string> {
  if (Array.isArray(value)) for (const one of value) namesIn(one, found);
  else if (isObject(value))
    for (const [key, one] of Object.entries(value)) {
      if (key === '$ref' && typeof one === 'string') {
        if (one.startsWith(definitionPrefix)) found.add(one.slice(definitionPrefix.length));
      } else namesIn(one, found);
    }
  return found;
}

/**
 * Our document with the parts of others. Ours wins where paths are the same; a definition that has our name and another shape goes by
 * another name (`_v2`, `_v3` …), as upstream has it.
 */
export function mergeSwagger(base: Json, parts: readonly SwaggerPart[]): Json {
  if (parts.length === 0) return base;
  const paths = new Map(Object.entries(base.paths as Json));
  const definitions = new Map(Object.entries(base.definitions as Json));
  for (const part of parts) {
    const renamed = new Map<string, string>();
    for (const [name, definition] of Object.entries(part.definitions)) {
      const held = definitions.get(name);
      if (held === undefined || sameShape(held, definition)) continue;
      let other = `${name}_v2`;
      for (let n = 3; definitions.has(other) || Object.hasOwn(part.definitions, other); n++) other = `${name}_v${n}`;
      renamed.set(name, other);
    }
    for (const [name, definition] of Object.entries(part.definitions)) {
      const shown = renamed.get(name) ?? name;
      if (!definitions.has(shown)) definitions.set(shown, withNames(definition, renamed));
    }
    for (const [path, item] of Object.entries(part.paths))
      if (!paths.has(path)) paths.set(path, withNames(item, renamed));
  }
  const sorted = (map: Map<string, unknown>): Json => Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
  return { ...base, paths: sorted(paths), definitions: sorted(definitions) };
}

/** A copy whose references follow the new names. */
function withNames(value: unknown, renamed: ReadonlyMap<string, string>): unknown {
  if (renamed.size === 0) return value;
  if (Array.isArray(value)) return value.map((one) => withNames(one, renamed));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => {
      if (key !== '$ref' || typeof one !== 'string' || !one.startsWith(definitionPrefix))
        return [key, withNames(one, renamed)];
      const name = one.slice(definitionPrefix.length);
      return [key, `${definitionPrefix}${renamed.get(name) ?? name}`];
    }),
  );
}

/** What two servers may say differently of the same type. */
const incidental: ReadonlySet<string> = new Set(['description', 'default', 'x-kubernetes-group-version-kind']);

function sameShape(a: unknown, b: unknown): boolean {
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((one, i) => sameShape(one, b[i]));
  if (!isObject(a)) return a === b;
  if (!isObject(b)) return false;
  const keys = (object: Json): string[] => Object.keys(object).filter((key) => !incidental.has(key));
  const left = keys(a);
  return left.length === keys(b).length && left.every((key) => Object.hasOwn(b, key) && sameShape(a[key], b[key]));
}
