import type { Event, EventSeries, EventsV1Event, EventsV1EventSeries } from '#api';

/** events.k8s.io/v1 → v1, the form in which events are stored. Fields keep their values, only names differ. */
export function coreEventOf(event: EventsV1Event): Event {
  const {
    apiVersion: _,
    regarding,
    note,
    reportingController,
    deprecatedCount,
    deprecatedFirstTimestamp,
    deprecatedLastTimestamp,
    deprecatedSource,
    ...same
  } = event;
  return withoutUndefined<Event>({
    ...(same as Omit<typeof same, 'series'> & { series?: EventSeries }),
    apiVersion: 'v1',
    involvedObject: regarding ?? {},
    message: note,
    reportingComponent: reportingController,
    count: deprecatedCount,
    firstTimestamp: deprecatedFirstTimestamp,
    lastTimestamp: deprecatedLastTimestamp,
    source: deprecatedSource,
  });
}

/** v1 → events.k8s.io/v1; the inverse of `coreEventOf`. */
export function eventsEventOf(event: Event): EventsV1Event {
  const {
    apiVersion: _,
    involvedObject,
    message,
    reportingComponent,
    count,
    firstTimestamp,
    lastTimestamp,
    source,
    ...same
  } = event;
  return withoutUndefined<EventsV1Event>({
    ...(same as Omit<typeof same, 'series' | 'eventTime'> & { series?: EventsV1EventSeries; eventTime: string }),
    apiVersion: 'events.k8s.io/v1',
    regarding: involvedObject,
    note: message,
    reportingController: reportingComponent,
    deprecatedCount: count,
    deprecatedFirstTimestamp: firstTimestamp,
    deprecatedLastTimestamp: lastTimestamp,
    deprecatedSource: source,
  });
}

function withoutUndefined<T extends object>(object: T): T {
  for (const key of Object.keys(object) as (keyof T)[]) if (object[key] === undefined) delete object[key];
  return object;
}
