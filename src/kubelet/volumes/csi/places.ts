import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, rename, rmdir, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeDirectory } from '#base';
import { VolumeError } from '../errors.ts';
import { isMounted } from '../mounts.ts';

/** Written beside a place before a driver is asked to fill it: what a later run of the kubelet needs to empty it again. */
export interface PlaceRecord {
  readonly driverName: string;
  readonly volumeHandle: string;
  readonly volumeLifecycleMode?: 'Persistent' | 'Ephemeral';
  readonly block?: boolean;
  /** The driver has filled the place and all that belongs to it was done. */
  readonly ready?: boolean;
}

/** A directory of the kubelet that holds one place for a driver to fill, and the record of it. */
export interface Place extends PlaceRecord {
  readonly directory: string;
  readonly target: string;
}

const recordName = 'vol_data.json';

/** Where things are, as upstream lays them out: drivers rely on it. */
export function csiPlaces(rootDir: string) {
  const stagedRoot = join(rootDir, 'plugins', 'kubernetes.io', 'csi');
  const podsRoot = join(rootDir, 'pods');
  const ofPod = (uid: string): string => join(podsRoot, uid, 'volumes', 'kubernetes.io~csi');
  const stagedOf = (driver: string, handle: string): string =>
    join(stagedRoot, driver, createHash('sha256').update(handle).digest('hex'));

  async function placesIn(directory: string, name: string): Promise<Place[]> {
    const found: Place[] = [];
    for (const child of await readdir(directory).catch(() => [])) {
      const record = await readRecord(join(directory, child));
      if (record !== undefined)
        found.push({ ...record, directory: join(directory, child), target: join(directory, child, name) });
    }
    return found;
  }

  return {
    registry: join(rootDir, 'plugins_registry'),
    published: (uid: string, specName: string) => ({
      directory: join(ofPod(uid), specName),
      target: join(ofPod(uid), specName, 'mount'),
    }),
    staged: (driver: string, handle: string) => ({
      directory: stagedOf(driver, handle),
      target: join(stagedOf(driver, handle), 'globalmount'),
    }),
    /** What drivers were asked to publish for a pod. */
    publishedFor: (uid: string): Promise<Place[]> => placesIn(ofPod(uid), 'mount'),
    /** All that is published on this node. */
    async allPublished(): Promise<Place[]> {
      const uids = await readdir(podsRoot).catch(() => []);
      return (await Promise.all(uids.map((uid) => placesIn(ofPod(uid), 'mount')))).flat();
    },
    async allStaged(): Promise<Place[]> {
      const drivers = await readdir(stagedRoot).catch(() => []);
      return (await Promise.all(drivers.map((driver) => placesIn(join(stagedRoot, driver), 'globalmount')))).flat();
    },
    /** Removes a pod's directories: those that a driver was never asked to fill, for their record was not written, and their parent. */
    async removeEmpty(uid: string): Promise<void> {
      const own = ofPod(uid);
      for (const name of await readdir(own).catch(() => []))
        await removePlace({ directory: join(own, name), target: join(own, name, 'mount') });
      await rmdir(own).catch(unlessMissing);
    },
  };
}

export type CsiPlaces = ReturnType<typeof csiPlaces>;

async function readRecord(directory: string): Promise<PlaceRecord | undefined> {
  const text = await readFile(join(directory, recordName), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  return text === undefined ? undefined : (JSON.parse(text) as PlaceRecord);
}

/** Makes the directory and its record; the place itself is the driver's to make, but for a staging directory. */
export async function preparePlace(place: Place, options: { readonly makeTarget: boolean }): Promise<void> {
  await makeDirectory(place.directory, 0o750);
  await writeRecord({ ...place, ready: false });
  if (options.makeTarget) await makeDirectory(place.target, 0o750);
}

/** Remembers that a place is filled: a later run then leaves it alone as long as it is mounted. */
export function finishPlace(place: Place): Promise<void> {
  return writeRecord({ ...place, ready: true });
}

export async function isFinished({ directory, target }: Pick<Place, 'directory' | 'target'>): Promise<boolean> {
  return (await readRecord(directory))?.ready === true && (await isMounted(target));
}

async function writeRecord(place: Place): Promise<void> {
  const { directory, driverName, volumeHandle, volumeLifecycleMode = 'Persistent', block = false, ready } = place;
  const fresh = join(directory, `${recordName}.new`);
  const text = JSON.stringify({ driverName, volumeHandle, volumeLifecycleMode, block, ready });
  await writeFile(fresh, text, { mode: 0o600, flush: true });
  await rename(fresh, join(directory, recordName));
}

/**
 * Removes an emptied place and its record. Nothing but an empty directory, or an empty file of a block volume, is ever removed: what a
 * driver left mounted or lying there stays, with an error that says so.
 */
export async function removePlace({ directory, target }: Pick<Place, 'directory' | 'target'>): Promise<void> {
  if (await isMounted(target))
    throw new VolumeError('StillMounted', `the driver has not unmounted ${target}; it is left as it is`);
  const found = await lstat(target).catch(() => undefined);
  try {
    if (found?.isDirectory()) await rmdir(target);
    else if (found !== undefined && (!found.isFile() || found.size === 0)) await unlink(target);
    for (const name of [recordName, `${recordName}.new`]) await unlink(join(directory, name)).catch(() => {});
    await rmdir(directory).catch(unlessMissing);
  } catch (error) {
    throw new VolumeError('NotEmpty', `the driver left something in ${target}; it is kept, and the volume with it`, {
      cause: error,
    });
  }
  // Gone when this was the last of them; otherwise not empty, and that is fine.
  await rmdir(dirname(directory)).catch(() => {});
}

function unlessMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
