import type { AnyObject, ManagedFieldsEntry, SchemaNode, StatusCause } from '#api';
import { checkConfiguration } from './apply-check.ts';
import { type ApiError, errApplyConflict, errBadRequest } from './errors.ts';
import {
  changedFields,
  Duplicates,
  fieldsNamed,
  isComposite,
  itemLabel,
  itemsByLabel,
  removedFields,
  withoutIdentity,
} from './field-compare.ts';
import { pruned } from './field-prune.ts';
import {
  compareTexts,
  type FieldSet,
  intersect,
  memberPaths,
  sameSet,
  subtract,
  unite,
  withoutBelow,
} from './field-set.ts';
import { childShape, type Shape, shapeOf } from './field-shape.ts';
import { goQuote } from './go-text.ts';
import {
  fieldsOf,
  inOrder,
  isManager,
  type ManagerIdentity,
  managedEntry,
  trackUpdate,
  withFields,
  withoutEntries,
} from './managed-fields.ts';
import { lastApplied } from './last-applied.ts';
import { cloneObject, deepEqual, nestsDeeper, setOwn } from './objects.ts';
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
  /** What this way of writing sets back to what is stored: nobody comes to own it, nobody is in conflict over it. */
  readonly reset?: FieldSet | undefined;
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
  const { live, config: sent, manager, force, node, apiVersion, subresource = '', reset, nowMs } = application;
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
  const present = withoutBelow(fieldsNamed(config, node), reset);
  const named = withoutIdentity(present);

  const start = live === undefined ? { apiVersion, kind: config.kind, metadata: {} } : cloneObject(live);
  delete (start.metadata as Json)['managedFields'];
  const merged = mergeValue(start, config, shapeOf(node)) as AnyObject;
  const object =
    lastSet === undefined
      ? merged
      : (pruned({ merged, last: lastSet, present, others: ownedByAll(others), node }) as AnyObject);

  const moved = live === undefined || !deepEqual(withoutEntries(live), withoutEntries(object));
  const changed = live === undefined ? undefined : withoutBelow(changedFields(live, object, node), reset);
  const removed = live === undefined ? undefined : withoutBelow(removedFields(live, object, node), reset);
  if (!force)
    refuseConflicts(others, changed, live === undefined ? undefined : allowedByLastApplied(live, manager, node));

  if (!moved && sameSet(named, lastSet) && before === live?.metadata.managedFields) {
    if (last === undefined || last.apiVersion === apiVersion) {
      object.metadata.managedFields = before as ManagedFieldsEntry[];
      return { object };
    }
  }
  const entries: ManagedFieldsEntry[] = [];
  for (const entry of others) {
    const kept = subtract(subtract(fieldsOf(entry), changed), removed);
    if (kept !== undefined) entries.push(withFields(entry, kept));
  }
  if (named !== undefined) {
    const entry = managedEntry(who, named, moved ? nowMs : undefined);
    entries.push(moved || last?.time === undefined ? entry : { ...entry, time: last.time });
  }
  if (entries.length > 0) object.metadata.managedFields = inOrder(entries);
  return { object };
}

function ownedByAll(entries: readonly ManagedFieldsEntry[]): FieldSet | undefined {
  return entries.reduce<FieldSet | undefined>((set, one) => unite(set, fieldsOf(one)), undefined);
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

/**
 * Fields that `kubectl apply` without server side set last and that still are as it set them: taking those over is no conflict for kubectl.
 */
function allowedByLastApplied(live: AnyObject, manager: string, node: SchemaNode): FieldSet | undefined {
  if (manager !== 'kubectl') return undefined;
  const recorded = live.metadata.annotations?.[lastApplied];
  if (recorded === undefined || nestsDeeper(recorded, deepestRecorded)) return undefined;
  try {
    const config: unknown = JSON.parse(recorded);
    if (!isObject(config) || config['apiVersion'] !== live.apiVersion) return undefined;
    canonicalizeScalars(config, node);
    const differing = unite(changedFields(config, live, node), removedFields(config, live, node));
    return subtract(fieldsNamed(config, node), differing);
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
  const conflicts: { entry: ManagedFieldsEntry; path: string }[] = [];
  for (const entry of [...others].sort((a, b) => compareTexts(identifier(a), identifier(b)))) {
    const set = subtract(intersect(fieldsOf(entry), changed), allowed);
    for (const path of memberPaths(set)) conflicts.push({ entry, path });
  }
  if (conflicts.length > 0) throw conflictError(conflicts);
}

/** What upstream knows a manager by, and sorts them by. */
const identifier = ({ manager, operation, apiVersion, subresource }: ManagedFieldsEntry): string =>
  JSON.stringify({
    manager,
    operation,
    ...(operation === 'Apply' ? {} : { apiVersion }),
    ...((subresource ?? '') === '' ? {} : { subresource }),
  });

function managerText({ manager = '', operation, apiVersion, subresource = '' }: ManagedFieldsEntry): string {
  const name = subresource === '' ? goQuote(manager) : `${goQuote(manager)} with subresource ${goQuote(subresource)}`;
  return operation === 'Update' ? `${name} using ${apiVersion}` : name;
}

function conflictError(conflicts: readonly { entry: ManagedFieldsEntry; path: string }[]): ApiError {
  const causes: StatusCause[] = conflicts.map(({ entry, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${managerText(entry)}`,
    field: path,
  }));
  const [first] = conflicts;
  if (conflicts.length === 1 && first !== undefined) {
    const who = managerText(first.entry);
    return errApplyConflict(causes, `Apply failed with 1 conflict: conflict with ${who}: ${first.path}`);
  }
  const lines: string[] = [];
  let last: ManagedFieldsEntry | undefined;
  for (const { entry, path } of conflicts) {
    if (entry !== last) lines.push(`conflicts with ${managerText(entry)}:`);
    last = entry;
    lines.push(`- ${path}`);
  }
  return errApplyConflict(causes, `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`);
}

/** `config` over `live`, in place where live may be changed: whole values replaced, maps by key, associative lists by item. */
function mergeValue(live: unknown, config: unknown, shape: Shape): unknown {
  // Null says nothing about what is looked into.
  if (config === null && isComposite(live, shape)) return live;
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
    const merges = shape.kind === 'keyed' && isObject(previous) && !(previous instanceof Duplicates);
    result.push(merges ? mergeValue(previous, item, shape.element) : item);
    if (previous !== undefined && liveLabels[at] === label) at++;
  });
  for (; at < live.length; at++) if (!wanted.has(liveLabels[at])) result.push(live[at]);
  return result;
}
