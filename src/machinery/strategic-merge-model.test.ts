import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinSchema } from '#api';
import { type Random, seededRandom } from '#base';
import { applyStrategicMergePatch, cloneObject } from './index.ts';

type Any = { [key: string]: any };

const deployment = builtinSchema.type('apps/v1.Deployment');
/** What the model knows of a Deployment: the lists that merge, with their keys ('' for lists of values). All others are replaced. */
const mergeKeys = new Map([
  ['containers', 'name'],
  ['volumes', 'name'],
  ['env', 'name'],
  ['ports', 'containerPort'],
  ['ownerReferences', 'uid'],
  ['imagePullSecrets', 'name'],
  ['finalizers', ''],
]);

const isObject = (value: unknown): value is Any => typeof value === 'object' && value !== null && !Array.isArray(value);
const directives = (patch: Any, prefix: string): Any =>
  Object.fromEntries(
    Object.entries(patch)
      .filter(([key]) => key.startsWith(`${prefix}/`))
      .map(([key, value]) => [key.slice(prefix.length + 1), value]),
  );

/** What of a patch value stays where nothing was. */
function clean(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((one) => !isObject(one) || !('$patch' in one)).map(clean);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, one]) => !key.startsWith('$') && one !== null && !(isObject(one) && '$patch' in one))
      .map(([key, one]) => [key, clean(one)]),
  );
}

function model(object: Any, patch: Any): Any {
  if (patch['$patch'] === 'delete') return {};
  if (patch['$patch'] === 'replace') return clean({ ...patch, $patch: undefined }) as Any;
  let result: Any = { ...object };
  if (patch['$retainKeys'] !== undefined) {
    result = Object.fromEntries(Object.entries(result).filter(([key]) => patch['$retainKeys'].includes(key)));
  }
  const orders = directives(patch, '$setElementOrder');
  for (const [key, values] of Object.entries(directives(patch, '$deleteFromPrimitiveList'))) {
    if (result[key] !== undefined) result[key] = result[key].filter((one: unknown) => !values.includes(one));
  }
  for (const key of new Set([...Object.keys(patch), ...Object.keys(orders)])) {
    if (key.startsWith('$')) continue;
    const [before, value] = [result[key], patch[key]];
    if (value === null) delete result[key];
    else if (Array.isArray(before) && mergeKeys.has(key)) {
      result[key] = mergedList(before, value, mergeKeys.get(key) as string, orders[key]);
    } else if (value === undefined) continue;
    else if (isObject(before) && isObject(value)) result[key] = model(before, value);
    else if (isObject(value) && '$patch' in value) delete result[key];
    else result[key] = clean(value);
  }
  return result;
}

function mergedList(before: any[], patch: any[] | undefined, key: string, order: any[] | undefined): any[] {
  const nameOf = (one: any): unknown => (key === '' ? one : one[key]);
  let list = [...before];
  if (patch !== undefined) {
    const plain = patch.filter((one) => key === '' || !('$patch' in one));
    if (patch.some((one) => one?.$patch === 'replace')) list = plain.map(clean);
    else {
      const gone = patch.filter((one) => one?.$patch === 'delete').map(nameOf);
      list = list.filter((one) => !gone.includes(nameOf(one)));
      for (const one of plain) {
        const at = list.findIndex((other) => nameOf(other) === nameOf(one));
        if (at < 0) list.push(clean(one));
        else list[at] = key === '' ? one : model(list[at], one);
      }
      list = arranged(list, before.map(nameOf), plain.map(nameOf), nameOf);
    }
  }
  return order === undefined ? list : arranged(list, before.map(nameOf), order.map(nameOf), nameOf);
}

/** The wanted items as wanted; each other one goes before the first of them that stood behind it, but behind the other before it. */
function arranged(list: any[], former: unknown[], wanted: unknown[], nameOf: (one: any) => unknown): any[] {
  const ordered = (names: unknown[], items: any[]): any[] =>
    [...new Set(names)].flatMap((name) => items.filter((one) => nameOf(one) === name));
  const result = ordered(wanted, list);
  let from = 0;
  for (const one of ordered([...former, ...list.map(nameOf)], list)) {
    if (wanted.includes(nameOf(one))) continue;
    const was = former.indexOf(nameOf(one));
    const behind = (other: any): boolean => was >= 0 && former.indexOf(nameOf(other)) > was;
    const at = result.findIndex((other, index) => index >= from && behind(other));
    result.splice(at < 0 ? result.length : at, 0, one);
    from = (at < 0 ? result.length - 1 : at) + 1;
  }
  return result;
}

