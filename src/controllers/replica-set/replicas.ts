import { messageOf, rfc3339 } from '#base';
import {
  type KubeObject,
  type LabelSelector,
  type Pod,
  type PodTemplateSpec,
  type ReplicaSetStatus,
  type ResourceInfo,
  resource,
} from '#api';
import { changesOf, type Informer, keyOf, type Outcome, splitKey, startController } from '#client';
import { isPodActive, isPodTerminal } from '#kinds';
import { controllerOf, isNamespaceTerminating, isNotFound, labelSelectorOf } from '#machinery';
import type { ControllerContext, RunningPart } from '../definition.ts';
import { claim, claimIndexes } from '../ownership/claim.ts';
import { podFromTemplate } from '../pods/from-template.ts';
import { PendingDeletions } from '../pods/pending-deletions.ts';
import { slowStart } from '../pods/slow-start.ts';
import { nextAvailableMs, planReplicaStatus, planReplicas } from './plan.ts';

/** ReplicaSet and ReplicationController alike. */
export interface ReplicaOwner extends KubeObject {
  spec: { replicas?: number; minReadySeconds?: number; template?: PodTemplateSpec };
  status?: ReplicaSetStatus;
}

export interface ReplicaKind<T extends ReplicaOwner> {
  readonly name: string;
  readonly component: string;
  readonly resource: ResourceInfo;
  readonly selector: (owner: T) => LabelSelector | undefined;
}

const pods = resource('v1', 'pods');

/** Keeps `spec.replicas` pods of a kind's template alive: the controller behind ReplicaSets and ReplicationControllers. */
export function startReplicas<T extends ReplicaOwner>(context: ControllerContext, kind: ReplicaKind<T>): RunningPart {
  const { client, informers, clock, log } = context;
  const owners = informers.of<T>(kind.resource);
  const podInformer = informers.of<Pod>(pods, { indexes: claimIndexes });
  const events = context.events(kind.component);
  const deleting = new PendingDeletions(clock, podInformer);

  /** Active pods of every set that has the same controlling owner. */
  function relatedPods(owner: T): Pod[] {
    const parent = controllerOf(owner);
    const siblings = parent === undefined ? [owner] : owners.byIndex('owner', parent.uid);
    return siblings.flatMap((one) => podInformer.byIndex('owner', one.metadata.uid).filter(isPodActive));
  }

  async function create(owner: T, count: number): Promise<{ error?: unknown }> {
    const pod = podFromTemplate(owner.spec.template ?? {}, owner, kind.resource);
    return slowStart(count, async () => {
      try {
        const made = await client.create<Pod>(pods, pod);
        podInformer.observe(made);
        events.event(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${made.metadata.name}`);
      } catch (error) {
        if (isNamespaceTerminating(error)) return;
        events.event(owner, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
        throw error;
      }
    });
  }

  async function remove(owner: T, surplus: readonly Pod[]): Promise<{ error?: unknown }> {
    const results = await Promise.allSettled(
      surplus.map((pod) =>
        deleting.during(pod, async () => {
          const { name, namespace, uid } = pod.metadata;
          try {
            await client.delete(pods, name, { namespace, preconditions: { uid } });
            events.event(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
          } catch (error) {
            if (isNotFound(error)) return;
            events.event(owner, 'Warning', 'FailedDelete', `Error deleting: ${messageOf(error)}`);
            throw error;
          }
        }),
      ),
    );
    const failed = results.find((one) => one.status === 'rejected');
    return failed === undefined ? {} : { error: failed.reason };
  }

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const owner = owners.get(namespace, name);
    if (owner === undefined) return;
    const selector = labelSelectorOf(kind.selector(owner));
    const informer = podInformer;
    const claimed = await claim({
      client,
      owner,
      ownerResource: kind.resource,
      informer,
      selector,
      mayAdopt: (pod) => !isPodTerminal(pod),
    });
    const nowMs = clock.nowMs();
    const replicas = owner.spec.replicas ?? 1;
    let result: { error?: unknown } = {};
    let reason: 'FailedCreate' | 'FailedDelete' = 'FailedCreate';
    if (owner.metadata.deletionTimestamp === undefined) {
      const counted = claimed.filter((pod) => isPodActive(pod) && !deleting.has(pod));
      const plan = planReplicas({ replicas, pods: counted, related: () => relatedPods(owner), nowMs });
      if (plan.create > 0) result = await create(owner, plan.create);
      else if (plan.remove.length > 0) {
        reason = 'FailedDelete';
        result = await remove(owner, plan.remove);
      }
    }
    const after = podInformer
      .byIndex('owner', owner.metadata.uid)
      .filter((pod) => selector.matches(pod.metadata.labels));
    const minReadySeconds = owner.spec.minReadySeconds ?? 0;
    const status = planReplicaStatus({
      generation: owner.metadata.generation,
      replicas,
      minReadySeconds,
      templateLabels: owner.spec.template?.metadata?.labels,
      pods: after,
      old: owner.status,
      ...(result.error === undefined ? {} : { failure: { reason, message: messageOf(result.error) } }),
      now: { ms: nowMs, text: rfc3339(nowMs) },
    });
    if (status !== undefined) {
      owners.observe(await client.update<T>(kind.resource, { ...owner, status }, { subresource: 'status' }));
    }
    if (result.error !== undefined) throw result.error;
    const requeueAfterMs = nextAvailableMs(after, minReadySeconds, nowMs);
    return requeueAfterMs === undefined ? undefined : { requeueAfterMs };
  }

  return startController({
    name: kind.name,
    clock,
    log,
    sources: [
      changesOf(owners),
      changesOf(podInformer, (pod, { type }) => ownersOfPod(pod, type === 'deleted', owners, kind)),
    ],
    reconcile,
    pace: 3,
  });
}

/** The set that controls a pod; for a pod that nobody controls, every set that could adopt it. */
function ownersOfPod<T extends ReplicaOwner>(
  pod: Pod,
  deleted: boolean,
  owners: Informer<T>,
  kind: ReplicaKind<T>,
): string[] {
  const { namespace } = pod.metadata;
  const owner = controllerOf(pod);
  if (owner !== undefined) return owner.kind === kind.resource.kind ? [`${namespace}/${owner.name}`] : [];
  if (deleted || pod.metadata.deletionTimestamp !== undefined) return [];
  return owners
    .list(namespace)
    .filter((one) => labelSelectorOf(kind.selector(one)).matches(pod.metadata.labels))
    .map(keyOf);
}
