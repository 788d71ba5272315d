import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from './clock.ts';

test('a timer far ahead does not fire at once, and can be cancelled', async () => {
  const fired: string[] = [];
  const yearMs = 365 * 86_400_000;
  const far = [yearMs, 10 * yearMs, 2 ** 31].map((delayMs) =>
    systemClock.setTimer(() => void fired.push(`${delayMs}`), delayMs),
  );
  systemClock.setTimer(() => void fired.push('near'), 20);
  // What Node does with such a delay: the proof that the test can fail.
  const plain = setTimeout(() => void fired.push('plain'), yearMs);
  while (!fired.includes('near')) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(fired.toSorted(), ['near', 'plain']);
  clearTimeout(plain);
  for (const timer of far) timer.cancel();
});
