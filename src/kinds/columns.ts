import type { Container, KubeObject, LabelSelector } from '#api';
import { humanDuration, labelSelectorOf, parseTimeMs } from '#machinery';
import type { TypedColumn } from './definition.ts';

type Cell<T> = TypedColumn<T>['value'];

/** A column of text, as most of upstream's are. */
export function textColumn<T>(name: string, description: string, value: Cell<T>): TypedColumn<T> {
  return { name, type: 'string', description, value };
}

/** A column of whole numbers. */
export function integerColumn<T>(name: string, description: string, value: Cell<T>): TypedColumn<T> {
  return { name, type: 'integer', description, value };
}

/** A column of true and false. */
export function booleanColumn<T>(name: string, description: string, value: Cell<T>): TypedColumn<T> {
  return { name, type: 'boolean', description, value };
}

/** The same column, shown only with `-o wide`. */
export function wide<T>(column: TypedColumn<T>): TypedColumn<T> {
  return { ...column, priority: 1 };
}

/** The first column of every table. */
export const nameColumn: TypedColumn<KubeObject> = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name of the object, unique for its kind within its namespace.',
  value: (object) => object.metadata.name,
};

/** Time since creation, in the short form of `humanDuration`. */
export const ageColumn: TypedColumn<KubeObject> = textColumn(
  'Age',
  'Time since the object was created.',
  (object, { nowMs }) => timeSince(object.metadata.creationTimestamp, nowMs),
);

/** Creation as a time: the second column of kinds that have no table of their own. */
export const createdAtColumn: TypedColumn<KubeObject> = {
  name: 'Created At',
  type: 'date',
  description: 'Time at which the object was created.',
  value: (object) => object.metadata.creationTimestamp ?? null,
};

/** What kinds without a table of their own print. */
export const plainColumns: readonly TypedColumn<KubeObject>[] = [nameColumn, createdAtColumn];

/** Names, images and selector of a workload, shown wide. */
export function workloadColumns<T>(
  containersOf: (object: T) => readonly Container[] | undefined,
  selectorOf: ((object: T) => string) | undefined,
): readonly TypedColumn<T>[] {
  const columns: TypedColumn<T>[] = [
    wide(
      textColumn('Containers', 'Names of each container in the template.', (object) =>
        (containersOf(object) ?? []).map((one) => one.name).join(','),
      ),
    ),
    wide(
      textColumn('Images', 'Images referenced by each container in the template.', (object) =>
        (containersOf(object) ?? []).map((one) => one.image ?? '').join(','),
      ),
    ),
  ];
  if (selectorOf !== undefined)
    columns.push(wide(textColumn('Selector', 'Label query over the pods that belong to it.', selectorOf)));
  return columns;
}

/** A label selector as text; `<none>` for an empty or missing one. */
export function selectorText(selector: LabelSelector | undefined): string {
  if (selector == null) return '<none>';
  try {
    return labelSelectorOf(selector).toString() || '<none>';
  } catch {
    return '<error>';
  }
}

/** Labels as `a=1,b=2`, sorted; `<none>` when there are none. */
export function labelsText(labels: Record<string, string> | undefined): string {
  const keys = Object.keys(labels ?? {}).sort();
  return keys.length === 0 ? '<none>' : keys.map((key) => `${key}=${labels?.[key]}`).join(',');
}

/** Age of an RFC 3339 time at `nowMs`, or `<unknown>`. */
export function timeSince(time: string | undefined | null, nowMs: number): string {
  return time ? humanDuration(nowMs - parseTimeMs(time)) : '<unknown>';
}

/** `list` shortened to `max` items and upstream's ` + N more...`. */
export function listWithMore(list: readonly string[], max: number, separator = ','): string {
  const shown = list.slice(0, max).join(separator);
  return list.length > max ? `${shown} + ${list.length - max} more...` : shown;
}
