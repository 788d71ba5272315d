import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnyObject, SchemaNode } from '#api';
import { type Random, seededRandom } from '#base';
import { applyServerSide, cloneObject, trackUpdate } from './index.ts';

// Ownership as sets of paths, in the most naive way: objects are flattened, every rule is a set operation.

type Any = { [key: string]: any };
type Paths = ReadonlySet<string>;

const text: SchemaNode = { form: 'scalar', scalar: 'string' };
const number: SchemaNode = { form: 'scalar', scalar: 'int64' };
const listOf = (element: SchemaNode): SchemaNode => ({ form: 'list', element });
const mapOf = (element: SchemaNode): SchemaNode => ({ form: 'map', element });
function struct(fields: Record<string, SchemaNode | Any>): SchemaNode {
  const entry = (name: string, one: Any): [string, any] => [
    name,
    { name, numbers: [], required: false, pointer: false, ...('form' in one ? { node: one } : one) },
  ];
  return { form: 'struct', fields: new Map(Object.entries(fields).map(([name, one]) => entry(name, one))) };
}
const pair = struct({ a: text, b: text });
const port = struct({ port: number, protocol: { node: text, default: 'TCP' }, note: text });
const item = struct({
  name: text,
  v: text,
  inner: pair,
  args: listOf(text),
  ports: { node: listOf(port), listType: 'map', listMapKeys: ['port', 'protocol'] },
});
const root = struct({
  apiVersion: text,
  kind: text,
  metadata: struct({ name: text, labels: mapOf(text), finalizers: { node: listOf(text), listType: 'set' } }),
  status: pair,
  spec: struct({
    num: number,
    nested: struct({ a: text, inner: pair }),
    atom: { node: pair, structType: 'atomic' },
    map: mapOf(text),
    maps: mapOf(pair),
    set: { node: listOf(text), listType: 'set' },
    list: listOf(text),
    keyed: { node: listOf(item), listType: 'map', listMapKeys: ['name'] },
    free: { form: 'any' },
  }),
});

interface Field {
  readonly node: SchemaNode;
  readonly listType?: string;
  readonly structType?: string;
}
const free: Field = { node: { form: 'any' } };
const isObject = (value: unknown): value is Any => typeof value === 'object' && value !== null && !Array.isArray(value);
const separator = '\u0001';

/** The children of a value that is looked into: label, value, what the schema says, and whether the schema names it. */
function childrenOf(value: unknown, field: Field): [string, unknown, Field, boolean][] | undefined {
  const { node, listType, structType } = field;
  if (structType === 'atomic') return undefined;
  if (isObject(value)) {
    return Object.entries(value).map(([key, child]) => {
      const declared = node.form === 'struct' ? node.fields?.get(key) : undefined;
      const other = node.form === 'map' ? { node: node.element as SchemaNode } : free;
      return [`f:${key}`, child, declared ?? other, declared !== undefined];
    });
  }
  if (!Array.isArray(value) || listType === undefined) return undefined;
  const element = { node: node.element as SchemaNode };
  return value.map((one) => [labelOf(one, field), one, element, false]);
}

function labelOf(one: any, { node, listType }: Field): string {
  if (listType === 'set') return `v:${JSON.stringify(one)}`;
  const keys = node.element === port ? { port: one.port, protocol: one.protocol ?? 'TCP' } : { name: one.name };
  return `k:${JSON.stringify(keys)}`;
}

/** A value that is owned as one, as text; the order of its keys says nothing. */
const whole = (value: unknown): string =>
  JSON.stringify(value, (_, one) => (isObject(one) ? Object.fromEntries(Object.entries(one).sort()) : one));

/** Every path of an object: what stands there, `container` for what is looked into. */
function flat(value: unknown, field: Field = { node: root }, path = '', into = new Map<string, string>()) {
  const children = childrenOf(value, field);
  if (path !== '') into.set(path, children === undefined ? whole(value) : 'container');
  for (const [label, child, inner] of children ?? [])
    flat(child, inner, path === '' ? label : path + separator + label, into);
  return into;
}

