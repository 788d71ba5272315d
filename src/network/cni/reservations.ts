import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, type Closable, type Log, messageOf, type Timer } from '#base';
import { networkName } from './configuration.ts';

/** An address that host-local noted as taken, and for which sandbox. */
export interface Reservation {
  readonly address: string;
  readonly sandbox: string;
  readonly ageMs: number;
}

export interface ReservationsOptions {
  /** The folder that the CNI configuration names. */
  readonly stateDir: string;
  /** Ids of the sandboxes that the container runtime knows. */
  readonly sandboxes: () => Promise<ReadonlySet<string>>;
  readonly clock: Clock;
  readonly log: Log;
}

const lookEveryMs = 600_000;
/** A sandbox gets its address before the runtime notes it: young reservations are left alone. */
const youngMs = 600_000;

/** The addresses to give back: taken long ago, for sandboxes that nobody knows any more. Pure. */
export function planGivingBack(reservations: readonly Reservation[], sandboxes: ReadonlySet<string>): string[] {
  return reservations.filter((one) => one.ageMs > youngMs && !sandboxes.has(one.sandbox)).map((one) => one.address);
}

/**
 * Gives back, every ten minutes, addresses whose sandbox is gone: a runtime that is killed between the plugin's success and its own note
 * of the sandbox never asks the plugin to release it.
 */
export function startReservationCare(options: ReservationsOptions): Closable {
  const { clock, log } = options;
  let closed = false;
  let timer: Timer;
  let running: Promise<void> = Promise.resolve();
  const look = (): void => {
    running = giveBack(options)
      .then((addresses) => {
        if (addresses.length > 0) log.info({ addresses }, 'addresses of pods that are long gone are free again');
      })
      .catch((error) => log.debug({ error: messageOf(error) }, 'reserved addresses were not looked through'))
      .finally(() => {
        if (!closed) timer = clock.setTimer(look, lookEveryMs);
      });
  };
  timer = clock.setTimer(look, lookEveryMs);
  return {
    async close() {
      closed = true;
      timer.cancel();
      await running;
    },
  };
}

/** Looks once, and returns the addresses given back. */
export async function giveBack({ stateDir, sandboxes, clock }: ReservationsOptions): Promise<string[]> {
  const folder = join(stateDir, networkName);
  const names = await readdir(folder).catch(() => []);
  const reservations: Reservation[] = [];
  for (const name of names) {
    if (!/^\d+(\.\d+){3}$/.test(name)) continue;
    const file = join(folder, name);
    // The first line; host-local ends it with CR LF and puts the link's name after it.
    const [sandbox = ''] = (await readFile(file, 'utf8')).split(/\r?\n/);
    reservations.push({ address: name, sandbox, ageMs: clock.nowMs() - (await stat(file)).mtimeMs });
  }
  if (planGivingBack(reservations, new Set()).length === 0) return [];
  const free = planGivingBack(reservations, await sandboxes());
  for (const address of free) await rm(join(folder, address), { force: true });
  return free;
}
