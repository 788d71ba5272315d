import { messageOf, rfc3339 } from '#base';
import { type Deployment, type NewObject, type Pod, type ReplicaSet, resource } from '#api';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import {
  controllerOf,
  deepEqual,
  isAlreadyExists,
  isNamespaceTerminating,
  isNotFound,
  labelSelectorOf,
} from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { claim, claimIndexes } from '../ownership/claim.ts';
import { type DeploymentPlan, planDeployment } from './plan.ts';
import { hashLabel, replicasOf, revisionAnnotation } from './replica-sets.ts';

const deployments = resource('apps/v1', 'deployments');
const replicaSets = resource('apps/v1', 'replicasets');
const pods = resource('v1', 'pods');
const noPods: readonly Pod[] = [];

/** Rolls a Deployment's template out over ReplicaSets. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const informer = informers.of<Deployment>(deployments);
  const sets = informers.of<ReplicaSet>(replicaSets, { indexes: claimIndexes });
  const podInformer = informers.of<Pod>(pods);
  const events = context.events('deployment-controller');

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const deployment = informer.get(namespace, name);
    if (deployment === undefined) return;
    const selector = labelSelectorOf(deployment.spec.selector);
    if (selector.isEmpty()) {
      events.event(
        deployment,
        'Warning',
        'SelectingAll',
        'This deployment is selecting all pods. A non-empty selector is required.',
      );
      return;
    }
    const claimed = await claim({ client, owner: deployment, ownerResource: deployments, informer: sets, selector });
    const nowMs = clock.nowMs();
    const podsOf = (set: ReplicaSet): readonly Pod[] => podInformer.byIndex('owner', set.metadata.uid);
    const plan = planDeployment({ deployment, sets: claimed, podsOf, now: { ms: nowMs, text: rfc3339(nowMs) } });
    await act(deployment, plan);
    return plan.requeueAfterMs === undefined ? undefined : { requeueAfterMs: plan.requeueAfterMs };
  }

  async function act(deployment: Deployment, plan: DeploymentPlan): Promise<void> {
    let current = deployment;
    if (plan.create !== undefined) current = await createSet(deployment, plan.create);
    for (const { set, from } of plan.updates) {
      sets.observe(await client.update<ReplicaSet>(replicaSets, set));
      if (from !== undefined) tellScaled(deployment, set, from, replicasOf(set));
    }
    for (const { metadata } of plan.removals) {
      const preconditions = { uid: metadata.uid };
      await client
        .delete(replicaSets, metadata.name, { namespace: metadata.namespace, preconditions })
        .catch((error) => {
          if (!isNotFound(error)) throw error;
        });
    }
    if (plan.revision !== undefined) {
      const body = { metadata: { annotations: { [revisionAnnotation]: plan.revision } } };
      current = await client.patch<Deployment>(
        deployments,
        current.metadata.name,
        { type: 'merge', body },
        current.metadata,
      );
      informer.observe(current);
    }
    if (plan.status !== undefined && current !== undefined) await writeStatus(current, plan.status);
  }

  async function writeStatus(deployment: Deployment, status: NonNullable<Deployment['status']>): Promise<void> {
    informer.observe(
      await client.update<Deployment>(deployments, { ...deployment, status }, { subresource: 'status' }),
    );
  }

  /** Makes the set; a name already taken by another template is avoided by counting a collision. */
  async function createSet(deployment: Deployment, set: NewObject<ReplicaSet>): Promise<Deployment> {
    try {
      const made = await client.create<ReplicaSet>(replicaSets, set);
      sets.observe(made);
      if (replicasOf(made) > 0) tellScaled(deployment, made, 0, replicasOf(made));
      return deployment;
    } catch (error) {
      if (isNamespaceTerminating(error)) return deployment;
      if (!isAlreadyExists(error)) {
        events.event(
          deployment,
          'Warning',
          'ReplicaSetCreateError',
          `Failed to create new replica set "${set.metadata.name}": ${messageOf(error)}`,
        );
        throw error;
      }
      const there = await client.get<ReplicaSet>(replicaSets, set.metadata.name as string, {
        namespace: deployment.metadata.namespace,
      });
      const same = controllerOf(there)?.uid === deployment.metadata.uid && deepEqual(bare(there), bare(set));
      if (same) {
        sets.observe(there);
        throw error;
      }
      const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
      await writeStatus(deployment, { ...deployment.status, collisionCount });
      throw error;
    }
  }

  function tellScaled(deployment: Deployment, set: ReplicaSet, from: number, to: number): void {
    const way = to > from ? 'up' : 'down';
    events.event(
      deployment,
      'Normal',
      'ScalingReplicaSet',
      `Scaled ${way} replica set ${set.metadata.name} from ${from} to ${to}`,
    );
  }

  /** The deployment that controls a set; for one that nobody controls, all that could adopt it. */
  function ownersOf(set: ReplicaSet): string[] {
    const owner = controllerOf(set);
    if (owner !== undefined) return owner.kind === 'Deployment' ? [`${set.metadata.namespace}/${owner.name}`] : [];
    return informer
      .list(set.metadata.namespace)
      .filter((one) => labelSelectorOf(one.spec.selector).matches(set.metadata.labels))
      .map(keyOf);
  }

  /** A Recreate deployment waits for its old pods to end. */
  function ownersOfGonePod(pod: Pod): string[] {
    const owner = controllerOf(pod);
    if (owner?.kind !== 'ReplicaSet') return [];
    const set = sets.get(pod.metadata.namespace, owner.name);
    const parent = set === undefined ? undefined : controllerOf(set);
    if (set === undefined || parent?.kind !== 'Deployment') return [];
    const deployment = informer.get(set.metadata.namespace, parent.name);
    const left = podInformer.byIndex('owner', set.metadata.uid) ?? noPods;
    return deployment?.spec.strategy?.type === 'Recreate' && left.length === 0 ? [keyOf(deployment)] : [];
  }

  return startController({
    name: 'deployment',
    clock,
    log,
    sources: [
      changesOf(informer),
      changesOf(sets, ownersOf),
      changesOf(podInformer, (pod, { type }) => (type === 'deleted' ? ownersOfGonePod(pod) : undefined)),
    ],
    reconcile,
    pace: 3,
  });
}

function bare(set: { spec: ReplicaSet['spec'] }): unknown {
  const { [hashLabel]: _, ...labels } = set.spec.template?.metadata?.labels ?? {};
  return { ...set.spec.template, metadata: { ...set.spec.template?.metadata, labels } };
}

export const deploymentController = defineController({ name: 'deployment-controller', start });
