import {
  type AnyObject,
  type KubeObject,
  type PersistentVolumeClaim,
  type Pod,
  type ResourceQuota,
  resource,
  type Service,
} from '#api';
import { type Change, changesOf, type Informer, keyOf, type Outcome, splitKey, startController } from '#client';
import { compareQuantities, deepEqual, isNotFound } from '#machinery';
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
const calmMs = 250;

/** Keeps `status.used` of ResourceQuotas: what admission counts up, counted anew when objects go. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, directory, log } = context;
  const informer = informers.of<ResourceQuota>(quotas);
  const pods = informers.of<Pod>(resource('v1', 'pods'));
  const services = informers.of<Service>(resource('v1', 'services'));
  const claims = informers.of<PersistentVolumeClaim>(resource('v1', 'persistentvolumeclaims'));
  /** When each quota's present version was first seen. */
  const seen = new Map<string, { readonly version: string; readonly atMs: number }>();
  const counted = new Map<string, { informer: Informer<KubeObject>; end: () => void }>();

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const quota = informer.get(namespace, name);
    if (quota === undefined || quota.metadata.deletionTimestamp !== undefined) return;
    const hard = quota.spec.hard ?? {};
    const used = usedOf(hard, await usages(quota, hard));
    const status = { hard, used };
    const waitMs = isLower(used, quota.status?.used) ? restlessMs(key, quota) : 0;
    if (waitMs > 0) return { requeueAfterMs: waitMs };
    if (!deepEqual(status, quota.status ?? {})) {
      try {
        informer.observe(await client.update<ResourceQuota>(quotas, { ...quota, status }, { subresource: 'status' }));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    return { requeueAfterMs: resyncMs };
  }

  /**
   * Admission counts an object before it is stored, so right after a count what is here may lack it: a lower number is written only
   * when nobody has counted for a moment.
   */
  function restlessMs(key: string, { metadata }: ResourceQuota): number {
    const nowMs = clock.monotonicMs();
    const known = seen.get(key);
    if (known?.version === metadata.resourceVersion) return known.atMs + calmMs - nowMs;
    seen.set(key, { version: metadata.resourceVersion, atMs: nowMs });
    return calmMs;
  }

  async function usages(quota: ResourceQuota, hard: Readonly<Record<string, string>>): Promise<Amounts[]> {
    const { namespace } = quota.metadata;
    const found: Amounts[] = pods
      .list(namespace)
      .filter((pod) => inScope(quota, pod))
      .map(podUsage);
    const scoped = (quota.spec.scopes ?? []).length > 0 || quota.spec.scopeSelector !== undefined;
    if (scoped) return found;
    for (const service of services.list(namespace)) found.push(serviceUsage(service));
    for (const claim of claims.list(namespace)) found.push(claimUsage(claim));
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
      const end = made.onChange(({ type, object }) => type === 'deleted' && wake(object));
      source = { informer: made, end };
      counted.set(key, source);
    }
    await source.informer.synced;
    return source.informer.list(namespace);
  }

  /** Creations are counted by admission; what it cannot see is less: something went, or asks for something else now. */
  function quotasThatMayFall<T extends KubeObject>(
    one: T,
    { type, object, old }: Change<T>,
    usage: (object: T) => Amounts,
  ): string[] | undefined {
    if (type === 'added' || one !== object) return undefined;
    const quotas = informer.list(object.metadata.namespace);
    if (quotas.length === 0) return undefined;
    const less = type === 'deleted' || old === undefined || !deepEqual(usage(old), usage(object));
    return less ? quotas.map(keyOf) : undefined;
  }

  const controller = startController({
    name: 'resourcequota',
    queueName: 'resourcequota_primary',
    clock,
    log,
    sources: [
      changesOf(informer, (quota, { type }) => {
        if (type === 'deleted') seen.delete(keyOf(quota));
        return isCounted(quota) && informer.hasSynced ? undefined : keyOf(quota);
      }),
      changesOf(pods, (one, change) => quotasThatMayFall(one, change, podUsage)),
      changesOf(services, (one, change) => quotasThatMayFall(one, change, serviceUsage)),
      changesOf(claims, (one, change) => quotasThatMayFall(one, change, claimUsage)),
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

function isCounted({ spec, status }: ResourceQuota): boolean {
  return (
    deepEqual(spec.hard ?? {}, status?.hard ?? {}) &&
    Object.keys(spec.hard ?? {}).every((name) => status?.used?.[name] !== undefined)
  );
}

function isLower(used: Amounts, old: Readonly<Record<string, string>> | undefined): boolean {
  return Object.entries(used).some(
    ([name, amount]) => old?.[name] !== undefined && compareQuantities(amount, old[name]) < 0,
  );
}

export const resourceQuotaController = defineController({ name: 'resourcequota-controller', start });