/** What a configuration names: leaves, empty maps, items of lists and entries of maps; not the fields that only lead there. */
function named(value: unknown, field: Field = { node: root }, path = '', into = new Set<string>()): Set<string> {
  const children = childrenOf(value, field);
  if (children === undefined) into.add(path);
  for (const [label, child, inner, declared] of children ?? []) {
    const at = path === '' ? label : path + separator + label;
    if (!declared || (isObject(child) && Object.keys(child).length === 0)) into.add(at);
    named(child, inner, at, into);
  }
  return into;
}

/** With the declared fields that lead to a member. */
function withFields(paths: Paths): Set<string> {
  const result = new Set(paths);
  for (const path of paths) {
    const steps = path.split(separator);
    let field: Field | undefined = { node: root };
    for (let at = 0; at < steps.length - 1; at++) {
      const step = steps[at] as string;
      const declared: Field | undefined = step.startsWith('f:') ? field?.node.fields?.get(step.slice(2)) : undefined;
      if (declared !== undefined) result.add(steps.slice(0, at + 1).join(separator));
      field = declared ?? (field?.node.element === undefined ? undefined : { node: field.node.element });
    }
  }
  return result;
}

function compare(before: object, after: object): { changed: Set<string>; removed: Set<string> } {
  const [old, now] = [flat(before), flat(after)];
  const changed = new Set([...now].filter(([path, what]) => old.get(path) !== what).map(([path]) => path));
  return { changed: ours(changed), removed: ours(new Set([...old.keys()].filter((path) => !now.has(path)))) };
}

const nobodys = new Set(['f:apiVersion', 'f:kind', 'f:metadata', `f:metadata${separator}f:name`]);
const ours = (paths: Paths): Set<string> => paths.difference(nobodys);

/** Without what stands at the paths; what lost something this way stays, if only empty. */
function without(value: any, gone: Paths, field: Field = { node: root }, path = ''): any {
  const kept = (childrenOf(value, field) ?? [])
    .map(([label, child, inner]) => ({ label, child, inner, at: path === '' ? label : path + separator + label }))
    .filter(({ at }) => !gone.has(at))
    .map(({ label, child, inner, at }) => {
      const below = [...gone].some((one) => one.startsWith(at + separator));
      return [label.slice(2), below ? without(child, gone, inner, at) : child];
    });
  return Array.isArray(value) ? kept.map(([, child]) => child) : Object.fromEntries(kept);
}

/** Items of lists in the order of their labels: their own order is checked by `assertOrder`. */
function unordered(value: unknown, field: Field = { node: root }): unknown {
  const children = childrenOf(value, field);
  if (children === undefined) return value;
  const sorted = children.sort(([a], [b]) => (a < b ? -1 : 1));
  if (Array.isArray(value)) return sorted.map(([, child, inner]) => unordered(child, inner));
  return Object.fromEntries(sorted.map(([label, child, inner]) => [label, unordered(child, inner)]));
}

function merge(live: any, config: any, field: Field = { node: root }): any {
  const children = childrenOf(config, field);
  const old = childrenOf(live, field);
  if (children === undefined || old === undefined || Array.isArray(live) !== Array.isArray(config)) return config;
  const merged = new Map(old.map(([label, child]) => [label, child]));
  for (const [label, child, inner] of children) {
    merged.set(label, merged.has(label) ? merge(merged.get(label), child, inner) : child);
  }
  if (Array.isArray(config)) return [...merged.values()];
  return Object.fromEntries([...merged].map(([label, child]) => [label.slice(2), child]));
}

/** The model's state: an object and who owns which of its paths. */
class Model {
  live: Any | undefined;
  books = new Map<string, Set<string>>();

  update(manager: string, object: Any): void {
    const first = this.live === undefined;
    if (first || this.books.size > 0) {
      const { changed, removed } = compare(this.live ?? {}, object);
      this.#give(changed, removed, manager);
      const mine = (this.books.get(manager) ?? new Set()).difference(removed).union(changed);
      this.#set(manager, mine);
    }
    this.live = object;
  }

