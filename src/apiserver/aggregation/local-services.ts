import type { AnyObject } from '#api';
import { type Clock, type Closable, type Log, messageOf } from '#base';
import type { KindCatalogue } from '#kinds';
import type { ObjectView, ServerObjects } from '../contract.ts';
import { put } from '../bootstrap/put.ts';
import { localPriorities } from './group-priorities.ts';
import type { LocalGroup } from './local-group.ts';

const collection = '/apis/apiregistration.k8s.io/v1/apiservices';
/** A server that starts has more urgent things to write. */
const startDelayMs = 500;
const managed = 'kube-aggregator.kubernetes.io/automanaged';

interface Wanted {
  readonly name: string;
  readonly group: string;
  readonly version: string;
  /** `onstart`: for good; `true`: as long as its custom resources are there. */
  readonly managed: 'onstart' | 'true';
}

/**
 * Keeps an APIService without a Service for every group and version that this server answers itself, so that `kubectl get apiservices`
 * shows all of the API. One of the same name that somebody gave a Service is left alone.
 */
export function keepLocalServices(options: {
  readonly objects: ServerObjects;
  readonly catalogue: KindCatalogue;
  readonly local: readonly LocalGroup[];
  readonly clock: Clock;
  readonly log: Log;
}): Closable {
  const { objects, catalogue, local, clock, log } = options;
  const view: ObjectView = objects.view('apiregistration.k8s.io/v1', 'apiservices');
  let closed = false;
  let again = false;
  let running: Promise<void> | undefined;

  const keep = (): Promise<void> => {
    again = true;
    running ??= work().finally(() => {
      running = undefined;
    });
    return running;
  };

  async function work(): Promise<void> {
    while (again && !closed) {
      again = false;
      try {
        await reconcile();
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'the list of API services could not be kept');
      }
    }
  }

  async function reconcile(): Promise<void> {
    await view.current();
    const wanted = wantedServices(catalogue, local);
    const missing = [...wanted.values()].filter((one) => view.get(undefined, one.name) === undefined);
    await Promise.all(missing.map((one) => put(objects.transport(), collection, serviceOf(one), false)));
    for (const { metadata, spec } of view.list()) {
      const ownedByCustom =
        metadata.labels?.[managed] === 'true' && (spec as { service?: unknown }).service === undefined;
      if (!ownedByCustom || wanted.has(metadata.name) || closed) continue;
      const target = `${collection}/${encodeURIComponent(metadata.name)}`;
      await objects.transport().request({ method: 'DELETE', target, objects: true });
    }
  }

  const endings = [
    catalogue.onChange(() => void keep()),
    view.onChange(({ object }) => {
      if (object === undefined) void keep();
    }),
  ];
  const first = clock.setTimer(() => void keep(), startDelayMs);
  return {
    async close() {
      closed = true;
      first.cancel();
      for (const end of endings) end();
      await running;
    },
  };
}

function wantedServices(catalogue: KindCatalogue, local: readonly LocalGroup[]): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  const add = (group: string, version: string, how: Wanted['managed']): void => {
    const name = `${version}.${group}`;
    if (group !== 'apiregistration.k8s.io' && !wanted.has(name))
      wanted.set(name, { name, group, version, managed: how });
  };
  for (const { resource, schema } of catalogue.all())
    add(resource.group, resource.version, schema === undefined ? 'onstart' : 'true');
  for (const { group, version } of local) add(group, version, 'onstart');
  return wanted;
}

function serviceOf({ name, group, version, managed: how }: Wanted): AnyObject {
  return {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name, labels: { [managed]: how } },
    spec: { ...(group === '' ? {} : { group }), version, ...localPriorities(group, version) },
  } as unknown as AnyObject;
}
