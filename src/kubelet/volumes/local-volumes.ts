import { chmod, readdir, readFile, rename, rmdir, statfs, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { makeDirectory } from '#base';
import type { Clock } from '#base';
import { DriverError } from './errors.ts';
import { listMounts } from './mounts.ts';
import { removeTree } from './removal.ts';
import { treeUsage } from './tree-usage.ts';

/** Name of the provisioner whose volumes are directories of the node that a pod was given. */
export const localDriver = 'k8ts.io/local';

export interface LocalVolume {
  readonly name: string;
  readonly capacityBytes: number;
  /** Where the data are. */
  readonly path: string;
}

export interface LocalVolumes {
  /** Makes the directory of a volume. Idempotent by name. Throws DriverError RESOURCE_EXHAUSTED when the node has no room for it. */
  create(name: string, requiredBytes: number): Promise<LocalVolume>;
  /** Deletes a volume and its data. Idempotent. Throws DriverError FAILED_PRECONDITION while it is mounted for a pod. */
  remove(name: string): Promise<void>;
  /** Promises a volume more room. Returns the new size. */
  expand(name: string, requiredBytes: number): Promise<number>;
  list(): Promise<LocalVolume[]>;
  /** Bytes that can still be promised to new volumes: what is free, less what older volumes were promised and have not written yet. */
  available(): Promise<number>;
}

const recordFile = 'volume.json';
const dataDirectory = 'data';
/** Names of claims' volumes, and nothing that could lead elsewhere. */
const validName = /^[a-z0-9][a-z0-9-]{0,250}$/;
/** Left for the node itself: kubelet and runtime need room too. */
const reservedShare = 0.05;
const mostEntries = 10_000;
const measuredMs = 10 * 60_000;

/**
 * Volumes as directories below the node's data: NAME/volume.json says how much was promised, NAME/data is what pods see. Sizes are promises
 * that are kept by not giving away more than there is; a directory has no limit of its own.
 */
export function openLocalVolumes(options: { readonly directory: string; readonly clock: Clock }): LocalVolumes {
  const { directory, clock } = options;
  const measured = new Map<string, { readonly usedBytes: number; readonly untilMs: number }>();
  let last: Promise<unknown> = Promise.resolve();
  /** One change at a time: what is free must not be given away twice. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work, work);
    last = next.catch(() => {});
    return next;
  };

  const placeOf = (name: string): string => {
    if (!validName.test(name)) throw new DriverError('INVALID_ARGUMENT', `not a name of a volume: "${name}"`);
    return join(directory, name);
  };

  async function read(name: string): Promise<LocalVolume | undefined> {
    const place = placeOf(name);
    const text = await readFile(join(place, recordFile), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text === undefined) return undefined;
    const { capacityBytes } = JSON.parse(text) as { capacityBytes?: unknown };
    if (typeof capacityBytes !== 'number')
      throw new DriverError('INTERNAL', `${join(place, recordFile)} does not say how large the volume is`);
    return { name, capacityBytes, path: join(place, dataDirectory) };
  }

  async function write(place: string, capacityBytes: number): Promise<void> {
    const fresh = join(place, `${recordFile}.new`);
    await writeFile(fresh, `${JSON.stringify({ capacityBytes })}\n`, { mode: 0o600, flush: true });
    await rename(fresh, join(place, recordFile));
  }

  async function list(): Promise<LocalVolume[]> {
    const names = await readdir(directory).catch(() => []);
    const found = await Promise.all(names.filter((name) => validName.test(name)).map(read));
    return found.filter((one) => one !== undefined);
  }

  /** What a volume holds, as measured some minutes ago at most: walking through large ones is not free. A lower bound is good enough. */
  async function usedBytes(name: string, path: string): Promise<number> {
    const known = measured.get(name);
    if (known !== undefined && known.untilMs > clock.monotonicMs()) return known.usedBytes;
    const { usedBytes } = await treeUsage(path, { mostEntries });
    measured.set(name, { usedBytes, untilMs: clock.monotonicMs() + measuredMs });
    return usedBytes;
  }

  async function available(): Promise<number> {
    await makeDirectory(directory, 0o711);
    const { bavail, blocks, bsize } = await statfs(directory);
    let unwritten = 0;
    const present = await list();
    for (const { name, path, capacityBytes } of present)
      unwritten += Math.max(0, capacityBytes - (await usedBytes(name, path)));
    for (const name of measured.keys()) if (!present.some((one) => one.name === name)) measured.delete(name);
    return Math.max(0, Math.floor(bavail * bsize - blocks * bsize * reservedShare - unwritten));
  }

  async function demand(bytes: number, forWhat: string): Promise<void> {
    const room = await available();
    const mebibytes = (amount: number): string => `${Math.floor(amount / 2 ** 20)} MiB`;
    if (bytes > room)
      throw new DriverError(
        'RESOURCE_EXHAUSTED',
        `${forWhat} needs ${mebibytes(bytes)}, but this node can promise only ${mebibytes(room)} more`,
      );
  }

  return {
    list,
    available,
    create: (name, requiredBytes) =>
      inTurn(async () => {
        const place = placeOf(name);
        const present = await read(name);
        if (present !== undefined) {
          if (present.capacityBytes >= requiredBytes) return present;
          throw new DriverError('ALREADY_EXISTS', `volume ${name} exists with ${present.capacityBytes} bytes`);
        }
        await demand(requiredBytes, `volume ${name}`);
        const fresh = join(directory, `.new-${name}`);
        await removeTree(fresh);
        await makeDirectory(join(fresh, dataDirectory), 0o711);
        // Pods of any user write here, as in a fresh emptyDir; fsGroup narrows it.
        await chmod(join(fresh, dataDirectory), 0o777);
        await write(fresh, requiredBytes);
        await rename(fresh, place);
        return { name, capacityBytes: requiredBytes, path: join(place, dataDirectory) };
      }),
    remove: (name) =>
      inTurn(async () => {
        const place = placeOf(name);
        const removed = join(directory, `.removed-${name}`);
        await refuseInUse(place);
        await rename(place, removed).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error;
        });
        await removeTree(removed);
        await rmdir(join(directory, `.new-${name}`)).catch(() => {});
      }),
    expand: (name, requiredBytes) =>
      inTurn(async () => {
        const present = await read(name);
        if (present === undefined) throw new DriverError('NOT_FOUND', `this node has no volume ${name}`);
        if (requiredBytes <= present.capacityBytes) return present.capacityBytes;
        await demand(requiredBytes - present.capacityBytes, `growing volume ${name}`);
        await write(placeOf(name), requiredBytes);
        return requiredBytes;
      }),
  };
}

/** Pods use a volume through bind mounts: while one is there, the data stay. */
async function refuseInUse(place: string): Promise<void> {
  const own = `/${basename(place)}/${dataDirectory}`;
  const bound = (await listMounts()).find(
    ({ path, root }) =>
      path === place || path.startsWith(`${place}/`) || root.endsWith(own) || root.includes(`${own}/`),
  );
  if (bound !== undefined)
    throw new DriverError('FAILED_PRECONDITION', `${place} is still mounted at ${bound.path}; its data are kept`);
}