  /** The conflicts, none when it was applied. */
  apply(manager: string, config: Any, force: boolean): string[] {
    const before = new Map(this.books);
    if (this.live !== undefined && this.books.size === 0) {
      this.#set('before-first-apply', compare({}, this.live).changed);
    }
    const last = this.books.get(manager);
    const present = named(config);
    const owned = [...this.books].reduce<Set<string>>(
      (all, [who, paths]) => (who === manager ? all : all.union(paths)),
      present,
    );
    let result = merge(this.live ?? {}, config);
    if (last !== undefined) {
      const merged = result;
      const all = withFields(named(merged));
      const bare = without(merged, withFields(last));
      const back = without(merged, all.difference(withFields(named(bare)).union(withFields(owned))));
      result = without(merged, all.difference(withFields(named(back))).intersection(withFields(last)));
    }
    const { changed, removed } =
      this.live === undefined ? { changed: new Set<string>(), removed: new Set<string>() } : compare(this.live, result);
    const conflicts = [...this.books]
      .filter(([who]) => who !== manager)
      .flatMap(([who, paths]) => [...paths.intersection(changed)].map((path) => `${who} ${path}`));
    if (!force && conflicts.length > 0) {
      this.books = before;
      return conflicts;
    }
    this.#give(changed, removed, manager);
    this.#set(manager, ours(present));
    this.live = result;
    return [];
  }

  #give(changed: Paths, removed: Paths, manager: string): void {
    for (const [who, paths] of [...this.books]) {
      if (who !== manager) this.#set(who, paths.difference(changed).difference(removed));
    }
  }

  #set(who: string, paths: Set<string>): void {
    if (paths.size > 0) this.books.set(who, paths);
    else this.books.delete(who);
  }
}

