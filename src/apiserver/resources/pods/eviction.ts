import { type AnyObject, builtinSchema, type Pod, type PodDisruptionBudget, type Status } from '#api';
import { rfc3339 } from '#base';
import { isPodReady, isPodTerminal } from '#kinds';
import {
  ApiError,
  cloneObject,
  errBadRequest,
  errInternal,
  errNotFound,
  errTooManyRequests,
  isConflict,
  labelSelectorOf,
} from '#machinery';
import type { ServerRequest } from '../../contract.ts';
import { admit } from '../admit.ts';
import type { ResourceContext, Verb } from '../context.ts';
import { type DeleteOptions, deleteObject } from '../delete.ts';
import type { KindResource } from '../kind-resource.ts';
import { builtinDraft, readDraft } from '../read-draft.ts';
import { respondPlain } from '../respond-object.ts';
import { updateObject } from '../update.ts';
import { type WriteOptions, writeOptions } from '../write-options.ts';

const evictionType = builtinDraft('policy/v1', 'Eviction', 'policy/v1.Eviction', ['policy/v1beta1']);
const success: Status = Object.freeze({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
const attempts = 10;
const mostDisrupted = 2000;

/** POST pods/NAME/eviction: a deletion that disruption budgets may refuse with 429. */
export const evictPod: Verb = async (context, kind, request) => {
  const options = writeOptions(request, 'CreateOptions');
  const eviction = await readDraft(request, evictionType, options);
  const { namespace, name } = request.info;
  eviction.metadata.name ||= name;
  if (eviction.metadata.name !== name) throw errBadRequest('name in URL does not match name in Eviction object');
  const admission = admit({
    context,
    request,
    operation: 'CREATE',
    definition: kind.definition,
    subresource: 'eviction',
    kind: { group: 'policy', version: 'v1', kind: 'Eviction' },
    object: eviction,
    dryRun: options.dryRun,
  });
  await admission.mutate();
  await admission.validate();
  const current = await kind.storage.get(kind.key(namespace, name));
  if (current === undefined) throw errNotFound(kind.groupResource, name);
  const pod = current.objectAs(kind.definition) as unknown as Pod;
  if (needsBudget(pod)) await takeDisruption(context, request, pod, options);
  await deleteObject({ context, kind, request, options: deletionOf(eviction, options), current });
  return respondPlain(request, success, builtinSchema.type('meta/v1.Status'), 201);
};

function deletionOf(eviction: AnyObject, options: WriteOptions): DeleteOptions {
  const asked = (eviction.deleteOptions ?? {}) as {
    gracePeriodSeconds?: number;
    propagationPolicy?: DeleteOptions['propagationPolicy'];
    preconditions?: DeleteOptions['preconditions'];
    dryRun?: string[];
  };
  return {
    dryRun: options.dryRun || (asked.dryRun?.length ?? 0) > 0,
    gracePeriodSeconds: asked.gracePeriodSeconds,
    propagationPolicy: asked.propagationPolicy,
    preconditions: asked.preconditions ?? {},
    orphanDependents: undefined,
  };
}

/** Pods that serve nobody may always go. */
function needsBudget(pod: Pod): boolean {
  return !isPodTerminal(pod) && pod.status?.phase !== 'Pending' && pod.metadata.deletionTimestamp === undefined;
}

async function takeDisruption(
  context: ResourceContext,
  request: ServerRequest,
  pod: Pod,
  options: WriteOptions,
): Promise<void> {
  const budgets = context.registry.find('policy', 'v1', 'poddisruptionbudgets') as KindResource;
  const { cache } = budgets.storage;
  await cache.ready;
  await cache.fresh();
  const { namespace = '' } = pod.metadata;
  const matching = cache
    .snapshot()
    .slice(`${namespace}/`, `${namespace}0`)
    .filter((one) =>
      labelSelectorOf((one.object as unknown as PodDisruptionBudget).spec?.selector).matches(pod.metadata.labels),
    );
  if (matching.length === 0) return;
  if (matching.length > 1) {
    throw new ApiError({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
      code: 500,
    });
  }
  const { key } = matching[0] as { key: string };
  for (let attempt = 1; ; attempt++) {
    const current = await budgets.storage.get(key);
    if (current === undefined) return;
    const budget = current.object as unknown as PodDisruptionBudget;
    if (mayGoUnready(pod, budget)) return;
    refuseUnlessAllowed(budget);
    try {
      await updateObject({
        context,
        kind: budgets,
        request,
        options,
        subresource: 'status',
        current,
        conditional: true,
        admitted: true,
        managed: true,
        unchecked: true,
        change: (old) => {
          if (old.metadata.resourceVersion !== current.object.metadata.resourceVersion) throw refusal(budget);
          const draft = cloneObject(old) as unknown as PodDisruptionBudget;
          const status = draft.status as NonNullable<PodDisruptionBudget['status']>;
          status.disruptionsAllowed = (status.disruptionsAllowed ?? 0) - 1;
          status.disruptedPods = { ...status.disruptedPods, [pod.metadata.name]: rfc3339(context.clock.nowMs()) };
          return draft as unknown as AnyObject;
        },
      });
      return;
    } catch (error) {
      if (!isConflict(error) || attempt === attempts) throw error;
    }
  }
}

/** A pod that is not ready does not count, when the budget is met or says that such pods may always go. */
function mayGoUnready(pod: Pod, budget: PodDisruptionBudget): boolean {
  if (isPodReady(pod)) return false;
  if (budget.spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = budget.status ?? {};
  return currentHealthy >= desiredHealthy && desiredHealthy > 0;
}

function refuseUnlessAllowed(budget: PodDisruptionBudget): void {
  const status = budget.status ?? ({} as NonNullable<PodDisruptionBudget['status']>);
  if ((status.observedGeneration ?? 0) < (budget.metadata.generation ?? 0)) {
    throw withCause(
      errTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 10),
      `The disruption budget ${budget.metadata.name} is still being processed by the server.`,
    );
  }
  if ((status.disruptionsAllowed ?? 0) <= 0) throw refusal(budget);
  if (Object.keys(status.disruptedPods ?? {}).length > mostDisrupted) {
    throw errInternal('DisruptedPods map too big - too many evictions not confirmed by PDB controller');
  }
}

function refusal(budget: PodDisruptionBudget): Error {
  const { desiredHealthy = 0, currentHealthy = 0 } = budget.status ?? {};
  return withCause(
    errTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget."),
    `The disruption budget ${budget.metadata.name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`,
  );
}

function withCause({ status }: ApiError, message: string): ApiError {
  return new ApiError({ ...status, details: { ...status.details, causes: [{ reason: 'DisruptionBudget', message }] } });
}
