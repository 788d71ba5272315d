import { createReadStream, createWriteStream } from 'node:fs';
import { lstat, readdir, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { type Clock, type Log, messageOf, rfc3339, sleep } from '#base';
import type { Cri } from '../cri/contract.ts';

export interface RotationOptions {
  readonly cri: Cri;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** A log is set aside when it is larger; default 10 MiB. */
  readonly largestBytes?: number;
  /** Files kept of a container's run, the current one included; default 5. */
  readonly keptFiles?: number;
}

const intervalMs = 10_000;

/** Keeps containers' logs from filling the disk until the signal aborts. */
export async function startLogRotation(options: RotationOptions): Promise<void> {
  const { clock, log, signal } = options;
  const paths = new Map<string, string>();
  while (!signal.aborted) {
    await sleep(clock, intervalMs, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      await rotateAll(options, paths);
    } catch (error) {
      log.debug({ error: messageOf(error) }, 'logs were not rotated');
    }
  }
}

async function rotateAll(options: RotationOptions, paths: Map<string, string>): Promise<void> {
  const { cri, log, largestBytes = 10 << 20 } = options;
  const running = (await cri.listContainers()).filter(({ state }) => state === 'CONTAINER_RUNNING').map(({ id }) => id);
  for (const id of paths.keys()) if (!running.includes(id)) paths.delete(id);
  for (const id of running) {
    try {
      const path = paths.get(id) ?? (await cri.containerStatus(id)).log_path;
      paths.set(id, path);
      const found = path === '' ? undefined : await lstat(path).catch(() => undefined);
      if (found === undefined || !found.isFile() || found.size < largestBytes) continue;
      await rotateLog(options, id, path);
    } catch (error) {
      log.warn({ container: id, error: messageOf(error) }, 'a log was not rotated');
    }
  }
}

/** Compresses what was set aside before, drops the oldest, sets the current log aside and has the runtime open a new one. */
export async function rotateLog(options: RotationOptions, id: string, path: string): Promise<void> {
  const { cri, clock, keptFiles = 5 } = options;
  const directory = dirname(path);
  const name = basename(path);
  const rotated = (await readdir(directory))
    .filter((one) => one.startsWith(`${name}.`) && !one.endsWith('.tmp'))
    .sort();
  for (const surplus of rotated.splice(0, Math.max(0, rotated.length - (keptFiles - 2))))
    await unlink(join(directory, surplus));
  for (const one of rotated) if (!one.endsWith('.gz')) await compress(join(directory, one));
  const stamp = rfc3339(clock.nowMs()).replace(/[-:Z]/g, '').replace('T', '-');
  const aside = `${path}.${stamp}`;
  await rename(path, aside);
  try {
    await cri.reopenContainerLog(id);
  } catch (error) {
    await rename(aside, path);
    throw error;
  }
}

async function compress(path: string): Promise<void> {
  const half = `${path}.tmp`;
  await pipeline(createReadStream(path), createGzip(), createWriteStream(half, { mode: 0o640 }));
  await rename(half, `${path}.gz`);
  await unlink(path);
}
