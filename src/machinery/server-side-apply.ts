import type { AnyObject, ManagedFieldsEntry, SchemaNode, StatusCause } from '#api';
import { checkConfiguration } from './apply-check.ts';
import { type ApiError, errApplyConflict, errBadRequest } from './errors.ts';
import {
  changedFields,
  fieldsNamed,
  itemLabel,
  itemsByLabel,
  removedFields,
  withoutIdentity,
} from './field-compare.ts';
import { type FieldSet, intersect, isMember, memberPaths, sameSet, subtract, unite } from './field-set.ts';
import { deduced, type Shape, shapeOf } from './field-shape.ts';
import { goQuote } from './go-text.ts';
import {
  capUpdaters,
  fieldsOf,
  inOrder,
  isManager,
  type ManagerIdentity,
  managedEntry,
  trackUpdate,
  withFields,
} from './managed-fields.ts';
import { cloneObject, nestsDeeper, setOwn } from './objects.ts';
import { canonicalizeScalars } from './schema-defaults.ts';

type Json = Record<string, unknown>;

export interface Application {
  /** What is stored; undefined when applying creates the object. */
  readonly live: AnyObject | undefined;
  /** What the applier wants, as sent. */
  readonly config: AnyObject;
  readonly manager: string;
  /** Take fields that others own instead of failing. */
  readonly force: boolean;
  readonly node: SchemaNode;
  readonly apiVersion: string;
  readonly subresource?: string | undefined;
  readonly nowMs: number;
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Server-side apply: merges the configuration into the live object, removes what this applier named before and nobody names
 * now, and keeps the books. Returns a new draft with its managedFields; without any effect it equals `live`, times included.
 * Throws ApiError 409 with a cause a field when others own what the configuration changes, 400 for one that does not fit.
 */
export function applyServerSide(application: Application): { object: AnyObject } {
  const { live, config: sent, manager, force, node, apiVersion, subresource = '', nowMs } = application;
  if (sent.apiVersion !== apiVersion) {
    throw errBadRequest(
      `Incorrect version specified in apply patch. Specified patch version: ${sent.apiVersion}, expected: ${apiVersion}`,
    );
  }
  if (sent.metadata?.managedFields !== undefined && sent.metadata.managedFields !== null) {
    throw errBadRequest('metadata.managedFields must be nil');
  }
  checkConfiguration(sent, node);
  const config = cloneObject(sent);
  canonicalizeScalars(config, node);

  const who: ManagerIdentity = { manager, operation: 'Apply', apiVersion, subresource };
  const before = entriesBefore(live, node, apiVersion, nowMs);
  const last = before.find((one) => isManager(one, who));
  const lastSet = last === undefined ? undefined : fieldsOf(last);
  const others = before.filter((one) => one !== last);
  const present = fieldsNamed(config, node);
  const named = withoutIdentity(present);

  const start = live === undefined ? { apiVersion, kind: config.kind, metadata: {} } : cloneObject(live);
  delete (start.metadata as Json)['managedFields'];
  const object = mergeValue(start, config, shapeOf(node)) as AnyObject;
  if (lastSet !== undefined) {
    const owned = others.reduce((set, one) => unite(set, fieldsOf(one)), present);
    prune(object, lastSet, owned, shapeOf(node));
  }

  const base = live ?? start;
  const changed = live === undefined ? undefined : changedFields(base, object, node);
  const removed = live === undefined ? undefined : removedFields(base, object, node);
  if (!force) refuseConflicts(others, changed, allowedByLastApplied(live, manager, node));

  const unmoved = changed === undefined && removed === undefined && sameSet(named, lastSet) && live !== undefined;
  if (unmoved && (last === undefined || last.apiVersion === apiVersion)) {
    if (live.metadata.managedFields !== undefined) object.metadata.managedFields = live.metadata.managedFields;
    return { object };
  }
  const entries: ManagedFieldsEntry[] = [];
  for (const entry of others) {
    const kept = subtract(subtract(fieldsOf(entry), changed), removed);
    if (kept !== undefined) entries.push(withFields(entry, kept));
  }
  if (named !== undefined) entries.push(managedEntry(who, named, nowMs));
  if (entries.length > 0) object.metadata.managedFields = inOrder(capUpdaters(entries));
  return { object };
}

/** An object from before anyone kept books: all it has belongs to `before-first-apply`. */
function entriesBefore(
  live: AnyObject | undefined,
  node: SchemaNode,
  apiVersion: string,
  nowMs: number,
): readonly ManagedFieldsEntry[] {
  if (live === undefined) return [];
  const stored = live.metadata.managedFields ?? [];
  if (stored.length > 0) return stored;
  const draft = cloneObject(live);
  return trackUpdate({ live: undefined, updated: draft, manager: 'before-first-apply', node, apiVersion, nowMs });
}

const deepestRecorded = 1000;

/** Fields that `kubectl apply` without server side set last: taking those over is no conflict for kubectl. */
function allowedByLastApplied(live: AnyObject | undefined, manager: string, node: SchemaNode): FieldSet | undefined {
  if (manager !== 'kubectl') return undefined;
  const recorded = live?.metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration'];
  if (recorded === undefined || nestsDeeper(recorded, deepestRecorded)) return undefined;
  try {
    const config: unknown = JSON.parse(recorded);
    return isObject(config) && config['apiVersion'] === live?.apiVersion ? fieldsNamed(config, node) : undefined;
  } catch {
    return undefined;
  }
}

function refuseConflicts(
  others: readonly ManagedFieldsEntry[],
  changed: FieldSet | undefined,
  allowed: FieldSet | undefined,
): void {
  if (changed === undefined) return;
  const conflicts: { who: string; path: string }[] = [];
  let all: FieldSet | undefined;
  for (const entry of others) {
    const set = intersect(fieldsOf(entry), changed);
    if (set === undefined) continue;
    all = unite(all, set);
    for (const path of memberPaths(set)) conflicts.push({ who: managerText(entry), path });
  }
  if (conflicts.length === 0 || (allowed !== undefined && subtract(all, allowed) === undefined)) return;
  throw conflictError(conflicts);
}

function managerText({ manager = '', operation, apiVersion, subresource = '' }: ManagedFieldsEntry): string {
  const name = subresource === '' ? goQuote(manager) : `${goQuote(manager)} with subresource ${goQuote(subresource)}`;
  return operation === 'Update' ? `${name} using ${apiVersion}` : name;
}

function conflictError(conflicts: readonly { who: string; path: string }[]): ApiError {
  const causes: StatusCause[] = conflicts.map(({ who, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${who}`,
    field: path,
  }));
  const [first] = conflicts;
  if (conflicts.length === 1 && first !== undefined) {
    return errApplyConflict(causes, `Apply failed with 1 conflict: conflict with ${first.who}: ${first.path}`);
  }
  const lines: string[] = [];
  for (const manager of [...new Set(conflicts.map((one) => one.who))].sort()) {
    lines.push(`conflicts with ${manager}`);
    for (const { who, path } of conflicts) if (who === manager) lines.push(`- ${path}`);
  }
  return errApplyConflict(causes, `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`);
}

const childShape = (shape: Shape, key: string): Shape =>
  shape.kind === 'struct' ? (shape.field(key)?.shape ?? deduced) : shape.kind === 'map' ? shape.element : deduced;

/** `config` over `live`, in place where live may be changed: whole values replaced, maps by key, associative lists by item. */
function mergeValue(live: unknown, config: unknown, shape: Shape): unknown {
  switch (shape.kind) {
    case 'struct':
    case 'map':
    case 'deduced':
      if (!isObject(live) || !isObject(config)) return config;
      for (const key in config) {
        const old = Object.hasOwn(live, key) ? live[key] : undefined;
        setOwn(live, key, mergeValue(old, config[key], childShape(shape, key)));
      }
      return live;
    case 'set':
    case 'keyed':
      return Array.isArray(live) && Array.isArray(config) ? mergeItems(live, config, shape) : config;
    default:
      return config;
  }
}

/** The configuration's order, with items that only the live list has kept before the next one that both have. */
function mergeItems(live: unknown[], config: unknown[], shape: Shape): unknown[] {
  const old = itemsByLabel(live, shape);
  const labels = config.map((one) => itemLabel(one, shape));
  const wanted = new Set(labels);
  const liveLabels = live.map((one) => itemLabel(one, shape));
  const result: unknown[] = [];
  let at = 0;
  let next = 0;
  config.forEach((item, index) => {
    next = Math.max(next, index);
    while (next < labels.length && !old.has(labels[next] as string)) next++;
    const nextShared = next < labels.length ? labels[next] : undefined;
    for (; at < live.length && (nextShared === undefined || liveLabels[at] !== nextShared); at++) {
      if (!wanted.has(liveLabels[at])) result.push(live[at]);
    }
    const label = labels[index];
    const previous = label === undefined ? undefined : old.get(label);
    result.push(shape.kind === 'keyed' && isObject(previous) ? mergeValue(previous, item, shape.element) : item);
    if (previous !== undefined && liveLabels[at] === label) at++;
  });
  for (; at < live.length; at++) if (!wanted.has(liveLabels[at])) result.push(live[at]);
  return result;
}

/** Removes, in place, items of `last` that are not in `owned`. */
function prune(value: unknown, last: FieldSet, owned: FieldSet | undefined, shape: Shape): void {
  if (Array.isArray(value)) {
    if (shape.kind !== 'set' && shape.kind !== 'keyed') return;
    const kept = value.filter((item) => {
      const label = itemLabel(item, shape);
      const was = label === undefined ? undefined : last[label];
      if (label === undefined || was === undefined) return true;
      const now = owned?.[label];
      if (isMember(was) && (now === undefined || !isMember(now))) return false;
      prune(item, was, now, shape.element);
      return true;
    });
    value.length = 0;
    for (const item of kept) value.push(item);
    return;
  }
  if (!isObject(value)) return;
  for (const label in last) {
    if (!label.startsWith('f:')) continue;
    const key = label.slice(2);
    if (!Object.hasOwn(value, key)) continue;
    const was = last[label] as FieldSet;
    const now = owned?.[label];
    const named = shape.kind === 'struct' && shape.field(key) !== undefined;
    const wasThere = named || isMember(was);
    const isThere = now !== undefined && (named || isMember(now));
    if (wasThere && !isThere) delete value[key];
    else prune(value[key], was, now, childShape(shape, key));
  }
}
