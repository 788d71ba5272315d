import type { AnyObject, Pod, ResourceQuota } from '#api';
import { apiErrorFromStatus, compareQuantities, isConflict, subtractQuantities } from '#machinery';
import type { Status } from '#api';
import type { AdmissionAttributes, AdmissionPlugin } from '../../contract.ts';
import type { AdmissionOptions } from '../options.ts';
import { refuse } from '../refuse.ts';
import { addUsage, inScope, missingAmounts, type QuotaScope, type Usage, usageOf } from './usage.ts';

const attempts = 5;
const updated: ReadonlySet<string> = new Set(['services', 'persistentvolumeclaims']);

/**
 * Refuses what would exceed a quota of the namespace, and reserves what it lets through: the quota's status.used is raised under a
 * compare on its version before the object is written, so that two servers cannot both give away the last piece. What is deleted,
 * or was never written after all, is given back by the quota controller.
 */
export function resourceQuota(options: AdmissionOptions): AdmissionPlugin {
  const { objects } = options;
  const view = objects.view('v1', 'resourcequotas');
  const newest = new Map<string, ResourceQuota>();
  const queues = new Map<string, Promise<void>>();

  const current = (quota: ResourceQuota): ResourceQuota => {
    const key = `${quota.metadata.namespace}/${quota.metadata.name}`;
    const ours = newest.get(key);
    if (ours === undefined) return quota;
    if (
      ours.metadata.uid === quota.metadata.uid &&
      Number(ours.metadata.resourceVersion) > Number(quota.metadata.resourceVersion)
    )
      return ours;
    newest.delete(key);
    return quota;
  };

  const reserve = async (attributes: AdmissionAttributes, usage: Usage): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      const planned = view
        .list(attributes.namespace)
        .flatMap((one) => plan(attributes, current(one as unknown as ResourceQuota), usage) ?? []);
      if (attributes.dryRun) return;
      try {
        for (const quota of planned) await write(quota);
        return;
      } catch (error) {
        if (!isConflict(error) || attempt === attempts) throw error;
        newest.clear();
        await view.current();
      }
    }
  };

  const write = async (quota: ResourceQuota): Promise<void> => {
    const { namespace, name } = quota.metadata;
    const response = await objects.transport().request({
      method: 'PUT',
      target: `/api/v1/namespaces/${namespace}/resourcequotas/${name}/status`,
      objectBody: quota,
      objects: true,
    });
    const body = (response.object ?? JSON.parse(Buffer.from(await response.bytes()).toString('utf8'))) as object;
    if (response.status >= 300) throw apiErrorFromStatus(body as Status);
    newest.set(`${namespace}/${name}`, body as ResourceQuota);
  };

  /** One at a time in a namespace: whoever waits sees what the one before has taken. */
  const inTurn = (namespace: string, run: () => Promise<void>): Promise<void> => {
    const before = queues.get(namespace) ?? Promise.resolve();
    const mine = before.then(run, run);
    queues.set(namespace, mine);
    const leave = (): void => {
      if (queues.get(namespace) === mine) queues.delete(namespace);
    };
    mine.then(leave, leave);
    return mine;
  };

  const check = (attributes: AdmissionAttributes): void | Promise<void> => {
    if (view.list(attributes.namespace).length === 0) return undefined;
    const usage = demand(attributes);
    return Object.keys(usage).length === 0 ? undefined : inTurn(attributes.namespace, () => reserve(attributes, usage));
  };

  return {
    name: 'ResourceQuota',
    handles: (operation, definition, subresource) =>
      definition?.resource.namespaced === true &&
      definition.stored !== false &&
      ((operation === 'CREATE' && subresource === '') ||
        (operation === 'UPDATE' &&
          definition.resource.group === '' &&
          ((subresource === '' && updated.has(definition.resource.plural)) ||
            (subresource === 'resize' && definition.resource.plural === 'pods')))),
    validate: (attributes) => (view.isReady ? check(attributes) : view.ready.then(() => check(attributes))),
  };
}

/** What the request takes beyond what its object has already. */
function demand(attributes: AdmissionAttributes): Usage {
  const resource = { group: attributes.group, plural: attributes.resource };
  const wanted = usageOf(resource, attributes.object as AnyObject);
  if (attributes.oldObject === undefined) return wanted;
  const held = usageOf(resource, attributes.oldObject);
  const more: Usage = {};
  for (const [name, amount] of Object.entries(wanted)) {
    const difference = Object.hasOwn(held, name) ? subtractQuantities(amount, held[name] as string) : amount;
    if (compareQuantities(difference, '0') > 0) more[name] = difference;
  }
  return more;
}

const listText = (usage: Usage): string =>
  Object.entries(usage)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, amount]) => `${name}=${amount}`)
    .join(',');

/** The quota with the usage taken; undefined when it does not count this object. Throws when it would be exceeded. */
function plan(attributes: AdmissionAttributes, quota: ResourceQuota, usage: Usage): ResourceQuota | undefined {
  const object = attributes.object as AnyObject;
  const scopes: readonly QuotaScope[] = [
    ...(quota.spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: 'Exists' })),
    ...(quota.spec?.scopeSelector?.matchExpressions ?? []),
  ];
  if (!scopes.every((scope) => inScope(attributes.resource, object, scope))) return undefined;
  const hard = quota.status?.hard ?? {};
  const wantedHard = Object.keys(quota.spec?.hard ?? {});
  if (attributes.resource === 'pods' && attributes.group === '') {
    const missing = missingAmounts(object as unknown as Pod, wantedHard);
    if (missing !== '') throw refuse(attributes, `failed quota: ${quota.metadata.name}: must specify ${missing}`);
  }
  const counted = Object.keys(usage).filter((name) => wantedHard.includes(name));
  if (counted.length === 0) return undefined;
  const used = quota.status?.used ?? {};
  const unknown = counted.filter((name) => !Object.hasOwn(used, name) || !Object.hasOwn(hard, name)).sort();
  if (unknown.length > 0)
    throw refuse(attributes, `status unknown for quota: ${quota.metadata.name}, resources: ${unknown.join(',')}`);
  const asked: Usage = Object.fromEntries(counted.map((name) => [name, usage[name] as string]));
  const after = addUsage(used, asked);
  const over = counted.filter((name) => compareQuantities(after[name] as string, hard[name] as string) > 0);
  if (over.length > 0) {
    const only = (from: Readonly<Record<string, string>>): string =>
      listText(Object.fromEntries(over.map((name) => [name, from[name] as string])));
    throw refuse(
      attributes,
      `exceeded quota: ${quota.metadata.name}, requested: ${only(asked)}, used: ${only(used)}, limited: ${only(hard)}`,
    );
  }
  return { ...quota, status: { ...quota.status, used: after } };
}
