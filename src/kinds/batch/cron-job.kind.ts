import { type CronJob, resource } from '#api';
import {
  ageColumn,
  booleanColumn,
  integerColumn,
  nameColumn,
  selectorText,
  textColumn,
  timeSince,
  workloadColumns,
} from '../columns.ts';
import { defineKind } from '../definition.ts';
import { applyCronJobDefaults } from './job-defaults.ts';
import { validateCronJob } from './cron-job-validation.ts';

export const cronJobKind = defineKind<CronJob>({
  resource: resource('batch/v1', 'cronjobs'),
  storageSegment: 'cronjobs',
  status: true,
  initialStatus: {},
  generation: true,
  applyDefaults: applyCronJobDefaults,
  validate: validateCronJob,
  columns: [
    nameColumn,
    textColumn('Schedule', 'When it runs, in cron format.', (object) => object.spec?.schedule ?? ''),
    textColumn('Timezone', 'Time zone of the schedule.', (object) => object.spec?.timeZone ?? '<none>'),
    booleanColumn('Suspend', 'Whether it is paused.', (object) =>
      object.spec?.suspend == null ? '<unset>' : object.spec.suspend ? 'True' : 'False',
    ),
    integerColumn('Active', 'Jobs that run now.', (object) => (object.status?.active ?? []).length),
    textColumn('Last Schedule', 'Time since a job was last started.', (object, { nowMs }) =>
      object.status?.lastScheduleTime ? timeSince(object.status.lastScheduleTime, nowMs) : '<none>',
    ),
    ageColumn,
    ...workloadColumns<CronJob>(
      (object) => object.spec?.jobTemplate?.spec?.template?.spec?.containers,
      (object) => selectorText(object.spec?.jobTemplate?.spec?.selector),
    ),
  ],
});
