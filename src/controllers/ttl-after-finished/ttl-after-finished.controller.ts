import { type Job, resource } from '#api';
import { changesOf, type Outcome, splitKey, startController } from '#client';
import { isNotFound, parseTimeMs } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { finishedCondition } from '../job/plan.ts';

const jobs = resource('batch/v1', 'jobs');

/** Deletes finished Jobs `ttlSecondsAfterFinished` after they ended. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const informer = informers.of<Job>(jobs);

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const job = informer.get(namespace, name);
    const leftMs = job === undefined ? undefined : leftToLiveMs(job, clock.nowMs());
    if (job === undefined || leftMs === undefined) return;
    if (leftMs > 0) return { requeueAfterMs: leftMs };
    const live = await client.get<Job>(jobs, name, { namespace }).catch((error) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    const liveLeftMs = live?.metadata.uid === job.metadata.uid ? leftToLiveMs(live, clock.nowMs()) : undefined;
    if (liveLeftMs === undefined) return;
    if (liveLeftMs > 0) return { requeueAfterMs: liveLeftMs };
    const preconditions = { uid: job.metadata.uid };
    await client.delete(jobs, name, { namespace, propagationPolicy: 'Foreground', preconditions }).catch((error) => {
      if (!isNotFound(error)) throw error;
    });
  }

  return startController({
    name: 'ttl-after-finished',
    queueName: 'ttl_jobs_to_delete',
    clock,
    log,
    sources: [changesOf(informer)],
    reconcile,
  });
}

function leftToLiveMs(job: Job, nowMs: number): number | undefined {
  const { ttlSecondsAfterFinished } = job.spec;
  const finished = finishedCondition(job);
  if (ttlSecondsAfterFinished === undefined || finished === undefined || job.metadata.deletionTimestamp !== undefined)
    return undefined;
  return parseTimeMs(finished.lastTransitionTime) + ttlSecondsAfterFinished * 1000 - nowMs;
}

export const ttlAfterFinishedController = defineController({ name: 'ttl-after-finished-controller', start });
