import { statfs } from 'node:fs/promises';
import { type Clock, type Log, messageOf, sleep } from '#base';
import type { Cri, Image } from '../cri/contract.ts';
import { pauseImageName } from './oci-archive.ts';

const intervalMs = 300_000;
const highShare = 0.85;
const lowShare = 0.8;
/** An image that was in use, or came, this recently is left alone. */
const youngMs = 120_000;

export interface CollectionInput {
  readonly images: readonly Image[];
  /** Ids and references of images that containers were made from. */
  readonly used: ReadonlySet<string>;
  /** When each image, by id, was last seen in use or first seen at all. */
  readonly seenMs: ReadonlyMap<string, number>;
  readonly nowMs: number;
  readonly bytesToFree: number;
  /** Names never removed: the sandbox image, which no registry may have. */
  readonly kept: readonly string[];
}

/** Which images to remove, the longest unused first, until enough is freed. Pure. */
export function planImageCollection(input: CollectionInput): Image[] {
  const { images, used, seenMs, nowMs, bytesToFree, kept } = input;
  const candidates = images
    .filter(({ id, repo_tags: tags, repo_digests: digests, pinned }) => {
      const names = [id, ...tags, ...digests];
      return (
        !pinned &&
        !names.some((name) => used.has(name) || kept.includes(name)) &&
        nowMs - (seenMs.get(id) ?? nowMs) >= youngMs
      );
    })
    .sort((a, b) => (seenMs.get(a.id) ?? 0) - (seenMs.get(b.id) ?? 0) || b.size - a.size);
  const chosen: Image[] = [];
  let freed = 0;
  for (const image of candidates) {
    if (freed >= bytesToFree) break;
    chosen.push(image);
    freed += image.size;
  }
  return chosen;
}

/** Removes unused images when their disk is more than 85 % full, down to 80 %, until the signal aborts. */
export async function startImageCollector(options: {
  readonly cri: Cri;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { cri, clock, log, signal } = options;
  const seenMs = new Map<string, number>();
  while (!signal.aborted) {
    await sleep(clock, intervalMs, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      const [images, containers] = await Promise.all([cri.listImages(), cri.listContainers()]);
      const used = new Set(containers.flatMap(({ image, image_ref: reference }) => [reference, image?.image ?? '']));
      const nowMs = clock.nowMs();
      for (const { id } of images) if (!seenMs.has(id) || used.has(id)) seenMs.set(id, nowMs);
      const bytesToFree = await excess(cri);
      if (bytesToFree <= 0) continue;
      for (const image of planImageCollection({ images, used, seenMs, nowMs, bytesToFree, kept: [pauseImageName] })) {
        log.info(
          { image: image.repo_tags[0] ?? image.id, bytes: image.size },
          'removing an unused image, the disk is nearly full',
        );
        await cri.removeImage(image.id);
        seenMs.delete(image.id);
      }
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'unused images were not removed');
    }
  }
}

/** Bytes above the low mark once the high mark is passed; 0 below it. */
async function excess(cri: Cri): Promise<number> {
  const mountpoint = (await cri.imageFsInfo())[0]?.fs_id?.mountpoint;
  const disk = mountpoint === undefined ? undefined : await statfs(mountpoint).catch(() => undefined);
  if (disk === undefined || disk.blocks === 0) return 0;
  const usedShare = 1 - disk.bavail / disk.blocks;
  return usedShare < highShare ? 0 : (usedShare - lowShare) * disk.blocks * disk.bsize;
}
