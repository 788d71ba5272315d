import { type Event, type EventsV1Event, resource } from '#api';
import { defineKind, type TypedColumn } from '../definition.ts';
import { eventColumns } from './event-columns.ts';
import { coreEventOf, eventsEventOf } from './event-conversion.ts';
import { validateEvent, validateStrictEventUpdate } from './event-validation.ts';

export const eventsEventKind = defineKind<EventsV1Event>({
  resource: resource('events.k8s.io/v1', 'events'),
  storageSegment: 'events',
  storageVersion: 'v1',
  fromStorage: (draft) => eventsEventOf(draft as unknown as Event),
  toStorage: (draft) => coreEventOf(draft) as unknown as EventsV1Event,
  allowCreateOnUpdate: true,
  validate: (event) => validateEvent(coreEventOf(event), true),
  validateUpdate: (event, old) => validateStrictEventUpdate(coreEventOf(event), coreEventOf(old)),
  columns: eventColumns.map(
    (column): TypedColumn<EventsV1Event> => ({
      ...column,
      value: (event, context) => column.value(coreEventOf(event), context),
    }),
  ),
  fieldSelectors: {
    'regarding.kind': (event) => event.regarding?.kind ?? '',
    'regarding.namespace': (event) => event.regarding?.namespace ?? '',
    'regarding.name': (event) => event.regarding?.name ?? '',
    'regarding.uid': (event) => event.regarding?.uid ?? '',
    'regarding.apiVersion': (event) => event.regarding?.apiVersion ?? '',
    'regarding.resourceVersion': (event) => event.regarding?.resourceVersion ?? '',
    'regarding.fieldPath': (event) => event.regarding?.fieldPath ?? '',
    reason: (event) => event.reason ?? '',
    reportingController: (event) => event.reportingController ?? '',
    type: (event) => event.type ?? '',
  },
});
