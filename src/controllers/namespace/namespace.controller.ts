import { messageOf, rfc3339 } from '#base';
import { type KubeObject, type Namespace, resource } from '#api';
import { changesOf, type Outcome, startController } from '#client';
import { ApiError, isConflict, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import type { ServedResource } from '../discovery/directory.ts';
import { isSwept, planNamespaceStatus, type Sweep } from './plan.ts';

const namespaces = resource('v1', 'namespaces');
const finalizer = 'kubernetes';
const pollMs = { first: 50, longest: 5_000 };

/** Deletes everything in a namespace that is being deleted, pods first, then lets the namespace go. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, directory, log } = context;
  const informer = informers.of<Namespace>(namespaces);
  const rounds = new Map<string, number>();

  async function reconcile(name: string): Promise<Outcome> {
    const namespace = informer.get(undefined, name);
    if (namespace?.metadata.deletionTimestamp === undefined || !namespace.spec.finalizers?.includes(finalizer)) {
      rounds.delete(name);
      return;
    }
    const round = rounds.get(name) ?? 0;
    rounds.set(name, round + 1);
    let live = await client.get<Namespace>(namespaces, name).catch(orNothing);
    if (live?.metadata.uid !== namespace.metadata.uid) return;
    const sweep = await sweepNamespace(name, round);
    const status = planNamespaceStatus(live.status, sweep, rfc3339(clock.nowMs()));
    if (status !== undefined) {
      live = await client.update<Namespace>(namespaces, { ...live, status }, { subresource: 'status' });
      informer.observe(live);
    }
    if (!isSwept(sweep)) {
      return { requeueAfterMs: Math.min(pollMs.longest, pollMs.first * 2 ** Math.min(round, 10)) };
    }
    const finalizers = live.spec.finalizers?.filter((one) => one !== finalizer) ?? [];
    await client
      .update<Namespace>(namespaces, { ...live, spec: { ...live.spec, finalizers } }, { subresource: 'finalize' })
      .catch(orNothing);
    rounds.delete(name);
  }

  async function sweepNamespace(namespace: string, round: number): Promise<Sweep> {
    const found = round % 5 === 0 && round > 0 ? await directory.refresh() : await directory.current();
    const sweep = {
      undiscovered: found.failed,
      failures: [] as string[],
      remaining: new Map<string, number>(),
      finalizers: new Map<string, number>(),
    };
    const contents = found.resources.filter(
      (one) => one.namespaced && one.verbs.includes('delete') && one.verbs.includes('list'),
    );
    const isPods = (one: ServedResource): boolean => one.group === '' && one.plural === 'pods';
    for (const one of contents.filter(isPods)) await empty(one, namespace, sweep);
    if (sweep.remaining.size > 0 || sweep.failures.length > 0) return sweep;
    await Promise.all(contents.filter((one) => !isPods(one)).map((one) => empty(one, namespace, sweep)));
    return sweep;
  }

  async function empty(
    one: ServedResource,
    namespace: string,
    sweep: { failures: string[]; remaining: Map<string, number>; finalizers: Map<string, number> },
  ): Promise<void> {
    const label = one.group === '' ? `${one.plural}.` : `${one.plural}.${one.group}`;
    try {
      const before = await client.list<KubeObject>(one, { namespace });
      if (before.items.length === 0) return;
      if (one.verbs.includes('deletecollection')) {
        await client.deleteCollection(one, { namespace, propagationPolicy: 'Background' });
      } else {
        for (const { metadata } of before.items) {
          await client.delete(one, metadata.name, { namespace, propagationPolicy: 'Background' }).catch(orNothing);
        }
      }
      const { items } = await client.list<KubeObject>(one, { namespace });
      if (items.length === 0) return;
      sweep.remaining.set(label, items.length);
      for (const { metadata } of items) {
        for (const holder of metadata.finalizers ?? [])
          sweep.finalizers.set(holder, (sweep.finalizers.get(holder) ?? 0) + 1);
      }
    } catch (error) {
      if (isNotFound(error) || (error instanceof ApiError && error.status.code === 405)) return;
      sweep.failures.push(`${label}: ${messageOf(error)}`);
    }
  }

  return startController({ name: 'namespace', clock, log, sources: [changesOf(informer)], reconcile, concurrency: 10 });
}

function orNothing(error: unknown): undefined {
  if (isNotFound(error) || isConflict(error)) return undefined;
  throw error;
}

export const namespaceController = defineController({ name: 'namespace-controller', start });
