import { type EndpointSlice, type Endpoints, resource, type Service } from '#api';
import { changesOf, type Outcome, splitKey, startController } from '#client';
import { isNamespaceTerminating, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { managedByLabel, serviceNameLabel } from '../endpoint-slice/plan.ts';
import { mirrorManager, planMirror } from './plan.ts';

const slices = resource('discovery.k8s.io/v1', 'endpointslices');
const skipLabel = 'endpointslice.kubernetes.io/skip-mirror';
const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader';
const byService = 'service';

/** Mirrors Endpoints that users keep by hand into EndpointSlices. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const endpoints = informers.of<Endpoints>(resource('v1', 'endpoints'));
  const services = informers.of<Service>(resource('v1', 'services'));
  const informer = informers.of<EndpointSlice>(slices, { indexes: { [byService]: serviceKeys } });

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const service = services.get(namespace, name);
    const source = endpoints.get(namespace, name);
    const mirrored =
      service !== undefined && service.spec.selector === undefined && source !== undefined && isMirrored(source);
    const present = informer
      .byIndex(byService, key)
      .filter((one) => one.metadata.labels?.[managedByLabel] === mirrorManager);
    const plan = planMirror(mirrored ? source : undefined, present);
    try {
      for (const one of plan.create) informer.observe(await client.create<EndpointSlice>(slices, one));
      for (const one of plan.update) informer.observe(await client.update<EndpointSlice>(slices, one));
      for (const { metadata } of plan.remove)
        await client.delete(slices, metadata.name, { namespace: metadata.namespace }).catch(notFound);
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error;
    }
  }

  return startController({
    name: 'endpointslice-mirroring',
    queueName: 'endpoint_slice_mirroring',
    clock,
    log,
    sources: [
      changesOf(endpoints),
      changesOf(services),
      changesOf(informer, (slice) =>
        slice.metadata.labels?.[managedByLabel] === mirrorManager ? serviceKeys(slice) : undefined,
      ),
    ],
    reconcile,
  });
}

function notFound(error: unknown): void {
  if (!isNotFound(error)) throw error;
}

function isMirrored({ metadata }: Endpoints): boolean {
  return (
    metadata.labels?.[skipLabel] !== 'true' &&
    metadata.annotations?.[leaderAnnotation] === undefined &&
    metadata.deletionTimestamp === undefined
  );
}

function serviceKeys({ metadata }: EndpointSlice): string[] {
  const name = metadata.labels?.[serviceNameLabel];
  return name ? [`${metadata.namespace}/${name}`] : [];
}

export const endpointSliceMirroringController = defineController({ name: 'endpointslice-mirroring-controller', start });
