import { type Event, resource } from '#api';
import { defineKind } from '../definition.ts';
import { eventColumns } from './event-columns.ts';
import { validateEvent } from './event-validation.ts';

export const eventKind = defineKind<Event>({
  resource: resource('v1', 'events'),
  storageSegment: 'events',
  storageVersion: 'v1',
  allowCreateOnUpdate: true,
  applyDefaults: (draft) => {
    draft.reportingComponent ??= '';
    draft.reportingInstance ??= '';
  },
  validate: (event) => validateEvent(event, false),
  columns: eventColumns,
  fieldSelectors: {
    'involvedObject.kind': (event) => event.involvedObject?.kind ?? '',
    'involvedObject.namespace': (event) => event.involvedObject?.namespace ?? '',
    'involvedObject.name': (event) => event.involvedObject?.name ?? '',
    'involvedObject.uid': (event) => event.involvedObject?.uid ?? '',
    'involvedObject.apiVersion': (event) => event.involvedObject?.apiVersion ?? '',
    'involvedObject.resourceVersion': (event) => event.involvedObject?.resourceVersion ?? '',
    'involvedObject.fieldPath': (event) => event.involvedObject?.fieldPath ?? '',
    reason: (event) => event.reason ?? '',
    reportingComponent: (event) => event.reportingComponent ?? '',
    source: (event) => event.source?.component || event.reportingComponent || '',
    type: (event) => event.type ?? '',
  },
});
