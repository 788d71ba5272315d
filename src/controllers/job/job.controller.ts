import { messageOf, rfc3339 } from '#base';
import { type Job, type Pod, resource } from '#api';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import { controllerOf, isConflict, isNamespaceTerminating, isNotFound, labelSelectorOf } from '#machinery';
import { type ControllerContext, defineController, type RunningPart, together } from '../definition.ts';
import { claim, claimIndexes } from '../ownership/claim.ts';
import { PendingDeletions } from '../pods/pending-deletions.ts';
import { slowStart } from '../pods/slow-start.ts';
import { type JobPlan, planJob } from './plan.ts';
import { isTracked, podOfJob, trackingFinalizer } from './pods.ts';

const jobs = resource('batch/v1', 'jobs');
const pods = resource('v1', 'pods');

/** Runs pods until enough have succeeded. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const informer = informers.of<Job>(jobs);
  const podInformer = informers.of<Pod>(pods, { indexes: claimIndexes });
  const events = context.events('job-controller');
  const deleting = new PendingDeletions(clock, podInformer);

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const job = informer.get(namespace, name);
    if (
      job === undefined ||
      (job.spec.managedBy !== undefined && job.spec.managedBy !== 'kubernetes.io/job-controller')
    )
      return;
    const selector = labelSelectorOf(job.spec.selector);
    const claimed = await claim({ client, owner: job, ownerResource: jobs, informer: podInformer, selector });
    const nowMs = clock.nowMs();
    const plan = planJob({
      job,
      pods: claimed,
      isGoing: (pod) => deleting.has(pod),
      now: { ms: nowMs, text: rfc3339(nowMs) },
    });
    await act(job, plan);
    return plan.requeueAfterMs === undefined ? undefined : { requeueAfterMs: plan.requeueAfterMs };
  }

  async function act(job: Job, plan: JobPlan): Promise<void> {
    let current = job;
    if (plan.counting !== undefined) current = await writeStatus(current, plan.counting);
    await Promise.all(plan.release.map(releasePod));
    await Promise.all(plan.remove.map((pod) => removePod(job, pod)));
    const { error } = await slowStart(plan.create.length, (at) =>
      createPod(job, plan.create[at]?.index, plan.create[at]?.failures),
    );
    if (plan.status !== undefined) {
      const status = error === undefined ? plan.status : { ...plan.status, active: activeNow(job) };
      await writeStatus(current, status);
    }
    for (const { type, reason, message } of plan.events) events.event(job, type, reason, message);
    if (error !== undefined) throw error;
  }

  function activeNow(job: Job): number {
    return podInformer
      .byIndex('owner', job.metadata.uid)
      .filter(
        ({ metadata, status }) =>
          metadata.deletionTimestamp === undefined && status?.phase !== 'Succeeded' && status?.phase !== 'Failed',
      ).length;
  }

  async function writeStatus(job: Job, status: NonNullable<Job['status']>): Promise<Job> {
    const written = await client.update<Job>(jobs, { ...job, status }, { subresource: 'status' });
    informer.observe(written);
    return written;
  }

  async function releasePod(pod: Pod): Promise<void> {
    const { name, namespace, uid, finalizers = [] } = pod.metadata;
    const left = finalizers.filter((one) => one !== trackingFinalizer);
    const body = {
      metadata: { uid, resourceVersion: pod.metadata.resourceVersion, finalizers: left.length === 0 ? null : left },
    };
    try {
      const patched = await client.patch<Pod>(pods, name, { type: 'merge', body }, { namespace });
      if (patched.metadata.deletionTimestamp === undefined) podInformer.observe(patched);
    } catch (error) {
      if (isNotFound(error)) return;
      if (!isConflict(error)) throw error;
      const fresh = await client.get<Pod>(pods, name, { namespace }).catch((failure) => {
        if (isNotFound(failure)) return undefined;
        throw failure;
      });
      if (fresh !== undefined && fresh.metadata.uid === uid && isTracked(fresh)) await releasePod(fresh);
    }
  }

  async function removePod(job: Job, pod: Pod): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    await deleting.during(pod, async () => {
      try {
        await client.delete(pods, name, { namespace, preconditions: { uid } });
        events.event(job, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    });
  }

  async function createPod(job: Job, index: number | undefined, failures: number | undefined): Promise<void> {
    try {
      const made = await client.create<Pod>(pods, podOfJob(job, index, failures));
      podInformer.observe(made);
      events.event(job, 'Normal', 'SuccessfulCreate', `Created pod: ${made.metadata.name}`);
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      events.event(job, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
      throw error;
    }
  }

  /** Pods whose job is gone must not be held by its finalizer. */
  async function releaseOrphan(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const pod = podInformer.get(namespace, name);
    if (pod === undefined || !isTracked(pod)) return;
    const owner = controllerOf(pod);
    const job = owner?.kind === 'Job' ? informer.get(namespace, owner.name) : undefined;
    if (job !== undefined && job.metadata.uid === owner?.uid) return;
    if (owner?.kind === 'Job') {
      const live = await client.get<Job>(jobs, owner.name, { namespace }).catch((error) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      if (live?.metadata.uid === owner.uid) return;
    }
    await releasePod(pod);
  }

  function jobOf(pod: Pod): string | undefined {
    const owner = controllerOf(pod);
    return owner?.kind === 'Job' ? `${pod.metadata.namespace}/${owner.name}` : undefined;
  }

  const main = startController({
    name: 'job',
    clock,
    log,
    sources: [changesOf(informer), changesOf(podInformer, jobOf)],
    reconcile,
    pace: 3,
  });
  const orphans = startController({
    name: 'job-orphan-pods',
    queueName: 'job_orphan_pod',
    clock,
    log,
    sources: [
      changesOf(podInformer, (pod, { type }) =>
        type !== 'deleted' && isTracked(pod) && !hasJob(pod) ? keyOf(pod) : undefined,
      ),
      changesOf(informer, (job, { type }) =>
        type === 'deleted' ? podInformer.byIndex('owner', job.metadata.uid).filter(isTracked).map(keyOf) : undefined,
      ),
    ],
    reconcile: releaseOrphan,
  });

  function hasJob(pod: Pod): boolean {
    const owner = controllerOf(pod);
    return owner?.kind === 'Job' && informer.get(pod.metadata.namespace, owner.name)?.metadata.uid === owner.uid;
  }

  return together([main, orphans]);
}

export const jobController = defineController({ name: 'job-controller', start });