class Maker {
  readonly #random: Random;
  constructor(random: Random) {
    this.#random = random;
  }
  pick<T>(values: readonly T[]): T {
    return values[this.#random.int(values.length)] as T;
  }
  chance(percent: number): boolean {
    return this.#random.int(100) < percent;
  }
  some<T>(values: readonly T[], percent = 45): T[] {
    const chosen: T[] = [];
    for (const one of values) if (this.chance(percent)) chosen.splice(this.#random.int(chosen.length + 1), 0, one);
    return chosen;
  }
  fields(percent: number, makers: Record<string, () => unknown>): Any {
    return Object.fromEntries(this.some(Object.keys(makers), percent).map((key) => [key, makers[key]?.()]));
  }
  word = (): string => this.pick(['1', '2', '3']);
  pair = (): Any => this.fields(50, { a: this.word, b: this.word });
  map = (make: () => unknown): Any => this.fields(40, { k: make, l: make, 'x/y': make });
  words = (): string[] => this.some(['p', 'q', 'w', 'z'], 35);
  ports = (): Any[] =>
    this.some([
      [80, 'TCP'],
      [80, 'UDP'],
      [81, 'TCP'],
    ] as const).map(([port, protocol]) => ({
      port,
      ...(protocol === 'TCP' && this.chance(50) ? {} : { protocol }),
      ...this.fields(50, { note: this.word }),
    }));
  items = (): Any[] =>
    this.some(['A', 'B', 'C', 'D']).map((name) => ({
      name,
      ...this.fields(40, { v: this.word, inner: this.pair, args: this.words, ports: this.ports }),
    }));
  free = (depth = 0): unknown =>
    depth > 2 || this.chance(50) ? this.pick(['1', 2, true, ['a'], [], {}]) : this.map(() => this.free(depth + 1));
  object(percent: number): Any {
    const spec = (): Any =>
      this.fields(percent, {
        num: () => this.#random.int(3),
        nested: () => this.fields(50, { a: this.word, inner: this.pair }),
        atom: this.pair,
        map: () => this.map(this.word),
        maps: () => this.map(this.pair),
        set: this.words,
        list: this.words,
        keyed: this.items,
        free: this.free,
      });
    const metadata = this.fields(percent, { labels: () => this.map(this.word), finalizers: this.words });
    const more = { ...(this.chance(90) ? { spec: spec() } : {}), ...(this.chance(20) ? { status: this.pair() } : {}) };
    return { apiVersion: 'v1', kind: 'X', metadata: { name: 'x', ...metadata }, ...more };
  }
}

/** Of every list of `config` its items stand in its order in `result`; what `live` had beside them keeps its own order. */
function assertOrder(live: unknown, config: unknown, result: unknown, field: Field = { node: root }): void {
  const labels = (value: unknown): string[] => (childrenOf(value, field) ?? []).map(([label]) => label);
  if (Array.isArray(config) && Array.isArray(result) && field.listType !== undefined) {
    const wanted = new Set(labels(config));
    assert.deepEqual(
      labels(result).filter((one) => wanted.has(one)),
      labels(config),
    );
    const others = labels(result).filter((one) => !wanted.has(one));
    assert.deepEqual(
      others,
      labels(live).filter((one) => others.includes(one)),
    );
  }
  for (const [label, child, inner] of childrenOf(config, field) ?? []) {
    const find = (value: unknown): unknown => childrenOf(value, field)?.find(([one]) => one === label)?.[1];
    assertOrder(find(live), child, find(result), inner);
  }
}

function pathsOf(set: Any, path = '', into = new Set<string>()): Set<string> {
  for (const [label, below] of Object.entries(set)) {
    if (label === '.') continue;
    const at = path === '' ? label : path + separator + label;
    if (Object.keys(below).length === 0 || '.' in below) into.add(at);
    pathsOf(below, at, into);
  }
  return into;
}

const sorted = (paths: Iterable<string>): string[] => [...paths].sort();

test('who owns what after any applies and updates is what sets of paths say', () => {
  const counts = { applied: 0, updated: 0, conflicts: 0, forced: 0 };
  for (let seed = 1; seed <= 700; seed++) {
    const maker = new Maker(seededRandom(seed));
    const model = new Model();
    let live: AnyObject | undefined;
    for (let step = 0; step < 8; step++) {
      const object = maker.object(maker.pick([20, 50]));
      const applies = maker.chance(60);
      const manager = `${applies ? 'applier' : 'updater'}-${maker.pick(['1', '2', '3'])}`;
      const force = maker.chance(50);
      const context = `seed ${seed}, step ${step}: ${manager} ${force} ${JSON.stringify(object)}\nlive ${JSON.stringify(live)}`;
      const common = { node: root, apiVersion: 'v1', nowMs: step * 1000, manager };
      if (applies) {
        const conflicts = model.apply(manager, object, force);
        const apply = (): AnyObject => applyServerSide({ ...common, live, config: object as AnyObject, force }).object;
        if (conflicts.length > 0) {
          counts.conflicts++;
          assert.throws(apply, (error: Any) => {
            assert.equal(error['code'], 409, context);
            assert.equal(error['status'].details.causes.length, conflicts.length, context);
            return true;
          });
          continue;
        }
        const given = JSON.stringify([live, object]);
        const result = apply();
        assert.equal(JSON.stringify([live, object]), given, `changed what it was given: ${context}`);
        assertOrder(live, object, result);
        live = result;
        counts[force ? 'forced' : 'applied']++;
      } else {
        model.update(manager, object);
        const updated = cloneObject(object) as AnyObject;
        trackUpdate({ ...common, live, updated });
        live = updated;
        counts.updated++;
      }
      const { managedFields = [], ...metadata } = live.metadata;
      assert.deepEqual(unordered({ ...live, metadata }), unordered(model.live), context);
      const books = managedFields.map((one) => [one.manager, sorted(pathsOf(one.fieldsV1 as Any))]);
      const wanted = [...model.books].map(([who, paths]) => [who, sorted(paths)]);
      assert.deepEqual(Object.fromEntries(books), Object.fromEntries(wanted), context);
    }
  }
  for (const [what, count] of Object.entries(counts)) assert.ok(count > 200, `${what}: only ${count}`);
});
