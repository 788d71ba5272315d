import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDurationNanos, formatMicroTime, formatTime, parseDurationNanos, parseRfc3339 } from './wire-time.ts';

test('instants agree with the calendar of Date', () => {
  fc.assert(
    fc.property(fc.integer({ min: -62_167_219_200, max: 253_402_300_799 }), fc.nat(999_999), (seconds, micros) => {
      const text = new Date(seconds * 1000).toISOString();
      assert.equal(formatTime(seconds), text.replace('.000Z', 'Z'));
      assert.deepEqual(parseRfc3339(formatTime(seconds)), { seconds, nanos: 0 });
      assert.deepEqual(parseRfc3339(formatMicroTime(seconds, micros * 1000)), { seconds, nanos: micros * 1000 });
    }),
  );
});

test('offsets and fractions are understood, nonsense is not', () => {
  assert.deepEqual(parseRfc3339('1970-01-01T01:00:00+01:00'), { seconds: 0, nanos: 0 });
  assert.deepEqual(parseRfc3339('1969-12-31T23:30:00.5-00:30'), { seconds: 0, nanos: 500_000_000 });
  for (const text of ['', '1970-01-01', '1970-13-01T00:00:00Z', '1970-01-01T24:00:00Z', '1970-01-01T00:00:00', 'x']) {
    assert.equal(parseRfc3339(text), undefined, text);
  }
});

test('durations as Go writes them', () => {
  const golden: [string, bigint][] = [
    ['0s', 0n],
    ['1ns', 1n],
    ['1.5µs', 1500n],
    ['300ms', 300_000_000n],
    ['1.5s', 1_500_000_000n],
    ['2m0s', 120_000_000_000n],
    ['1h2m3.5s', 3_723_500_000_000n],
    ['-1h0m0s', -3_600_000_000_000n],
  ];
  for (const [text, nanos] of golden) {
    assert.equal(parseDurationNanos(text), nanos);
    assert.equal(formatDurationNanos(nanos), text);
  }
  assert.equal(parseDurationNanos('.5h'), 1_800_000_000_000n);
  for (const text of ['', '1', 'h', '1d', '1h 2m', '.s']) assert.equal(parseDurationNanos(text), undefined, text);
});
