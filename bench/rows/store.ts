import type { Bench } from '../measurement.ts';
import { benchStore } from '../store.ts';

/** The rows of bench/store.ts. */
export const benchStoreRows: Bench = async ({ quick }, report) => {
  for (const row of await benchStore({ secondsEach: quick ? 0.3 : 1 })) report(row);
};
