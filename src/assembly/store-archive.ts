import type { ByteSink, Route } from '#apiserver';
import { type Clock, type Closable, type Log, messageOf, type Random } from '#base';
import { errMethodNotAllowed, errTooManyRequests } from '#machinery';
import { type Compactor, type Store, writeArchive } from '#store';
import type { ServerConfiguration } from './server-configuration.ts';

export interface ArchiveOptions {
  readonly store: Store;
  readonly compactor: Compactor;
  readonly clock: Clock;
  readonly log: Log;
}

/** The same path as `admin` asks for. */
const path = '/k8ts/store/archive';
const mostAtOnce = 2;

/** The store's content and history, compaction held meanwhile. */
export async function* archiveOf({ store, compactor, clock }: ArchiveOptions): AsyncGenerator<Uint8Array> {
  const release = compactor.hold();
  try {
    yield* writeArchive({ store, takenAtMs: clock.nowMs(), times: compactor.times() });
  } finally {
    release();
  }
}

/** Serves the store's archive to those whom RBAC allows everything: `k8ts backup` asks for it. */
export function archiveRoute(options: ArchiveOptions): Route {
  let running = 0;
  return {
    path,
    listed: false,
    async handle(request) {
      if (request.method !== 'GET') throw errMethodNotAllowed();
      if (running >= mostAtOnce)
        throw errTooManyRequests('other backups are being taken, try again when they are done', 5);
      running++;
      const archive = archiveOf(options);
      let first: IteratorResult<Uint8Array>;
      try {
        first = await archive.next();
      } catch (error) {
        running--;
        throw error;
      }
      return {
        status: 200,
        headers: { 'content-type': 'application/octet-stream' },
        stream: (sink) =>
          void pump(archive, first, sink)
            .catch((error) => {
              options.log.error({ error: messageOf(error) }, 'a backup was broken off');
              sink.destroy();
            })
            .finally(() => void running--),
      };
    },
  };
}

async function pump(
  archive: AsyncGenerator<Uint8Array>,
  first: IteratorResult<Uint8Array>,
  sink: ByteSink,
): Promise<void> {
  let closed = false;
  let wake: (() => void) | undefined;
  const stir = (): void => wake?.();
  sink.onDrain(stir);
  sink.onClose(() => {
    closed = true;
    stir();
  });
  try {
    for (let piece = first; piece.done !== true; piece = await archive.next()) {
      if (closed) return;
      if (sink.write(piece.value)) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (closed) resolve();
      });
    }
    sink.end();
  } finally {
    await archive.return(undefined);
  }
}

/** Backups by schedule, when the configuration asks for them. */
export async function startScheduledSnapshots(
  options: ArchiveOptions & { readonly configuration: ServerConfiguration; readonly random: Random },
): Promise<Closable> {
  const { configuration, clock, random, log } = options;
  const { snapshots } = configuration;
  if (snapshots === undefined) return { close: async () => {} };
  const { startSnapshots, takeBackup } = await (await import('#admin')).loadBackup();
  const { dir, everyMs, keep, places } = snapshots;
  return startSnapshots({
    dir,
    everyMs,
    keep,
    clock,
    random,
    log: log.child({ component: 'snapshots' }),
    take: async (file) => {
      await takeBackup({ file, places, archive: () => archiveOf(options), nowMs: clock.nowMs(), random });
    },
  });
}
