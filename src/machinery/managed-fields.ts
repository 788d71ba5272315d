import type { AnyObject, ManagedFieldsEntry, SchemaNode } from '#api';
import { rfc3339 } from '#base';
import { changedFields, removedFields } from './field-compare.ts';
import { compareTexts, type FieldSet, subtract, unite, withoutBelow } from './field-set.ts';
import { goQuote } from './go-text.ts';
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
  /** What this way of writing sets back to what is stored (the status of a main resource): nobody comes to own it. */
  readonly reset?: FieldSet | undefined;
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

/** `nowMs` undefined: an entry without a time, for who joined without changing anything. */
export function managedEntry(who: ManagerIdentity, fields: FieldSet, nowMs: number | undefined): ManagedFieldsEntry {
  return {
    manager: who.manager,
    operation: who.operation,
    apiVersion: who.apiVersion,
    ...(nowMs === undefined ? {} : { time: rfc3339(nowMs) }),
    fieldsType: 'FieldsV1',
    fieldsV1: fields as Record<string, unknown>,
    ...(who.subresource === '' ? {} : { subresource: who.subresource }),
  };
}

/**
 * The entries that a write starts from: a client may rewrite them through the main resource, or empty them with `[]` or `[{}]`. Entries that
 * cannot be understood count as none sent.
 */
function startingEntries(
  live: AnyObject | undefined,
  updated: AnyObject,
  subresource: string,
): readonly ManagedFieldsEntry[] {
  const given = updated.metadata.managedFields;
  const stored = live?.metadata.managedFields ?? [];
  if (subresource !== '' || !Array.isArray(given) || given === stored) return stored;
  if (given.length === 0 || (given.length === 1 && deepEqual(given[0], {}))) return [];
  return given.every((one) => entryProblem(one) === undefined) ? given : stored;
}

/** Why an entry cannot be kept, in upstream's words. */
export function entryProblem(entry: ManagedFieldsEntry | undefined): string | undefined {
  const { operation, apiVersion = '', fieldsType = '' } = entry ?? ({} as Partial<ManagedFieldsEntry>);
  if (operation !== 'Apply' && operation !== 'Update') return 'operation must be `Apply` or `Update`';
  if (apiVersion === '') return 'apiVersion must not be empty';
  if (fieldsType === '') return 'missing fieldsType in managed fields entry';
  if (fieldsType !== 'FieldsV1') return `invalid fieldsType ${goQuote(fieldsType)} in managed fields entry`;
  return undefined;
}

/**
 * Keeps managedFields true through a plain write: fields that differ from `live` become the manager's and nobody else's,
 * fields that are gone are nobody's. Sets `updated.metadata.managedFields` and returns it. Without any difference the
 * entries, and their times, stay as they were. Books that are empty stay empty until somebody applies.
 */
export function trackUpdate(write: TrackedWrite): readonly ManagedFieldsEntry[] {
  const { live, updated, manager, operation = 'Update', node, apiVersion, subresource = '', reset, nowMs } = write;
  const start = startingEntries(live, updated, subresource);
  if (live !== undefined && start.length === 0) return store(updated, start);
  const changed = withoutBelow(changedFields(live ?? baselineOf(node), updated, node), reset);
  const removed = live === undefined ? undefined : withoutBelow(removedFields(live, updated, node), reset);
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

/**
 * Gives the draft the times of the stored entries when times are all in which it differs: a write that changes nothing is none. True then.
 */
export function keepTimes(draft: AnyObject, old: AnyObject): boolean {
  const entries = draft.metadata.managedFields ?? [];
  const before = old.metadata.managedFields ?? [];
  if (entries === before || entries.length === 0 || entries.length !== before.length) return false;
  const timeless = (entry: ManagedFieldsEntry | undefined): object => ({ ...entry, time: undefined });
  if (entries.every((one, at) => one.time === before[at]?.time)) return false;
  if (!entries.every((one, at) => deepEqual(timeless(one), timeless(before[at])))) return false;
  if (!deepEqual(withoutEntries(draft), withoutEntries(old))) return false;
  draft.metadata.managedFields = [...before];
  return true;
}

/** The object as it is but for its books. */
export function withoutEntries(object: AnyObject): object {
  return { ...object, metadata: { ...object.metadata, managedFields: undefined } };
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
