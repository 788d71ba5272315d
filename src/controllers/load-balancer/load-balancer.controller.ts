import {
  announcedByAnnotation,
  type ConfigMap,
  type EndpointSlice,
  type Ingress,
  type IngressClass,
  ingressControllerName,
  type Node,
  resource,
  type Service,
} from '#api';
import { messageOf } from '#base';
import { changesOf, keyOf, type Outcome, startController } from '#client';
import { deepEqual, type Ipv4Range, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { sliceIndexes, sliceServiceKeys } from '../endpoint-slice/service-index.ts';
import { parseAddressSpans } from './address-spans.ts';
import { addressesOf, type BalancerPlan, isOurs, nodeFacts, planBalancers } from './plan.ts';

const services = resource('v1', 'services');
/** ConfigMap whose key `ranges` says which addresses load balancers get, before what the server was started with. */
const settingsMap = { namespace: 'kube-system', name: 'k8ts-load-balancer' };
const settingsKey = keyOf({ metadata: settingsMap } as ConfigMap);
const ingressClassAnnotation = 'kubernetes.io/ingress.class';
/** All Services are planned together: they share the addresses. */
const everything = 'all';

/**
 * Gives each Service of type LoadBalancer an address, and the node that answers for it. Who has what is in the Services themselves: an
 * address is free again when its Service is deleted or changes its type.
 */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log, settings } = context;
  const serviceInformer = informers.of<Service>(services);
  const nodes = informers.of<Node>(resource('v1', 'nodes'));
  const maps = informers.of<ConfigMap>(resource('v1', 'configmaps'), {
    namespace: settingsMap.namespace,
    fieldSelector: `metadata.name=${settingsMap.name}`,
  });
  const slices = informers.of<EndpointSlice>(resource('discovery.k8s.io/v1', 'endpointslices'), {
    indexes: sliceIndexes,
  });
  const classes = informers.of<IngressClass>(resource('networking.k8s.io/v1', 'ingressclasses'));
  const ingresses = informers.of<Ingress>(resource('networking.k8s.io/v1', 'ingresses'));
  const events = context.events('service-controller');
  const told = new Map<string, string>();
  /** Services that are ours or were, so that an event of any other Service costs nothing. */
  const known = new Set<string>();

  function spans(): readonly Ipv4Range[] {
    const map = maps.get(settingsMap.namespace, settingsMap.name);
    const text = map?.data?.ranges;
    if (text !== undefined) {
      try {
        return parseAddressSpans(text);
      } catch (error) {
        if (map !== undefined && told.get(settingsKey) !== text)
          events.event(map, 'Warning', 'BadAddressRange', messageOf(error));
        told.set(settingsKey, text);
      }
    }
    return parseAddressSpans((settings.loadBalancerRanges ?? []).join(' '));
  }

  function nodesWithEndpoints(service: Service): ReadonlySet<string> {
    const found = slices.byIndex('service', keyOf(service)).flatMap((slice) => slice.endpoints ?? []);
    return new Set(found.flatMap((one) => (one.conditions?.ready !== false && one.nodeName ? [one.nodeName] : [])));
  }

  /** Ingresses of the built-in controller's classes, which listens on the nodes' addresses. */
  function isServedByNodes({ metadata, spec }: Ingress): boolean {
    const name = spec?.ingressClassName ?? metadata.annotations?.[ingressClassAnnotation];
    return name !== undefined && classes.get(undefined, name)?.spec?.controller === ingressControllerName;
  }

  async function reconcile(): Promise<Outcome> {
    const all = [...known].flatMap((key) => {
      const [namespace = '', name = ''] = key.split('/');
      return serviceInformer.get(namespace, name) ?? [];
    });
    const plans = planBalancers({
      services: all.filter(isOurs),
      nodes: nodes.list(),
      nodesWithEndpoints,
      spans: spans(),
      ingressServed: ingresses.list().some(isServedByNodes),
    });
    let failure: unknown;
    for (const service of all) {
      const plan = plans.get(service);
      const attempt = plan === undefined ? release(service) : give(service, plan);
      await attempt.catch((error) => {
        if (!isNotFound(error)) failure = error;
      });
    }
    if (failure !== undefined) throw failure;
  }

  async function give(service: Service, plan: BalancerPlan): Promise<void> {
    const key = keyOf(service);
    if (plan.problem !== undefined) {
      if (told.get(key) !== plan.problem)
        events.event(
          service,
          'Warning',
          'SyncLoadBalancerFailed',
          `Error syncing load balancer: failed to ensure load balancer: ${plan.problem}`,
        );
      told.set(key, plan.problem);
    }
    // Nobody may answer for an address that the status does not tell yet: nodes' own addresses could be told there.
    if (plan.announcedBy === undefined) await tell(await mark(service, undefined), plan.addresses);
    else await mark(await tell(service, plan.addresses), plan.announcedBy);
  }

  /** Writes the addresses, if they changed. */
  async function tell(service: Service, addresses: readonly string[]): Promise<Service> {
    if (deepEqual(addressesOf(service), addresses)) return service;
    if (addressesOf(service).length === 0)
      events.event(service, 'Normal', 'EnsuringLoadBalancer', 'Ensuring load balancer');
    const { name, namespace, uid } = service.metadata;
    const ingress = addresses.map((ip) => ({ ip, ipMode: 'VIP' }));
    const body = {
      metadata: { uid },
      status: { loadBalancer: { ingress: ingress.length === 0 ? null : ingress } },
    };
    const written = await client.patch<Service>(
      services,
      name,
      { type: 'merge', body },
      { namespace, subresource: 'status' },
    );
    serviceInformer.observe(written);
    if (ingress.length > 0) {
      told.delete(keyOf(service));
      events.event(service, 'Normal', 'EnsuredLoadBalancer', 'Ensured load balancer');
    }
    return written;
  }

  async function release(service: Service): Promise<void> {
    told.delete(keyOf(service));
    if (service.spec.type !== 'LoadBalancer' || service.metadata.deletionTimestamp === undefined)
      await mark(service, undefined);
    if (service.spec.type !== 'LoadBalancer') known.delete(keyOf(service));
  }

  /** Writes which node answers, if that changed. */
  async function mark(service: Service, announcedBy: string | undefined): Promise<Service> {
    if (service.metadata.annotations?.[announcedByAnnotation] === announcedBy) return service;
    const { name, namespace, uid } = service.metadata;
    const body = { metadata: { uid, annotations: { [announcedByAnnotation]: announcedBy ?? null } } };
    const written = await client.patch<Service>(services, name, { type: 'merge', body }, { namespace });
    serviceInformer.observe(written);
    return written;
  }

  return startController({
    name: 'service-lb',
    queueName: 'service',
    clock,
    log,
    concurrency: 1,
    sources: [
      changesOf(serviceInformer, (service, { type, object }) => {
        const key = keyOf(service);
        const ours =
          service.spec.type === 'LoadBalancer' ||
          Object.hasOwn(service.metadata.annotations ?? {}, announcedByAnnotation);
        if (!ours && !known.has(key)) return undefined;
        if (type === 'deleted' && service === object) {
          known.delete(key);
          told.delete(key);
        } else known.add(key);
        return everything;
      }),
      changesOf(nodes, (_, { type, object, old }) =>
        type === 'updated' && old !== undefined && deepEqual(nodeFacts(object), nodeFacts(old))
          ? undefined
          : everything,
      ),
      changesOf(slices, (slice) => {
        const wanted = sliceServiceKeys(slice).some((key) => {
          const [namespace = '', name = ''] = key.split('/');
          return known.has(key) && serviceInformer.get(namespace, name)?.spec.externalTrafficPolicy === 'Local';
        });
        return wanted ? everything : undefined;
      }),
      changesOf(ingresses, (_, { type }) => (type === 'updated' || known.size === 0 ? undefined : everything)),
      changesOf(maps, (map) => (keyOf(map) === settingsKey ? everything : undefined)),
    ],
    needs: [classes.synced],
    reconcile,
  });
}

export const loadBalancerController = defineController({ name: 'service-lb-controller', start });
