import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, type Log, messageOf, makeDirectory } from '#base';
import type { Client } from '#client';
import { type ClaimedVolumes, openClaimedVolumes } from './claimed-volumes.ts';
import type { CsiVolumes } from './csi/csi-volumes.ts';
import { openLocalVolumes } from './local-volumes.ts';
import { openStorageService, type StorageService } from './storage-service.ts';
import type { TokenSource } from './tokens.ts';
import { watchFolder } from './watch-folder.ts';

export interface NodeStorageOptions {
  readonly rootDir: string;
  readonly nodeName: string;
  readonly client: Client;
  readonly tokens: TokenSource;
  readonly clock: Clock;
  readonly log: Log;
  readonly nodeLabels: () => Readonly<Record<string, string>> | undefined;
  /** Which volumes are in use has changed. */
  readonly onUse: () => void;
}

export interface NodeStorage {
  readonly claimed: ClaimedVolumes;
  readonly service: StorageService;
  /** Unique names of the volumes that must not be detached from this node. */
  inUse(): Promise<readonly string[]>;
  /** Begins to look for drivers. */
  watchDrivers(): void;
  close(): void;
}

/** The storage of a node: directories of its own, NFS, and the drivers that are installed on it. Drivers' code is loaded with the first driver. */
export async function openNodeStorage(options: NodeStorageOptions): Promise<NodeStorage> {
  const { rootDir, log } = options;
  const registry = join(rootDir, 'plugins_registry');
  const driverData = join(rootDir, 'plugins', 'kubernetes.io', 'csi');
  let opened: Promise<CsiVolumes> | undefined;
  let watcher: { close(): void } | undefined;
  let closed = false;
  await makeDirectory(registry, 0o750);
  let leftovers = (await exists(driverData)) || (await anyPublished(join(rootDir, 'pods')));

  const csi = (): Promise<CsiVolumes> => {
    watcher?.close();
    opened ??= import('./csi/csi-volumes.ts').then(({ openCsiVolumes }) => openCsiVolumes(options));
    // The next who asks tries again.
    opened.catch(() => {
      opened = undefined;
    });
    return opened;
  };
  const hasCsi = (): boolean => opened !== undefined || leftovers;

  const lookForDrivers = async (): Promise<void> => {
    if (closed || opened !== undefined) return;
    if (leftovers || (await readdir(registry)).length > 0) await csi();
  };
  const look = (): void =>
    void lookForDrivers().catch((error) => log.warn({ error: messageOf(error) }, 'storage drivers were not found'));

  return {
    claimed: openClaimedVolumes({ ...options, csi, hasCsi }),
    service: openStorageService({
      nodeName: options.nodeName,
      local: openLocalVolumes({ directory: join(rootDir, 'local-volumes'), clock: options.clock }),
      csi,
    }),
    inUse: async () => (hasCsi() ? (await csi()).inUse() : []),
    watchDrivers() {
      if (closed) return;
      watcher = watchFolder(registry, look, options);
      look();
    },
    close() {
      closed = true;
      leftovers = false;
      watcher?.close();
      void opened?.then((one) => one.close());
    },
  };
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Whether a driver was asked to publish anything for a pod by an earlier run. */
async function anyPublished(podsDir: string): Promise<boolean> {
  const uids = await readdir(podsDir).catch(() => []);
  const found = await Promise.all(uids.map((uid) => exists(join(podsDir, uid, 'volumes', 'kubernetes.io~csi'))));
  return found.includes(true);
}
