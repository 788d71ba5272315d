import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dueTimes, parseSchedule } from './schedule.ts';

const ms = (text: string): number => Date.parse(text);
const next = (schedule: string, after: string, zone?: string): string | undefined => {
  const found = parseSchedule(schedule, zone).next(ms(after));
  return found === undefined ? undefined : new Date(found).toISOString().slice(0, 16);
};

test('next times', () => {
  const cases: [schedule: string, after: string, expected: string | undefined][] = [
    ['* * * * *', '2026-01-01T00:00:30Z', '2026-01-01T00:01'],
    ['*/15 * * * *', '2026-01-01T00:15:00Z', '2026-01-01T00:30'],
    ['0 0 1 1 *', '2026-01-01T00:00:00Z', '2027-01-01T00:00'],
    ['30 4 * * 1-5', '2026-01-02T05:00:00Z', '2026-01-05T04:30'],
    ['0 12 13 * FRI', '2026-01-01T00:00:00Z', '2026-01-02T12:00'],
    ['0 12 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T12:00'],
    ['0 0 30 2 *', '2026-01-01T00:00:00Z', undefined],
    ['5/20 8-10/2 ? jan,Mar *', '2026-01-31T10:46:00Z', '2026-03-01T08:05'],
    ['@hourly', '2026-01-01T00:59:59Z', '2026-01-01T01:00'],
    ['@every 90m', '2026-01-01T00:00:00Z', '2026-01-01T01:30'],
    ['TZ=Asia/Tokyo 0 9 * * *', '2026-01-01T00:00:00Z', '2026-01-02T00:00'],
  ];
  for (const [schedule, after, expected] of cases) assert.equal(next(schedule, after), expected, schedule);
});

test('time zones: the wall clock counts, also when it jumps', () => {
  assert.equal(
    next('30 2 * * *', '2026-03-28T12:00:00Z', 'Europe/Berlin'),
    '2026-03-30T00:30',
    'the hour that does not exist is skipped',
  );
  assert.equal(next('30 9 * * *', '2026-03-28T12:00:00Z', 'Europe/Berlin'), '2026-03-29T07:30');
  assert.equal(next('30 9 * * *', '2026-10-24T12:00:00Z', 'Europe/Berlin'), '2026-10-25T08:30');
  assert.equal(next('0 0 * * *', '2026-01-01T00:00:00Z', 'America/New_York'), '2026-01-01T05:00');
  assert.throws(() => parseSchedule('* * * * *', 'Nowhere/City'), /time zone/);
});

test('wrong schedules are refused', () => {
  for (const text of [
    '',
    '* * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 8',
    '5-1 * * * *',
    '*/0 * * * *',
    'x * * * *',
  ]) {
    assert.throws(() => parseSchedule(text), /not a cron schedule/, text);
  }
});

test('due times: the newest, and how many, however long ago the last was', () => {
  const minutely = parseSchedule('* * * * *');
  assert.deepEqual(dueTimes(minutely, ms('2026-01-01T00:00:00Z'), ms('2026-01-01T00:00:59Z')), { count: 0 });
  assert.deepEqual(dueTimes(minutely, ms('2026-01-01T00:00:00Z'), ms('2026-01-01T00:03:30Z')), {
    latestMs: ms('2026-01-01T00:03:00Z'),
    count: 3,
  });
  assert.deepEqual(dueTimes(minutely, ms('2020-01-01T00:00:00Z'), ms('2026-01-01T00:03:30Z')), {
    latestMs: ms('2026-01-01T00:03:00Z'),
    count: 101,
  });
  assert.deepEqual(dueTimes(parseSchedule('0 0 * * 1'), ms('2020-01-01T00:00:00Z'), ms('2026-01-01T00:00:00Z')), {
    latestMs: ms('2025-12-29T00:00:00Z'),
    count: 101,
  });
});
