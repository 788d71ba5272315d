import type { Event } from '#api';
import { type FieldError, validateDns1123Subdomain, validateQualifiedName } from '#machinery';
import { Findings } from '../findings.ts';

const limits = { reportingInstance: 128, action: 128, reason: 128, message: 1024 } as const;
const mismatch = 'does not match event.namespace';

/** Rules of an event in its core form. `strict` adds those of events.k8s.io/v1, under that version's field names. */
export function validateEvent(event: Event, strict: boolean): FieldError[] {
  const found = new Findings();
  const involved = event.involvedObject?.namespace ?? '';
  const namespace = event.metadata.namespace ?? '';
  const at = 'involvedObject.namespace';
  if (!event.eventTime) {
    const fits = involved === '' ? namespace === '' || namespace === 'default' : namespace === involved;
    if (!fits) found.invalid(at, involved, mismatch);
  } else {
    if (involved === '' && namespace !== 'default' && namespace !== 'kube-system')
      found.invalid(at, involved, mismatch);
    const controller = event.reportingComponent ?? '';
    if (controller === '') found.required('reportingController');
    found.each('reportingController', controller, validateQualifiedName(controller));
    for (const [name, max] of Object.entries(limits) as [keyof typeof limits, number][]) {
      const text = event[name] ?? '';
      if (text === '' && name !== 'message') found.required(name);
      if (text.length > max) found.invalid(name, '', `can have at most ${max} characters`);
    }
  }
  found.each('namespace', namespace, validateDns1123Subdomain(namespace));
  if (strict) validateStrict(event, found);
  return found.list;
}

function validateStrict(event: Event, found: Findings): void {
  if (event.series != null) {
    if ((event.series.count ?? 0) < 2) found.invalid('series.count', '', 'should be at least 2');
    if (!event.series.lastObservedTime) found.required('series.lastObservedTime');
  }
  if (!event.eventTime) found.required('eventTime');
  if (event.type !== 'Normal' && event.type !== 'Warning')
    found.invalid('type', '', `has invalid value: ${event.type ?? ''}`);
  if (event.firstTimestamp) found.invalid('firstTimestamp', '', 'needs to be unset');
  if (event.lastTimestamp) found.invalid('lastTimestamp', '', 'needs to be unset');
  if (event.count) found.invalid('count', '', 'needs to be unset');
  if (event.source?.component || event.source?.host) found.invalid('source', '', 'needs to be unset');
}

const immutableFields = [
  'eventTime',
  'source',
  'reportingComponent',
  'reportingInstance',
  'action',
  'reason',
  'involvedObject',
  'related',
  'message',
  'type',
] as const;

/** Of an events.k8s.io event only series and deprecated counters change. */
export function validateStrictEventUpdate(event: Event, old: Event): FieldError[] {
  const found = new Findings();
  for (const name of immutableFields) found.immutable(name, event[name], old[name]);
  return found.list;
}
