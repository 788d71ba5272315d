import type { CronJob, JobSpec } from '#api';
import type { FieldError } from '#machinery';
import { Findings } from '../findings.ts';
import { cronScheduleError } from './cron-schedule.ts';
import { validateJobSpec } from './job-validation.ts';

const maxNameLength = 52;
const policies: readonly string[] = ['Allow', 'Forbid', 'Replace'];

export function validateCronJob(cronJob: CronJob): FieldError[] {
  const found = new Findings();
  const spec = cronJob.spec ?? ({} as NonNullable<CronJob['spec']>);
  if (found.present('spec.schedule', spec.schedule)) {
    const error = cronScheduleError(spec.schedule);
    if (error !== undefined) found.invalid('spec.schedule', spec.schedule, error);
    if (spec.schedule.includes('TZ'))
      found.invalid('spec.schedule', spec.schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead');
  }
  found.nonNegative('spec.startingDeadlineSeconds', spec.startingDeadlineSeconds);
  validateTimeZone(spec.timeZone, found);
  found.oneOf('spec.concurrencyPolicy', spec.concurrencyPolicy, policies);
  const jobSpec = spec.jobTemplate?.spec ?? ({} as JobSpec);
  validateJobSpec(jobSpec, 'spec.jobTemplate.spec', found);
  if (jobSpec.selector != null)
    found.invalid('spec.jobTemplate.spec.selector', jobSpec.selector, '`selector` will be auto-generated');
  if (jobSpec.manualSelector)
    found.notSupported('spec.jobTemplate.spec.manualSelector', jobSpec.manualSelector, ['nil', 'false']);
  found.nonNegative('spec.successfulJobsHistoryLimit', spec.successfulJobsHistoryLimit);
  found.nonNegative('spec.failedJobsHistoryLimit', spec.failedJobsHistoryLimit);
  const { name } = cronJob.metadata;
  if (name.length > maxNameLength)
    found.invalid('metadata.name', name, `must be no more than ${maxNameLength} characters`);
  return found.list;
}

function validateTimeZone(zone: string | undefined, found: Findings): void {
  if (zone == null) return;
  if (zone === '') return found.invalid('spec.timeZone', zone, 'timeZone must be nil or non-empty string');
  if (zone.toLowerCase() === 'local')
    return found.invalid(
      'spec.timeZone',
      zone,
      'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
    );
  if (!isTimeZone(zone)) found.invalid('spec.timeZone', zone, `unknown time zone ${zone}`);
}

function isTimeZone(zone: string): boolean {
  if (
    !zone
      .split('/')
      .every((part) => /^[A-Za-z._0-9+][A-Za-z.\-_0-9+]{0,31}$/.test(part) && part !== '.' && part !== '..')
  )
    return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
