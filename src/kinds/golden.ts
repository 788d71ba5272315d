import type { AnyObject } from '#api';
import { cloneObject, fieldErrorText, parseTimeMs } from '#machinery';
import { builtinKinds } from './catalogue.ts';
import type { KindDefinition } from './definition.ts';

/** For golden tests: the definition of `v1 Pod`, `apps/v1 Deployment` … */
export function kindOf(apiVersion: string, kind: string): KindDefinition {
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  const found = builtinKinds.find(
    ({ resource }) => resource.kind === kind && resource.group === group && resource.version === version,
  );
  if (found === undefined) throw new TypeError(`no kind ${apiVersion} ${kind}`);
  return found;
}

export interface Sample {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata?: object;
  readonly [field: string]: unknown;
}

/** A whole object from the part that matters to a test. */
export function sampleObject(sample: Sample): AnyObject {
  const object = cloneObject(sample) as unknown as AnyObject;
  object.metadata = {
    name: 'a',
    namespace: 'default',
    uid: 'u1',
    creationTimestamp: '2026-01-01T00:00:00Z',
    ...sample.metadata,
  } as AnyObject['metadata'];
  return object;
}

/** The object with its kind's defaults. */
export function defaulted(sample: Sample): AnyObject {
  const object = sampleObject(sample);
  kindOf(sample.apiVersion, sample.kind).applyDefaults?.(object);
  return object;
}

/** What creating the sample is refused for, one text an error. */
export function creationErrors(sample: Sample): string[] {
  const kind = kindOf(sample.apiVersion, sample.kind);
  const object = defaulted(sample);
  kind.prepareForCreate?.(object);
  return (kind.validate?.(object) ?? []).map(fieldErrorText);
}

/** What changing `old` to the sample is refused for by the rules of updates, first line of each text. */
export function updateErrors(old: Sample, sample: Sample): string[] {
  const kind = kindOf(sample.apiVersion, sample.kind);
  const before = defaulted(old);
  const draft = defaulted(sample);
  kind.prepareForUpdate?.(draft, before);
  return (kind.validateUpdate?.(draft, before) ?? []).map((error) => fieldErrorText(error).split('\n')[0] ?? '');
}

/** Cells of the sample's table row by column, at a fixed time; wide columns too. */
export function cells(sample: Sample, nowMs = parseTimeMs('2026-01-01T01:00:00Z')): Record<string, unknown> {
  const object = sampleObject(sample);
  const { columns } = kindOf(sample.apiVersion, sample.kind);
  return Object.fromEntries(columns.map((column) => [column.name, column.value(object, { nowMs })]));
}
