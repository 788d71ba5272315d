import { rfc3339 } from '#base';
import {
  type AnyObject,
  apiVersionOf,
  type KubeObject,
  type Pod,
  type PodDisruptionBudget,
  type ReplicaSet,
  resource,
} from '#api';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import { controllerOf, isNotFound, labelSelectorOf } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { planBudget } from './plan.ts';

const budgets = resource('policy/v1', 'poddisruptionbudgets');
const scalable = [
  resource('v1', 'replicationcontrollers'),
  resource('apps/v1', 'deployments'),
  resource('apps/v1', 'replicasets'),
  resource('apps/v1', 'statefulsets'),
];

/** Keeps the status of PodDisruptionBudgets, by which evictions are granted. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, directory, log } = context;
  const informer = informers.of<PodDisruptionBudget>(budgets);
  const pods = informers.of<Pod>(resource('v1', 'pods'));
  const owners = new Map(scalable.map((one) => [`${apiVersionOf(one)} ${one.kind}`, informers.of<KubeObject>(one)]));
  const events = context.events('controllermanager');

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const budget = informer.get(namespace, name);
    if (budget === undefined) return;
    const selector = labelSelectorOf(budget.spec.selector);
    const selected = pods.list(namespace).filter((pod) => selector.matches(pod.metadata.labels));
    if (selected.length === 0) events.event(budget, 'Normal', 'NoPods', 'No matching pods found');
    const nowMs = clock.nowMs();
    const plan = planBudget({
      budget,
      pods: selected,
      expected: await expectedPods(selected),
      now: { ms: nowMs, text: rfc3339(nowMs) },
    });
    if (plan.status !== undefined) {
      informer.observe(
        await client.update<PodDisruptionBudget>(
          budgets,
          { ...budget, status: plan.status },
          { subresource: 'status' },
        ),
      );
    }
    return plan.requeueAfterMs === undefined ? undefined : { requeueAfterMs: plan.requeueAfterMs };
  }

  /** The sum of the sizes of the pods' controllers; undefined when one cannot be found. */
  async function expectedPods(selected: readonly Pod[]): Promise<number | undefined> {
    const sizes = new Map<string, number>();
    for (const pod of selected) {
      const size = await sizeOfController(pod);
      if (size === undefined) return undefined;
      sizes.set(size.uid, size.replicas);
    }
    return [...sizes.values()].reduce((sum, one) => sum + one, 0);
  }

  async function sizeOfController(pod: Pod): Promise<{ uid: string; replicas: number } | undefined> {
    const owner = controllerOf(pod);
    if (owner === undefined) return undefined;
    const { namespace } = pod.metadata;
    const known = owners.get(`${owner.apiVersion} ${owner.kind}`)?.get(namespace, owner.name);
    if (known !== undefined && known.metadata.uid === owner.uid) {
      const parent = owner.kind === 'ReplicaSet' ? controllerOf(known) : undefined;
      const deployment =
        parent?.kind === 'Deployment' ? owners.get('apps/v1 Deployment')?.get(namespace, parent.name) : undefined;
      const top = deployment?.metadata.uid === parent?.uid && deployment !== undefined ? deployment : known;
      return { uid: top.metadata.uid, replicas: (top as ReplicaSet).spec.replicas ?? 1 };
    }
    const { resources } = await directory.current();
    const found = resources.find((one) => one.kind === owner.kind && apiVersionOf(one) === owner.apiVersion);
    if (found === undefined || owners.has(`${owner.apiVersion} ${owner.kind}`)) return undefined;
    try {
      const scale = await client.get<AnyObject>(found, owner.name, { namespace, subresource: 'scale' });
      return { uid: owner.uid, replicas: (scale.spec as { replicas?: number } | undefined)?.replicas ?? 0 };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  function budgetsOf(pod: Pod): string[] {
    return informer
      .list(pod.metadata.namespace)
      .filter((one) => labelSelectorOf(one.spec.selector).matches(pod.metadata.labels))
      .map(keyOf);
  }

  return startController({
    name: 'disruption',
    clock,
    log,
    sources: [
      changesOf(informer),
      changesOf(pods, budgetsOf),
      ...[...owners.values()].map((one) =>
        changesOf(one, (object, { type, old }) =>
          type === 'updated' && replicas(object) === replicas(old)
            ? undefined
            : informer.list(object.metadata.namespace).map(keyOf),
        ),
      ),
    ],
    reconcile,
    pace: 3,
  });
}

const replicas = (object: KubeObject | undefined): unknown => (object as ReplicaSet | undefined)?.spec?.replicas;

export const disruptionController = defineController({ name: 'disruption-controller', start });
