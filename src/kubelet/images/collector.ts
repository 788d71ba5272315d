import { statfs } from 'node:fs/promises';
import { type Clock, type Log, messageOf, sleep } from '#base';
import type { Cri, Image } from '../cri/contract.ts';
import { pauseImageName } from './oci-archive.ts';

const intervalMs = 300_000;
const defaultHighPercent = 85;
const defaultLowPercent = 80;
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

export interface ImageCollector {
  /** Removes images that nothing uses, young ones too: the disk is short now. */
  reclaim(): Promise<void>;
  /** Resolves when it has ended after its signal. */
  readonly done: Promise<void>;
}

export interface ImageCollectorOptions {
  readonly cri: Cri;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Per cent of the disk of images in use from which unused ones go, down to the lower. 100 as the higher: never. Default 85 and 80. */
  readonly highPercent?: number;
  readonly lowPercent?: number;
}

/** Removes unused images when their disk is nearly full, until the signal aborts. */
export function startImageCollector(options: ImageCollectorOptions): ImageCollector {
  const { cri, clock, log, signal, highPercent = defaultHighPercent, lowPercent = defaultLowPercent } = options;
  const seenMs = new Map<string, number>();
  const collect = async (wish: { readonly bytesToFree: () => Promise<number>; readonly young: boolean }) => {
    const [images, containers] = await Promise.all([cri.listImages(), cri.listContainers()]);
    const used = new Set(containers.flatMap(({ image, image_ref: reference }) => [reference, image?.image ?? '']));
    const nowMs = clock.nowMs();
    for (const { id } of images) if (!seenMs.has(id) || used.has(id)) seenMs.set(id, nowMs);
    const bytesToFree = await wish.bytesToFree();
    if (bytesToFree <= 0) return;
    const facts = { images, used, seenMs, nowMs: wish.young ? Number.POSITIVE_INFINITY : nowMs, bytesToFree };
    for (const image of planImageCollection({ ...facts, kept: [pauseImageName] })) {
      log.info(
        { image: image.repo_tags[0] ?? image.id, bytes: image.size },
        'removing an unused image, the disk is nearly full',
      );
      await cri.removeImage(image.id);
      seenMs.delete(image.id);
    }
  };
  const excess = async (): Promise<number> => {
    const directory = await imageDirectory(cri);
    const disk = directory === undefined ? undefined : await statfs(directory).catch(() => undefined);
    if (disk === undefined || disk.blocks === 0) return 0;
    const usedShare = 1 - disk.bavail / disk.blocks;
    return usedShare * 100 < highPercent ? 0 : (usedShare - lowPercent / 100) * disk.blocks * disk.bsize;
  };
  const warn = (error: unknown): void => log.warn({ error: messageOf(error) }, 'unused images were not removed');
  const done = (async () => {
    while (!signal.aborted && highPercent < 100) {
      await sleep(clock, intervalMs, signal).catch(() => {});
      if (!signal.aborted) await collect({ bytesToFree: excess, young: false }).catch(warn);
    }
  })();
  return {
    reclaim: () => collect({ bytesToFree: async () => Number.POSITIVE_INFINITY, young: true }).catch(warn),
    done,
  };
}

/** Where the runtime keeps images; undefined while it does not say. */
export async function imageDirectory(cri: Cri): Promise<string | undefined> {
  return (await cri.imageFsInfo())[0]?.fs_id?.mountpoint;
}
