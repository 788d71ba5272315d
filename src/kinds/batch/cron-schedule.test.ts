import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cronScheduleError } from './cron-schedule.ts';

const schedules: readonly (readonly [schedule: string, error: string | undefined])[] = [
  ['* * * * *', undefined],
  ['*/5 0-6,20 1 jan-MAR mon', undefined],
  ['0 3 ? * ?', undefined],
  ['5/10 * * * *', undefined],
  ['@daily', undefined],
  ['@every 1h30m', undefined],
  ['TZ=UTC 0 0 * * *', undefined],
  ['', 'expected exactly 5 fields, found 0: []'],
  ['* * * * * *', 'expected exactly 5 fields, found 6: [* * * * * *]'],
  ['60 * * * *', 'end of range (60) above maximum (59): 60'],
  ['* * 0 * *', 'beginning of range (0) below minimum (1): 0'],
  ['* 9-3 * * *', 'beginning of range (9) beyond end of range (3): 9-3'],
  ['*/0 * * * *', 'step of range should be a positive number: */0'],
  ['1-2-3 * * * *', 'too many hyphens: 1-2-3'],
  ['*/1/2 * * * *', 'too many slashes: */1/2'],
  ['x * * * *', 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'],
  ['@often', 'unrecognized descriptor: @often'],
];

for (const [schedule, error] of schedules)
  test(`cron schedule "${schedule}"`, () => {
    assert.equal(cronScheduleError(schedule), error);
  });
