import { sleep } from '#base';
import { apiVersionOf, type KubeObject, type OwnerReference } from '#api';
import { type Change, type Informer, type Outcome, startController } from '#client';
import { ApiError, isConflict, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import type { Directory, ServedResource } from '../discovery/directory.ts';
import {
  foreground,
  type GraphNode,
  OwnerGraph,
  orphan,
  orphansDependents,
  ownersOf,
  waitsForDependents,
} from './graph.ts';
import { type OwnerState, planCollect } from './plan.ts';

interface Monitored {
  readonly resource: ServedResource;
  readonly informer: Informer<KubeObject>;
}

/** A resource whose server does not answer must not stop the collection of all others: owners not known are asked for live. */
const longestSyncMs = 30_000;

/** Deletes what has lost all its owners, and carries out foreground and orphaning deletions. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, directory, log } = context;
  const graph = new OwnerGraph();
  const monitored = new Map<string, Monitored>();
  const events = context.events('garbage-collector-controller');
  /** Objects with an owner of a kind that was not served: looked at again when the server serves something new. */
  const unjudged = new Set<string>();
  const closing = new AbortController();
  let served: readonly ServedResource[] = [];

  function see({ resource, informer }: Monitored, { type, object, old }: Change<KubeObject>): void {
    const { uid } = object.metadata;
    if (uid === undefined) return;
    if (type === 'deleted') {
      const owners = ownersOf(graph.remove(uid)?.object ?? object);
      graph.markAbsent(uid);
      for (const dependent of graph.dependentsOf(uid)) controller.enqueue(dependent.uid);
      for (const owner of owners) wakeWaiting(owner.uid);
      return;
    }
    graph.put(resource, informer, object);
    if (old !== undefined && ownersOf(old) !== ownersOf(object))
      for (const owner of ownersOf(old)) wakeWaiting(owner.uid);
    const concerned = waitsForDependents(object) || orphansDependents(object);
    const wasConcerned = old !== undefined && (waitsForDependents(old) || orphansDependents(old));
    if (concerned && !wasConcerned) for (const dependent of graph.dependentsOf(uid)) controller.enqueue(dependent.uid);
    if (concerned || needsLook(object)) controller.enqueue(uid);
  }

  /** An owner it names is not in the graph, or is on its way out. */
  function needsLook(object: KubeObject): boolean {
    return ownersOf(object).some(({ uid }) => {
      const owner = graph.get(uid);
      return owner === undefined || waitsForDependents(owner.object);
    });
  }

  function wakeWaiting(ownerUid: string): void {
    const owner = graph.get(ownerUid);
    if (owner !== undefined && waitsForDependents(owner.object)) controller.enqueue(ownerUid);
  }

  function monitor({ resources, failed }: Directory): void {
    served = resources;
    for (const uid of unjudged) controller.enqueue(uid);
    unjudged.clear();
    const wanted = new Map(resources.filter(isCollectable).map((one) => [keyOfResource(one), one]));
    for (const [key, one] of monitored) {
      if (wanted.has(key) || failed.includes(apiVersionOf(one.resource))) continue;
      monitored.delete(key);
      graph.removeAll(one.informer);
      one.informer.close();
    }
    for (const [key, resource] of wanted) {
      if (monitored.has(key)) continue;
      const one = { resource, informer: informers.of<KubeObject>(resource, { only: 'references' }) };
      monitored.set(key, one);
      one.informer.onChange((change) => see(one, change));
    }
  }

  async function allSynced(): Promise<void> {
    monitor(await directory.current());
    const late = sleep(clock, longestSyncMs, closing.signal).catch(() => {});
    await Promise.race([Promise.all([...monitored.values()].map((one) => one.informer.synced)), late]);
  }

  async function reconcile(uid: string): Promise<Outcome> {
    const node = graph.get(uid);
    if (node === undefined) return;
    const { object } = node;
    if (object.metadata.deletionTimestamp !== undefined) {
      if (orphansDependents(object)) await letGo(node);
      else if (waitsForDependents(object)) await finishForeground(node);
      return;
    }
    await collect(node);
  }

  async function letGo(node: GraphNode): Promise<void> {
    for (const dependent of [...graph.dependentsOf(node.uid)]) await dropOwners(dependent, [node.uid]);
    await dropFinalizer(node, orphan);
  }

  async function finishForeground(node: GraphNode): Promise<void> {
    const dependents = [...graph.dependentsOf(node.uid)];
    const blocks = ({ object }: GraphNode): boolean =>
      ownersOf(object).some((one) => one.uid === node.uid && one.blockOwnerDeletion === true);
    if (!dependents.some(blocks)) return dropFinalizer(node, foreground);
    for (const { uid, object } of dependents) if (!waitsForDependents(object)) controller.enqueue(uid);
  }

  async function collect(node: GraphNode): Promise<void> {
    const owners = ownersOf(node.object);
    const judged = await Promise.all(owners.map(async (owner) => ({ owner, state: await judge(node, owner) })));
    const finalizers = node.object.metadata.finalizers ?? [];
    const plan = planCollect(judged, { hasDependents: graph.dependentsOf(node.uid).size > 0, finalizers });
    if (plan.action === 'dropOwners') return dropOwners(node, plan.uids);
    if (plan.action === 'keep') return;
    if (plan.propagation === 'Foreground') await unblockCycle(node);
    const { name, namespace, uid, resourceVersion } = node.object.metadata;
    try {
      await client.delete(node.resource, name, {
        namespace,
        propagationPolicy: plan.propagation,
        preconditions: { uid, resourceVersion },
      });
      log.debug({ kind: node.object.kind, namespace, name }, 'collected');
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** Dependents that wait in foreground deletion themselves must not hold up this one: it may be a circle. */
  async function unblockCycle(node: GraphNode): Promise<void> {
    for (const dependent of graph.dependentsOf(node.uid)) {
      if (!waitsForDependents(dependent.object)) continue;
      await changeOwners(node, (owners) =>
        owners.map((one) => (one.blockOwnerDeletion ? { ...one, blockOwnerDeletion: false } : one)),
      );
      return;
    }
  }

  /** Known from the graph, else asked of the server: an object is never deleted on hearsay. */
  async function judge(node: GraphNode, owner: OwnerReference): Promise<OwnerState> {
    const known = graph.get(owner.uid);
    const { namespace } = node.object.metadata;
    if (known !== undefined) {
      const ownerNamespace = known.object.metadata.namespace;
      if (!known.resource.namespaced || ownerNamespace === namespace)
        return waitsForDependents(known.object) ? 'waiting' : 'solid';
      tellInvalid(node, owner);
      return namespace ? 'dangling' : 'unknown';
    }
    if (graph.isAbsent(owner.uid)) return 'dangling';
    const found = servedKind(owner);
    if (found === undefined) {
      unjudged.add(node.uid);
      return 'unknown';
    }
    if (found.namespaced && !namespace) {
      tellInvalid(node, owner);
      return 'unknown';
    }
    try {
      const live = await client.get(found, owner.name, found.namespaced ? { namespace } : {});
      if (live.metadata.uid === owner.uid) return waitsForDependents(live) ? 'waiting' : 'solid';
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    graph.markAbsent(owner.uid);
    return 'dangling';
  }

  /** The owner's kind, in its version or another one of its group. */
  function servedKind(owner: OwnerReference): ServedResource | undefined {
    const group = owner.apiVersion.includes('/') ? owner.apiVersion.split('/')[0] : '';
    const same = served.filter((one) => one.kind === owner.kind && one.group === group);
    return same.find((one) => apiVersionOf(one) === owner.apiVersion) ?? same[0];
  }

  function tellInvalid({ object }: GraphNode, owner: OwnerReference): void {
    const { namespace } = object.metadata;
    const message = `ownerRef [${owner.apiVersion}/${owner.kind}, namespace: ${namespace ?? ''}, name: ${owner.name}, uid: ${owner.uid}] does not exist in namespace "${namespace ?? ''}"`;
    events.event(object, 'Warning', 'OwnerRefInvalidNamespace', message);
  }

  function dropOwners(node: GraphNode, uids: readonly string[]): Promise<void> {
    return changeOwners(node, (owners) => owners.filter((one) => !uids.includes(one.uid)));
  }

  async function changeOwners(
    node: GraphNode,
    change: (owners: readonly OwnerReference[]) => readonly OwnerReference[],
  ): Promise<void> {
    await patchLive(node, (live) => {
      const owners = change(ownersOf(live));
      return { ownerReferences: owners.length === 0 ? null : owners };
    });
  }

  async function dropFinalizer(node: GraphNode, finalizer: string): Promise<void> {
    await patchLive(node, (live) => {
      const left = live.metadata.finalizers?.filter((one) => one !== finalizer) ?? [];
      return { finalizers: left.length === 0 ? null : left };
    });
  }

  /** Patches metadata of the object as it is now, on condition that nobody changed it; a few tries. */
  async function patchLive(node: GraphNode, change: (live: KubeObject) => object): Promise<void> {
    let live = node.object;
    for (let attempt = 0; ; attempt++) {
      const { name, namespace, uid, resourceVersion } = live.metadata;
      const body = { metadata: { uid, resourceVersion, ...change(live) } };
      try {
        const patched = await client.patch<KubeObject>(
          node.resource,
          name,
          { type: 'merge', body },
          namespace ? { namespace } : {},
        );
        if (patched.metadata?.uid === uid) node.informer.observe(patched);
        return;
      } catch (error) {
        if (isNotFound(error)) return;
        if (!isConflict(error) || attempt >= 5) throw error;
        const fresh = await client
          .get<KubeObject>(node.resource, name, namespace ? { namespace } : {})
          .catch((failure) => {
            if (failure instanceof ApiError && isNotFound(failure)) return undefined;
            throw failure;
          });
        if (fresh === undefined || fresh.metadata.uid !== uid) return;
        live = fresh;
      }
    }
  }

  const synced = allSynced();
  synced.catch(() => {});
  const controller = startController({
    name: 'garbage-collector',
    queueName: 'garbage_collector_attempt_to_delete',
    clock,
    log,
    sources: [],
    needs: [synced],
    reconcile,
    concurrency: 20,
  });
  const endDirectory = directory.onChange(monitor);
  return {
    get idle() {
      return controller.idle;
    },
    async close() {
      endDirectory();
      closing.abort();
      await controller.close();
      for (const { informer } of monitored.values()) informer.close();
    },
  };
}

const keyOfResource = ({ group, version, plural }: ServedResource): string => `${group}/${version}/${plural}`;

/** Events are left to their own expiry. */
function isCollectable({ plural, group, verbs }: ServedResource): boolean {
  if (plural === 'events' && (group === '' || group === 'events.k8s.io')) return false;
  return ['list', 'watch', 'delete'].every((verb) => verbs.includes(verb));
}

export const garbageCollectorController = defineController({ name: 'garbage-collector-controller', start });
