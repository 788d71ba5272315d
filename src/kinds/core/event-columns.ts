import type { Event } from '#api';
import { nameColumn, textColumn, timeSince, wide } from '../columns.ts';
import type { TypedColumn } from '../definition.ts';

function firstSeen(event: Event, nowMs: number): string {
  return timeSince(event.firstTimestamp || event.eventTime, nowMs);
}

function lastSeen(event: Event, nowMs: number): string {
  if (event.series != null) return timeSince(event.series.lastObservedTime, nowMs);
  return event.lastTimestamp ? timeSince(event.lastTimestamp, nowMs) : firstSeen(event, nowMs);
}

function involved(event: Event): string {
  const kind = (event.involvedObject?.kind ?? '').toLowerCase();
  return event.involvedObject?.name ? `${kind}/${event.involvedObject.name}` : kind;
}

function source(event: Event): string {
  const component = event.source?.component || event.reportingComponent || '';
  const instance = event.source?.host || event.reportingInstance || '';
  return instance === '' ? component : `${component}, ${instance}`;
}

function occurrences(event: Event): number {
  return event.series != null ? (event.series.count ?? 0) + 1 : event.count || 1;
}

/** The table of events; both versions of the kind print it from the core form. */
export const eventColumns: readonly TypedColumn<Event>[] = [
  textColumn('Last Seen', 'Time since the event was last observed.', (event, { nowMs }) => lastSeen(event, nowMs)),
  textColumn('Type', 'Normal or Warning.', (event) => event.type ?? ''),
  textColumn('Reason', 'Short machine understandable cause.', (event) => event.reason ?? ''),
  textColumn('Object', 'The object that the event is about.', involved),
  wide(textColumn('Subobject', 'Part of the object.', (event) => event.involvedObject?.fieldPath ?? '')),
  wide(textColumn('Source', 'Component that reported it.', source)),
  textColumn('Message', 'What happened.', (event) => (event.message ?? '').trim()),
  wide(
    textColumn('First Seen', 'Time since the event was first observed.', (event, { nowMs }) => firstSeen(event, nowMs)),
  ),
  wide(textColumn('Count', 'How often it happened.', occurrences)),
  wide(nameColumn),
];
