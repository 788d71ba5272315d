import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, type Log, messageOf } from '#base';
import type { Node, Pod } from '#api';
import type { Informer } from '#client';
import type { NodePressure } from '../eviction/plan-eviction.ts';
import { isRuntimeNotFound } from '../cri/errors.ts';
import { podNameLabel, podNamespaceLabel, podUidLabel } from '../cri/names.ts';
import { admitPod } from './admission.ts';
import type { PodContext } from './context.ts';
import type { Relist } from './relist.ts';
import { PodWorker } from './worker.ts';

export interface PodSet {
  get(uid: string): PodWorker | undefined;
  list(): readonly PodWorker[];
  /** Something of that pod changed in the runtime. */
  runtimeChanged(uid: string): void;
  refreshVolumes(uid: string): void;
  close(): void;
}

const sweepMs = 30_000;

/** One worker for each pod of this node, and an end for whatever the runtime or the disk still has of pods that are no more. */
export function startPodSet(options: {
  readonly context: PodContext;
  readonly informer: Informer<Pod>;
  readonly relist: Relist;
  /** The node, once registered. */
  readonly node: () => Node | undefined;
  readonly pressure: () => NodePressure;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}): PodSet {
  const { context, informer, relist, clock, log, signal } = options;
  const workers = new Map<string, PodWorker>();

  function add(pod: Pod): PodWorker {
    const { uid } = pod.metadata;
    const worker = new PodWorker(context, pod, () => workers.delete(uid));
    workers.set(uid, worker);
    return worker;
  }

  const stop = informer.onChange(({ type, object }) => {
    const { uid } = object.metadata;
    const worker = workers.get(uid);
    if (type === 'deleted') return worker?.remove(object);
    if (worker !== undefined) return worker.update(object);
    const added = add(object);
    const isNew =
      object.status?.startTime === undefined &&
      object.metadata.deletionTimestamp === undefined &&
      !relist.uids.has(uid);
    const others = [...workers.values()].map(({ pod }) => pod);
    const facts = { others, allocatable: context.allocatable(), node: options.node(), pressure: options.pressure() };
    const refused = isNew ? admitPod(object, facts) : undefined;
    if (refused === undefined) return added.wake();
    context.events.pod(object, 'Warning', refused.reason, refused.message);
    added.fail(refused);
  });

  async function sweep(): Promise<void> {
    await informer.synced;
    await relist.now();
    if (relist.lastAnswerMs === undefined) return;
    const [sandboxes, containers, present] = await Promise.all([
      context.cri.listPodSandboxes(),
      context.cri.listContainers(),
      context.volumes.present(),
    ]);
    for (const { labels, metadata } of sandboxes) {
      const uid = labels[podUidLabel];
      if (uid === undefined || workers.has(uid)) continue;
      log.info({ pod: metadata.name, namespace: metadata.namespace, uid }, 'ending a pod that the API does not know');
      add(orphan(uid, labels)).remove(orphan(uid, labels));
    }
    for (const { id, labels } of containers) {
      const uid = labels[podUidLabel];
      if (uid === undefined || workers.has(uid)) continue;
      await context.cri.removeContainer(id).catch((error: unknown) => {
        if (!isRuntimeNotFound(error)) throw error;
      });
    }
    await removeDanglingLinks(context.containerLogsDir);
    for (const uid of present) {
      if (workers.has(uid)) continue;
      log.info({ uid }, 'removing what a pod left behind');
      await context.volumes.tearDown(uid);
      await context.cgroups.remove(uid);
    }
  }

  const sweepOften = (): void => {
    if (signal.aborted) return;
    sweep()
      .catch((error: unknown) => log.warn({ error: messageOf(error) }, 'leftovers of pods were not removed'))
      .finally(() => {
        if (!signal.aborted) timer = clock.setTimer(sweepOften, sweepMs);
      });
  };
  let timer = clock.setTimer(sweepOften, 0);

  return {
    get: (uid) => workers.get(uid),
    list: () => [...workers.values()],
    runtimeChanged: (uid) => workers.get(uid)?.runtimeChanged(),
    refreshVolumes: (uid) => workers.get(uid)?.refreshVolumes(),
    close() {
      stop();
      timer.cancel();
      for (const worker of workers.values()) worker.close();
      workers.clear();
    },
  };
}

/** Links to logs that are no more. */
async function removeDanglingLinks(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const link = join(directory, name);
    const dangling = await stat(link).then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
    );
    if (dangling) await unlink(link).catch(() => {});
  }
}

/** What is left to know of a pod when only its sandbox remains. */
function orphan(uid: string, labels: Readonly<Record<string, string>>): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: labels[podNameLabel] ?? uid, namespace: labels[podNamespaceLabel] ?? '', uid },
    spec: { containers: [], terminationGracePeriodSeconds: 1 },
    status: {},
  } as unknown as Pod;
}
