/**
 * Runs `act` `count` times in batches of 1, 2, 4 … and stops after a batch in which one failed: a quota that refuses the first
 * pod is not asked a thousand times. Returns how many succeeded and the first error.
 */
export async function slowStart(
  count: number,
  act: (index: number) => Promise<void>,
): Promise<{ succeeded: number; error?: unknown }> {
  let succeeded = 0;
  let begun = 0;
  for (let batch = 1; begun < count; batch *= 2) {
    const size = Math.min(batch, count - begun);
    const first = begun;
    begun += size;
    const results = await Promise.allSettled(Array.from({ length: size }, (_, i) => act(first + i)));
    const failed = results.find((one) => one.status === 'rejected');
    succeeded += results.filter((one) => one.status === 'fulfilled').length;
    if (failed !== undefined) return { succeeded, error: failed.reason };
  }
  return { succeeded };
}
