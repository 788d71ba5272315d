import assert from 'node:assert/strict';
import { test } from 'node:test';
import { humanDuration } from './human-duration.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const year = 365 * day;

test('lengths of time as kubectl prints them', () => {
  const golden: [number, string][] = [
    [-3 * second, '<invalid>'],
    [-2 * second, '<invalid>'],
    [-1999, '0s'],
    [-1, '0s'],
    [0, '0s'],
    [1999, '1s'],
    [119 * second, '119s'],
    [120 * second, '2m'],
    [3 * minute + 20 * second, '3m20s'],
    [9 * minute + 59 * second, '9m59s'],
    [10 * minute + 59 * second, '10m'],
    [179 * minute, '179m'],
    [3 * hour, '3h'],
    [5 * hour + 30 * minute, '5h30m'],
    [7 * hour + 59 * minute, '7h59m'],
    [8 * hour + 59 * minute, '8h'],
    [47 * hour, '47h'],
    [2 * day, '2d'],
    [3 * day + 4 * hour, '3d4h'],
    [7 * day + 23 * hour, '7d23h'],
    [8 * day + 23 * hour, '8d'],
    [2 * year - hour, '729d'],
    [2 * year, '2y'],
    [2 * year + 100 * day, '2y100d'],
    [8 * year - day, '7y364d'],
    [8 * year + 300 * day, '8y'],
    [100 * year, '100y'],
  ];
  for (const [durationMs, text] of golden) assert.equal(humanDuration(durationMs), text, String(durationMs));
});
