import { messageOf } from '#base';
import { type CronJob, type CronJobStatus, type Job, resource } from '#api';
import { changesOf, type Outcome, splitKey, startController } from '#client';
import { controllerOf, isAlreadyExists, isNamespaceTerminating, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { planCronJob, referenceTo } from './plan.ts';

const cronJobs = resource('batch/v1', 'cronjobs');
const jobs = resource('batch/v1', 'jobs');

/** Makes Jobs at the times a CronJob says. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const informer = informers.of<CronJob>(cronJobs);
  const jobInformer = informers.of<Job>(jobs);
  const events = context.events('cronjob-controller');

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const cronJob = informer.get(namespace, name);
    if (cronJob === undefined) return;
    const plan = planCronJob({
      cronJob,
      jobs: jobInformer.byIndex('owner', cronJob.metadata.uid),
      nowMs: clock.nowMs(),
    });
    for (const { type, reason, message } of plan.events) events.event(cronJob, type, reason, message);
    for (const job of plan.remove) await removeJob(cronJob, job);
    let status: CronJobStatus | undefined = plan.status;
    if (plan.create !== undefined) {
      const made = await createJob(cronJob, plan.create);
      if (made !== undefined) {
        const base = { ...(plan.status ?? cronJob.status) };
        const active = (base.active ?? []).filter((one) => !plan.remove.some((job) => job.metadata.uid === one.uid));
        status = {
          ...base,
          active: [...active, referenceTo(made)],
          ...(plan.scheduledTime === undefined ? {} : { lastScheduleTime: plan.scheduledTime }),
        };
      }
    }
    if (status !== undefined)
      informer.observe(await client.update<CronJob>(cronJobs, { ...cronJob, status }, { subresource: 'status' }));
    return plan.requeueAfterMs === undefined ? undefined : { requeueAfterMs: plan.requeueAfterMs };
  }

  async function createJob(
    cronJob: CronJob,
    wanted: Parameters<typeof client.create<Job>>[1],
  ): Promise<Job | undefined> {
    try {
      const made = await client.create<Job>(jobs, wanted);
      jobInformer.observe(made);
      events.event(cronJob, 'Normal', 'SuccessfulCreate', `Created job ${made.metadata.name}`);
      return made;
    } catch (error) {
      if (isNamespaceTerminating(error)) return undefined;
      if (isAlreadyExists(error)) {
        const there = await client.get<Job>(jobs, wanted.metadata.name as string, {
          namespace: cronJob.metadata.namespace,
        });
        return controllerOf(there)?.uid === cronJob.metadata.uid ? there : undefined;
      }
      events.event(cronJob, 'Warning', 'FailedCreate', `Error creating job: ${messageOf(error)}`);
      throw error;
    }
  }

  async function removeJob(cronJob: CronJob, { metadata }: Job): Promise<void> {
    const { name, namespace, uid } = metadata;
    try {
      await client.delete(jobs, name, { namespace, propagationPolicy: 'Background', preconditions: { uid } });
      events.event(cronJob, 'Normal', 'SuccessfulDelete', `Deleted job ${name}`);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  return startController({
    name: 'cronjob',
    clock,
    log,
    sources: [
      changesOf(informer),
      changesOf(jobInformer, (job) => {
        const owner = controllerOf(job);
        return owner?.kind === 'CronJob' ? `${job.metadata.namespace}/${owner.name}` : undefined;
      }),
    ],
    reconcile,
  });
}

export const cronJobController = defineController({ name: 'cronjob-controller', start });
