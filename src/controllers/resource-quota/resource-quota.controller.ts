import {
  type AnyObject,
  type KubeObject,
  type PersistentVolumeClaim,
  type Pod,
  type ResourceQuota,
  resource,
  type Service,
} from '#api';
import { changesOf, type Informer, keyOf, type Outcome, splitKey, startController } from '#client';
import { deepEqual, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import {
  claimUsage,
  countedResource,
  countUsage,
  inScope,
  podUsage,
  serviceUsage,
  usedOf,
  type Amounts,
} from './usage.ts';

const quotas = resource('v1', 'resourcequotas');
const resyncMs = 300_000;

/** Keeps `status.used` of ResourceQuotas: what admission counts up, counted anew when objects go. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, directory, log } = context;
  const informer = informers.of<ResourceQuota>(quotas);
  const pods = informers.of<Pod>(resource('v1', 'pods'));
  const services = informers.of<Service>(resource('v1', 'services'));
  const claims = informers.of<PersistentVolumeClaim>(resource('v1', 'persistentvolumeclaims'));
  const counted = new Map<string, { informer: Informer<KubeObject>; end: () => void }>();

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const quota = informer.get(namespace, name);
    if (quota === undefined || quota.metadata.deletionTimestamp !== undefined) return;
    const hard = quota.spec.hard ?? {};
    const used = usedOf(hard, await usages(quota, hard));
    const status = { hard, used };
    if (!deepEqual(status, quota.status ?? {})) {
      try {
        informer.observe(await client.update<ResourceQuota>(quotas, { ...quota, status }, { subresource: 'status' }));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    return { requeueAfterMs: resyncMs };
  }

  async function usages(quota: ResourceQuota, hard: Readonly<Record<string, string>>): Promise<Amounts[]> {
    const { namespace } = quota.metadata;
    const found: Amounts[] = pods
      .list(namespace)
      .filter((pod) => inScope(quota, pod))
      .map(podUsage);
    const scoped = (quota.spec.scopes ?? []).length > 0 || quota.spec.scopeSelector !== undefined;
    if (scoped) return found;
    found.push(...services.list(namespace).map(serviceUsage), ...claims.list(namespace).map(claimUsage));
    for (const name of Object.keys(hard)) {
      if (name === 'count/pods' || name === 'count/services' || name === 'count/persistentvolumeclaims') continue;
      const wanted = countedResource(name);
      if (wanted !== undefined)
        found.push(countUsage(name, (await objectsOf(wanted, namespace)) as readonly AnyObject[]));
    }
    return found;
  }

  async function objectsOf(
    { plural, group }: { plural: string; group: string },
    namespace: string,
  ): Promise<readonly KubeObject[]> {
    const { resources } = await directory.current();
    const found = resources.find((one) => one.plural === plural && one.group === group && one.verbs.includes('watch'));
    if (found === undefined) return [];
    const key = `${group}/${plural}`;
    let source = counted.get(key);
    if (source === undefined) {
      const made = informers.of<KubeObject>(found);
      const wake = (object: KubeObject): void => {
        for (const one of informer.list(object.metadata.namespace)) controller.enqueue(keyOf(one));
      };
      const end = made.onChange(({ type, object }) => type !== 'updated' && made.hasSynced && wake(object));
      source = { informer: made, end };
      counted.set(key, source);
    }
    await source.informer.synced;
    return source.informer.list(namespace);
  }

  const all = (object: KubeObject): string[] => informer.list(object.metadata.namespace).map(keyOf);
  const controller = startController({
    name: 'resourcequota',
    clock,
    log,
    sources: [
      changesOf(informer),
      changesOf(pods, (pod, { type, old }) =>
        type === 'updated' && deepEqual(podUsage(pod), podUsage(old as Pod)) ? undefined : all(pod),
      ),
      changesOf(services, (service, { type, old }) =>
        type === 'updated' && deepEqual(serviceUsage(service), serviceUsage(old as Service)) ? undefined : all(service),
      ),
      changesOf(claims, all),
    ],
    reconcile,
    pace: 3,
  });
  return {
    get idle() {
      return controller.idle;
    },
    async close() {
      await controller.close();
      for (const { informer: one, end } of counted.values()) {
        end();
        one.close();
      }
    },
  };
}

export const resourceQuotaController = defineController({ name: 'resourcequota-controller', start });