/** Random Deployments and the patches that clients might send, directives included. */
class Maker {
  readonly #random: Random;
  constructor(random: Random) {
    this.#random = random;
  }
  chance(percent: number): boolean {
    return this.#random.int(100) < percent;
  }
  pick<T>(values: readonly T[]): T {
    return values[this.#random.int(values.length)] as T;
  }
  some<T>(values: readonly T[], percent = 50): T[] {
    const chosen: T[] = [];
    for (const one of values) if (this.chance(percent)) chosen.splice(this.#random.int(chosen.length + 1), 0, one);
    return chosen;
  }
  map(patch: boolean): Any {
    const map: Any = {};
    for (const key of this.some(['k', 'l', 'm'])) map[key] = patch && this.chance(25) ? null : this.pick(['1', '2']);
    if (patch && this.chance(8)) map['$patch'] = this.pick(['replace', 'delete']);
    return map;
  }
  keyed(target: Any, patch: boolean, field: string, names: unknown[], fill: (item: Any) => void): void {
    const key = mergeKeys.get(field) as string;
    const order = patch && this.chance(25) ? this.some(names, 70) : undefined;
    if (order !== undefined) target[`$setElementOrder/${field}`] = order.map((name) => ({ [key]: name }));
    if (this.chance(40)) return;
    const chosen = this.some(names).filter((name) => order === undefined || order.includes(name));
    if (order !== undefined) chosen.sort((a, b) => order.indexOf(a) - order.indexOf(b));
    const items = chosen.map((name) => {
      const item: Any = { [key]: name };
      if (patch && this.chance(15)) item['$patch'] = 'delete';
      else fill(item);
      return item;
    });
    if (patch && order === undefined && this.chance(6)) items.push({ $patch: 'replace' });
    // Ports may share a number where their protocols differ.
    if (!patch && field === 'ports' && this.chance(20) && items.length > 0)
      items.push({ ...items[0], protocol: 'SCTP' });
    if (items.length > 0 || order === undefined) target[field] = items;
  }
  container(item: Any, patch: boolean): void {
    if (this.chance(60)) item['image'] = patch && this.chance(15) ? null : this.pick(['x', 'y']);
    if (this.chance(40)) item['args'] = this.some(['a', 'b', 'c']);
    this.keyed(item, patch, 'env', ['A', 'B', 'C'], (env) => {
      if (this.chance(70)) env['value'] = patch && this.chance(15) ? null : this.pick(['1', '2']);
    });
    this.keyed(item, patch, 'ports', [80, 81, 82], (port) => {
      if (this.chance(50)) port['protocol'] = this.pick(['TCP', 'UDP']);
    });
    if (this.chance(30)) item['resources'] = { limits: this.map(patch) };
  }
  deployment(patch: boolean): Any {
    const metadata: Any = {};
    if (this.chance(50)) metadata['labels'] = patch && this.chance(10) ? null : this.map(patch);
    this.keyed(metadata, patch, 'ownerReferences', ['u', 'v'], (one) => (one['name'] = this.pick(['1', '2'])));
    const gone = patch && this.chance(20) ? this.some(['a/1', 'a/2']) : [];
    if (gone.length > 0) metadata['$deleteFromPrimitiveList/finalizers'] = gone;
    if (this.chance(50)) metadata['finalizers'] = this.some(['a/1', 'a/2', 'a/3'].filter((one) => !gone.includes(one)));
    const pod: Any = {};
    this.keyed(pod, patch, 'containers', ['a', 'b', 'c', 'd'], (one) => this.container(one, patch));
    this.keyed(pod, patch, 'volumes', ['v', 'w'], (one) => {
      const source = this.pick(['emptyDir', 'configMap']);
      one[source] = source === 'emptyDir' ? {} : { name: this.pick(['1', '2']) };
      if (patch && this.chance(50)) one['$retainKeys'] = ['name', source];
    });
    this.keyed(pod, patch, 'imagePullSecrets', ['p', 'q'], () => {});
    if (this.chance(30)) pod['tolerations'] = this.some([{ key: 'x' }, { key: 'y' }]);
    if (this.chance(30)) pod['nodeSelector'] = this.map(patch);
    const spec: Any = { template: { spec: pod } };
    if (this.chance(30)) spec['replicas'] = patch && this.chance(20) ? null : this.#random.int(3);
    if (this.chance(40)) {
      spec['strategy'] = { type: this.pick(['Recreate', 'RollingUpdate']) };
      if (patch && this.chance(50)) spec['strategy'].$retainKeys = ['type'];
      else if (this.chance(50)) spec['strategy'].rollingUpdate = { maxSurge: this.#random.int(3) };
    }
    return { metadata, spec };
  }
}

const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(canonical);
  if (!isObject(value)) return value;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, one]) => [key, canonical(one)]));
};

test('strategic merge patch is what a plain reading of its rules makes of it', () => {
  let changed = 0;
  for (let seed = 1; seed <= 3000; seed++) {
    const maker = new Maker(seededRandom(seed));
    const object = maker.deployment(false);
    const patch = maker.deployment(true);
    const context = (): string => `seed ${seed}\n${JSON.stringify(object)}\n${JSON.stringify(patch)}`;
    const [givenObject, givenPatch] = [cloneObject(object), cloneObject(patch)];
    const result = applyStrategicMergePatch(object, patch, deployment);
    assert.deepEqual([object, patch], [givenObject, givenPatch], `changed what it was given: ${context()}`);
    assert.deepEqual(canonical(result), canonical(model(object, patch)), context());
    if (JSON.stringify(canonical(result)) !== JSON.stringify(canonical(object))) changed++;
  }
  assert.ok(changed > 2000, `only ${changed} patches had an effect`);
});
