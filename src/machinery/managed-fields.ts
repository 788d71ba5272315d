import type { AnyObject, ManagedFieldsEntry, SchemaNode } from '#api';
import { rfc3339 } from '#base';
import { changedFields, removedFields } from './field-compare.ts';
import { type FieldSet, subtract, unite } from './field-set.ts';
import { deepEqual, deepFreeze } from './objects.ts';
import { normalizeScalars } from './schema-defaults.ts';

export interface TrackedWrite {
  /** What is stored; undefined at creation. */
  readonly live: AnyObject | undefined;
  /** What will be stored: a draft whose metadata.managedFields is set. Defaulted and validated before. */
  readonly updated: AnyObject;
  readonly manager: string;
  /** Default Update. */
  readonly operation?: 'Update' | 'Apply';
  readonly node: SchemaNode;
  readonly apiVersion: string;
  readonly subresource?: string | undefined;
  readonly nowMs: number;
}

const mostUpdateManagers = 10;
const bucketManager = 'ancient-changes';

const baselines = new WeakMap<SchemaNode, object>();

/** The object of a kind that nobody has written anything into: what upstream encodes of a zero value. */
function baselineOf(node: SchemaNode): object {
  let baseline = baselines.get(node);
  if (baseline === undefined) {
    baseline = { metadata: {} };
    normalizeScalars(baseline, node);
    baselines.set(node, deepFreeze(baseline));
  }
  return baseline;
}

/** The field set of an entry; undefined when it has none or is of a kind we do not know. */
export function fieldsOf(entry: ManagedFieldsEntry): FieldSet | undefined {
  const fields = entry.fieldsV1 as FieldSet | undefined;
  if (fields === undefined || fields === null || (entry.fieldsType ?? 'FieldsV1') !== 'FieldsV1') return undefined;
  for (const label in fields) return label === undefined ? undefined : fields;
  return undefined;
}

export interface ManagerIdentity {
  readonly manager: string;
  readonly operation: 'Update' | 'Apply';
  readonly apiVersion: string;
  readonly subresource: string;
}

/** Appliers are one whatever the version they apply in; updaters are one a version. */
export function isManager(entry: ManagedFieldsEntry, who: ManagerIdentity): boolean {
  return (
    entry.manager === who.manager &&
    entry.operation === who.operation &&
    (entry.subresource ?? '') === who.subresource &&
    (who.operation === 'Apply' || entry.apiVersion === who.apiVersion)
  );
}

export function managedEntry(who: ManagerIdentity, fields: FieldSet, nowMs: number): ManagedFieldsEntry {
  return {
    manager: who.manager,
    operation: who.operation,
    apiVersion: who.apiVersion,
    time: rfc3339(nowMs),
    fieldsType: 'FieldsV1',
    fieldsV1: fields as Record<string, unknown>,
    ...(who.subresource === '' ? {} : { subresource: who.subresource }),
  };
}

/** The entries that a write starts from: a client may rewrite them through the main resource, or empty them with `[{}]`. */
function startingEntries(
  live: AnyObject | undefined,
  updated: AnyObject,
  subresource: string,
): readonly ManagedFieldsEntry[] | 'reset' {
  const given = updated.metadata.managedFields;
  const stored = live?.metadata.managedFields ?? [];
  if (subresource !== '' || !Array.isArray(given) || given === stored || given.length === 0) return stored;
  if (given.length === 1 && deepEqual(given[0], {})) return 'reset';
  const usable = given.every(
    (one) => (one?.operation === 'Update' || one?.operation === 'Apply') && typeof one.manager === 'string',
  );
  return usable ? given : stored;
}

/**
 * Keeps managedFields true through a plain write: fields that differ from `live` become the manager's and nobody else's,
 * fields that are gone are nobody's. Sets `updated.metadata.managedFields` and returns it. Without any difference the
 * entries, and their times, stay as they were.
 */
export function trackUpdate(write: TrackedWrite): readonly ManagedFieldsEntry[] {
  const { live, updated, manager, operation = 'Update', node, apiVersion, subresource = '', nowMs } = write;
  const start = startingEntries(live, updated, subresource);
  if (start === 'reset') return store(updated, []);
  const changed = changedFields(live ?? baselineOf(node), updated, node);
  const removed = live === undefined ? undefined : removedFields(live, updated, node);
  if (changed === undefined && removed === undefined) return store(updated, start);

  const who: ManagerIdentity = { manager, operation, apiVersion, subresource };
  const entries: ManagedFieldsEntry[] = [];
  let mine: FieldSet | undefined;
  for (const entry of start) {
    const before = fieldsOf(entry);
    const own = changed !== undefined && isManager(entry, who);
    const kept = subtract(own ? before : subtract(before, changed), removed);
    if (own) mine = kept;
    else if (kept !== undefined) entries.push(withFields(entry, kept));
  }
  if (changed !== undefined) entries.push(managedEntry(who, unite(mine, changed) as FieldSet, nowMs));
  return store(updated, inOrder(capUpdaters(entries)));
}

function store(updated: AnyObject, entries: readonly ManagedFieldsEntry[]): readonly ManagedFieldsEntry[] {
  if (entries.length > 0) updated.metadata.managedFields = entries as ManagedFieldsEntry[];
  else if (updated.metadata.managedFields !== undefined) delete updated.metadata.managedFields;
  return entries;
}

/** The entry with other fields; the same object when they are the same. */
export function withFields(entry: ManagedFieldsEntry, fields: FieldSet): ManagedFieldsEntry {
  return entry.fieldsV1 === fields ? entry : { ...entry, fieldsV1: fields as Record<string, unknown> };
}

const text = (value: string | undefined): string => value ?? '';
const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Appliers first, then by time and name, as upstream stores them. */
export function inOrder(entries: ManagedFieldsEntry[]): ManagedFieldsEntry[] {
  if (entries.length < 2) return entries;
  return entries.sort(
    (a, b) =>
      compareTexts(text(a.operation), text(b.operation)) ||
      compareTexts(text(a.time), text(b.time)) ||
      compareTexts(text(a.manager), text(b.manager)) ||
      compareTexts(text(a.apiVersion), text(b.apiVersion)) ||
      compareTexts(text(a.subresource), text(b.subresource)),
  );
}

/** At most ten updaters: the oldest of one version are merged into `ancient-changes`. */
export function capUpdaters(entries: ManagedFieldsEntry[]): ManagedFieldsEntry[] {
  let count = 0;
  for (const one of entries) if (one.operation === 'Update') count++;
  if (count <= mostUpdateManagers) return entries;
  const updaters = entries
    .filter((one) => one.operation === 'Update')
    .sort((a, b) => compareTexts(text(a.time), text(b.time)) || compareTexts(text(a.manager), text(b.manager)));
  const rest = new Set(entries);
  const firsts = new Map<string, ManagedFieldsEntry>();
  for (const updater of updaters) {
    if (count <= mostUpdateManagers) break;
    const version = text(updater.apiVersion);
    const first = firsts.get(version);
    if (first === undefined) {
      firsts.set(version, updater);
      continue;
    }
    const bucket: ManagedFieldsEntry = {
      manager: bucketManager,
      operation: 'Update',
      apiVersion: version,
      fieldsType: 'FieldsV1',
      fieldsV1: unite(fieldsOf(first), fieldsOf(updater)) as Record<string, unknown>,
      ...(updater.time === undefined ? {} : { time: updater.time }),
    };
    rest.delete(first);
    rest.delete(updater);
    rest.add(bucket);
    firsts.set(version, bucket);
    count--;
  }
  return [...rest];
}
