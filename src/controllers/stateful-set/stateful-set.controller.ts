import { messageOf } from '#base';
import { type ControllerRevision, type PersistentVolumeClaim, type Pod, resource, type StatefulSet } from '#api';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import { controllerOf, isNamespaceTerminating, isNotFound, labelSelectorOf } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { claim, claimIndexes } from '../ownership/claim.ts';
import { PendingDeletions } from '../pods/pending-deletions.ts';
import { nextAvailableMs } from '../replica-set/plan.ts';
import { currentRevision, hashOf, pruneRevisions, templateIn } from '../revisions/revisions.ts';
import { claimsOfSet, ordinalOf, podName, podOfSet, statefulSets } from './identity.ts';
import { planStatefulSet, planStatefulStatus, type StatefulView } from './plan.ts';

const pods = resource('v1', 'pods');
const claims = resource('v1', 'persistentvolumeclaims');

/** Runs pods with a name, an order and volumes of their own. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const informer = informers.of<StatefulSet>(statefulSets);
  const podInformer = informers.of<Pod>(pods, { indexes: claimIndexes });
  const claimInformer = informers.of<PersistentVolumeClaim>(claims);
  const revisionInformer = informers.of<ControllerRevision>(resource('apps/v1', 'controllerrevisions'), {
    indexes: claimIndexes,
  });
  const events = context.events('statefulset-controller');
  const deleting = new PendingDeletions(clock, podInformer);

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const set = informer.get(namespace, name);
    if (set === undefined) return;
    const selector = labelSelectorOf(set.spec.selector);
    const history = await currentRevision({
      client,
      informer: revisionInformer,
      owner: set,
      ownerResource: statefulSets,
    });
    const update = history.current;
    const current = history.others.find((one) => one.metadata.name === set.status?.currentRevision) ?? update;
    const mayAdopt = (pod: Pod): boolean => ordinalOf(set, pod) !== undefined;
    const claimed = await claim({
      client,
      owner: set,
      ownerResource: statefulSets,
      informer: podInformer,
      selector,
      mayAdopt,
    });
    const viewOf = (all: readonly Pod[]): StatefulView => ({
      set,
      pods: all,
      isGoing: (pod) => deleting.has(pod),
      current: current.metadata.name,
      update: update.metadata.name,
      nowMs: clock.nowMs(),
    });
    const plan = planStatefulSet(viewOf(claimed));
    let failure: unknown;
    const attempt = async (act: () => Promise<void>): Promise<void> => {
      try {
        await act();
      } catch (error) {
        failure ??= error;
      }
    };
    await Promise.all(plan.remove.map(({ pod, why }) => attempt(() => removePod(set, pod, why))));
    await Promise.all(
      plan.create.map(({ ordinal, revision }) =>
        attempt(() => createPod(set, ordinal, revision === 'current' ? current : update)),
      ),
    );
    const after = podInformer.byIndex('owner', set.metadata.uid).filter((pod) => selector.matches(pod.metadata.labels));
    const status = planStatefulStatus(viewOf(after), history.collisionCount);
    if (status !== undefined)
      informer.observe(await client.update<StatefulSet>(statefulSets, { ...set, status }, { subresource: 'status' }));
    const inUse = new Set([...after.map(hashOf), current.metadata.name]);
    await pruneRevisions(client, history.others, inUse, set.spec.revisionHistoryLimit ?? 10);
    if (failure !== undefined) throw failure;
    const requeueAfterMs = nextAvailableMs(after, set.spec.minReadySeconds ?? 0, clock.nowMs());
    return requeueAfterMs === undefined ? undefined : { requeueAfterMs };
  }

  async function removePod(set: StatefulSet, pod: Pod, why: 'failed' | 'scaled' | 'updated'): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    if (why === 'failed') {
      events.event(
        set,
        'Warning',
        'RecreatingFailedPod',
        `StatefulSet ${namespace}/${set.metadata.name} is recreating failed Pod ${name}`,
      );
    }
    if (why === 'scaled' && set.spec.persistentVolumeClaimRetentionPolicy?.whenScaled === 'Delete')
      await tieClaims(set, pod);
    await deleting.during(pod, async () => {
      try {
        await client.delete(pods, name, { namespace, preconditions: { uid } });
        tell(set, 'Normal', 'SuccessfulDelete', `delete Pod ${name} in StatefulSet ${set.metadata.name} successful`);
      } catch (error) {
        if (isNotFound(error)) return;
        tell(
          set,
          'Warning',
          'FailedDelete',
          `delete Pod ${name} in StatefulSet ${set.metadata.name} failed error: ${messageOf(error)}`,
        );
        throw error;
      }
    });
  }

  /** Claims of a pod that is scaled away go with it when the policy says so. */
  async function tieClaims(set: StatefulSet, pod: Pod): Promise<void> {
    const ordinal = ordinalOf(set, pod);
    if (ordinal === undefined) return;
    for (const { metadata } of claimsOfSet(set, ordinal)) {
      const present = claimInformer.get(set.metadata.namespace, metadata.name as string);
      if (present === undefined || present.metadata.ownerReferences?.some((one) => one.uid === pod.metadata.uid))
        continue;
      const owner = { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid };
      const others = (present.metadata.ownerReferences ?? []).filter((one) => one.uid !== set.metadata.uid);
      const changed = { ...present, metadata: { ...present.metadata, ownerReferences: [...others, owner] } };
      claimInformer.observe(await client.update<PersistentVolumeClaim>(claims, changed));
    }
  }

  async function createPod(set: StatefulSet, ordinal: number, revision: ControllerRevision): Promise<void> {
    const name = podName(set, ordinal);
    const where = `in StatefulSet ${set.metadata.name}`;
    for (const wanted of claimsOfSet(set, ordinal)) {
      const claimName = wanted.metadata.name as string;
      if (claimInformer.get(set.metadata.namespace, claimName) !== undefined) continue;
      try {
        claimInformer.observe(await client.create<PersistentVolumeClaim>(claims, wanted));
        tell(set, 'Normal', 'SuccessfulCreate', `create Claim ${claimName} Pod ${name} ${where} success`);
      } catch (error) {
        if (isNamespaceTerminating(error)) return;
        tell(
          set,
          'Warning',
          'FailedCreate',
          `create Claim ${claimName} for Pod ${name} ${where} failed error: ${messageOf(error)}`,
        );
        throw error;
      }
    }
    try {
      podInformer.observe(
        await client.create<Pod>(pods, podOfSet(set, ordinal, templateIn(revision), revision.metadata.name)),
      );
      tell(set, 'Normal', 'SuccessfulCreate', `create Pod ${name} ${where} successful`);
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      tell(set, 'Warning', 'FailedCreate', `create Pod ${name} ${where} failed error: ${messageOf(error)}`);
      throw error;
    }
  }

  function tell(set: StatefulSet, type: 'Normal' | 'Warning', reason: string, message: string): void {
    events.event(set, type, reason, message);
  }

  function setsOf(pod: Pod): string[] {
    const owner = controllerOf(pod);
    if (owner !== undefined) return owner.kind === 'StatefulSet' ? [`${pod.metadata.namespace}/${owner.name}`] : [];
    return informer
      .list(pod.metadata.namespace)
      .filter((set) => labelSelectorOf(set.spec.selector).matches(pod.metadata.labels))
      .map(keyOf);
  }

  return startController({
    name: 'statefulset',
    clock,
    log,
    sources: [changesOf(informer), changesOf(podInformer, setsOf)],
    needs: [claimInformer.synced, revisionInformer.synced],
    reconcile,
  });
}

export const statefulSetController = defineController({ name: 'statefulset-controller', start });
