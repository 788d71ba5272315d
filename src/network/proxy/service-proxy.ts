import { type EndpointSlice, type Node, type Pod, resource, type Service } from '#api';
import { type Clock, type Closable, type Log, messageOf, runCommand, type Timer } from '#base';
import type { Informers } from '#client';
import { openReconcileLoop } from '../reconcile-loop.ts';
import { Announcements } from './announcements.ts';
import { type HealthCheck, HealthCheckServers } from './health-checks.ts';
import { NftSession } from './nft-session.ts';
import { connectionTableUse } from './connection-table.ts';
import { nodePortAddresses } from './node-addresses.ts';
import { type HostPort, planHostPorts } from './plan-host-ports.ts';
import { announcerOf, type Place, planService, readyHere } from './plan-services.ts';
import { hostPortEntries, type NodeNetwork, serviceEntries } from './rule-entries.ts';
import { RuleTable } from './rule-table.ts';
import { changeScript, completeScript, probedRule, probeScript, variableNames } from './ruleset.ts';

export interface ServiceProxyOptions {
  readonly nodeName: string;
  readonly network: NodeNetwork;
  readonly informers: Informers;
  /** Sees this node's pods (with the node's own identity; the proxy's may not). */
  readonly podInformers: Informers;
  readonly clock: Clock;
  readonly log: Log;
}

const checkEveryMs = 5_000;
/** Maps that may lie unused before the table is written anew without them. */
const mostIdle = 256;
const fullShare = 0.8;
const warnEveryMs = 60_000;
const serviceNameLabel = 'kubernetes.io/service-name';
const zoneLabel = 'topology.kubernetes.io/zone';
/** Sets whose elements cannot be asked for one by one. */
const unprobed = new Set(['admitted']);

/**
 * Keeps one nftables table of this node in step with Services, EndpointSlices and host ports of its pods. Only what changed is
 * planned and sent; a failed transaction, or a table that somebody emptied or removed, is answered by writing everything anew.
 */
export async function startServiceProxy(options: ServiceProxyOptions): Promise<Closable & { synced(): boolean }> {
  const { nodeName, informers, podInformers, clock, log } = options;
  const services = informers.of<Service>(resource('v1', 'services'));
  const slices = informers.of<EndpointSlice>(resource('discovery.k8s.io/v1', 'endpointslices'), {
    indexes: { service: (slice) => [`${slice.metadata.namespace}/${slice.metadata.labels?.[serviceNameLabel] ?? ''}`] },
  });
  const nodes = informers.of<Node>(resource('v1', 'nodes'));
  const pods = podInformers.of<Pod>(resource('v1', 'pods'), { fieldSelector: `spec.nodeName=${nodeName}` });
  const table = new RuleTable();
  const hostPorts = new Map<string, HostPort[]>();
  const dirty = new Set<string>();
  const dirtyPods = new Set<string>();
  const balanced = new Map<string, readonly string[]>();
  const announced = new Map<string, readonly string[]>();
  const healthChecks = new Map<number, HealthCheck>();
  const healthPorts = new Map<string, number>();
  const healthServers = new HealthCheckServers(log);
  const announcements = new Announcements({ uplink: options.network.uplink, clock, log });
  const session = new NftSession({ clock, log });
  let network = withAddresses(options.network, []);
  const nodeAddresses = new Set<string>();
  let place: Place = { nodeName, nodeAddresses };
  let made: ReadonlySet<string> = new Set();
  let withoutZones = false;
  let complete = true;
  let closed = false;
  let synced = false;

  const replan = (): void => {
    for (const key of dirty) {
      const slash = key.indexOf('/');
      const service = services.get(key.slice(0, slash), key.slice(slash + 1));
      const own = service === undefined ? [] : slices.byIndex('service', key);
      const plans = service === undefined ? [] : planService(service, own, place);
      const since = `${service?.metadata.creationTimestamp ?? ''} ${key}`;
      table.set(
        key,
        plans.flatMap((plan) => serviceEntries(plan, since, network)),
      );
      noteBalancer(key, service);
      noteHealthCheck(key, service, own);
    }
    for (const uid of dirtyPods) {
      const ports = hostPorts.get(uid) ?? [];
      table.set(
        `pod ${uid}`,
        ports.flatMap((one) => hostPortEntries(one, network)),
      );
    }
    dirty.clear();
    dirtyPods.clear();
  };
  const noteBalancer = (key: string, service: Service | undefined): void => {
    const announcer = service === undefined ? undefined : announcerOf(service, nodeAddresses);
    const found =
      announcer === undefined ? [] : (service?.status?.loadBalancer?.ingress ?? []).flatMap((one) => one.ip ?? []);
    if (found.length === 0 && !balanced.has(key)) return;
    if (found.length === 0) balanced.delete(key);
    else balanced.set(key, found);
    if (found.length > 0 && announcer === nodeName) announced.set(key, found);
    else announced.delete(key);
  };
  const noteHealthCheck = (key: string, service: Service | undefined, own: readonly EndpointSlice[]): void => {
    const port = service?.spec.type === 'LoadBalancer' ? service.spec.healthCheckNodePort : undefined;
    const before = healthPorts.get(key);
    if (before !== undefined && before !== port) {
      healthPorts.delete(key);
      healthChecks.delete(before);
    }
    if (!port || service === undefined) return;
    healthPorts.set(key, port);
    const { namespace, name } = service.metadata;
    healthChecks.set(port, { namespace, name, localEndpoints: readyHere(own, nodeName) });
  };
  const apply = async (): Promise<void> => {
    replan();
    const change = table.takeChange();
    // Rules of maps that nobody uses any more go with a writing anew, before they are too many.
    if (made.size > mostIdle + variableNames(table.names()).length) complete = true;
    const script = complete
      ? completeScript(table.elements, network, { withoutZones })
      : changeScript(change, table.elements, made);
    if (complete) await write(script.text);
    else if (script.text !== '') await session.run(script.text);
    made = script.made;
    complete = false;
    synced = true;
    healthServers.set(healthChecks);
    announcements.set(new Set([...announced.values()].flat()), new Set([...balanced.values()].flat()));
  };
  const write = async (script: string): Promise<void> => {
    try {
      await runCommand('nft', ['-f', '-'], { input: script });
    } catch (error) {
      if (withoutZones) throw error;
      await runCommand('nft', ['-f', '-'], {
        input: completeScript(table.elements, network, { withoutZones: true }).text,
      });
      withoutZones = true;
      log.warn(
        { error: messageOf(error) },
        'this kernel cannot move UDP flows: those to an endpoint that is gone end by their time limit',
      );
    }
  };
  const loop = openReconcileLoop({
    ...{ reconcile: apply, clock, firstPauseMs: 100, longestPauseMs: 10_000 },
    onFailure(error, delayMs) {
      complete = true;
      log.warn({ error: messageOf(error), delayMs }, 'service rules not written; all are written anew');
    },
  });
  /** Every Service and host port is planned again: something that concerns all of them changed. */
  const replanAll = (): void => {
    for (const one of services.list()) dirty.add(`${one.metadata.namespace}/${one.metadata.name}`);
    for (const uid of hostPorts.keys()) dirtyPods.add(uid);
    loop.schedule();
  };
  const lookAround = (): void => {
    const next = withAddresses(options.network, [...balanced.values()].flat());
    if (next.nodeAddresses.join() === network.nodeAddresses.join()) return;
    network = next;
    replanAll();
  };
  let probed = 0;
  let warnedMs = Number.NEGATIVE_INFINITY;
  const lookAtConnections = (): void => {
    const used = connectionTableUse();
    if (used === undefined || used < fullShare || clock.monotonicMs() - warnedMs < warnEveryMs) return;
    warnedMs = clock.monotonicMs();
    log.warn(
      { used: `${Math.round(used * 100)} %` },
      'the connection table is nearly full, new connections will fail: raise net.netfilter.nf_conntrack_max',
    );
  };
  const check = async (): Promise<void> => {
    lookAtConnections();
    if (!loop.isRunning && !complete) {
      lookAround();
      const names = table.names().filter((name) => !unprobed.has(name));
      const name = names[probed++ % Math.max(1, names.length)];
      const key = name === undefined ? undefined : table.elements.get(name)?.keys().next().value;
      const asked = name === undefined || key === undefined ? undefined : ([name, key] as const);
      const found = await runCommand('nft', ['-f', '-'], { input: probeScript(asked), okCodes: [0, 1] }).catch(
        () => undefined,
      );
      const lost = found !== undefined && (found.code !== 0 || !found.stdout.includes(probedRule));
      // What was asked for may have gone by a change of our own meanwhile.
      const still = asked === undefined || table.elements.get(asked[0])?.has(asked[1]) === true;
      if (lost && still && !loop.isRunning && !closed) {
        log.warn({}, 'service rules were removed by someone; all are written anew');
        complete = true;
        loop.schedule();
      }
    }
    if (!closed) checker = clock.setTimer(() => void check(), checkEveryMs);
  };
  const ends = [
    services.onChange(({ object }) => {
      dirty.add(`${object.metadata.namespace}/${object.metadata.name}`);
      loop.schedule();
    }),
    slices.onChange(({ object, old }) => {
      for (const one of [object, old]) {
        const name = one?.metadata.labels?.[serviceNameLabel];
        if (name !== undefined) dirty.add(`${object.metadata.namespace}/${name}`);
      }
      loop.schedule();
    }),
    nodes.onChange(({ object }) => {
      for (const one of object.status?.addresses ?? []) if (one.type.endsWith('IP')) nodeAddresses.add(one.address);
      if (object.metadata.name !== nodeName) return;
      const zone = object.metadata.labels?.[zoneLabel];
      if (zone === place.zone) return;
      place = { nodeName, nodeAddresses, ...(zone === undefined ? {} : { zone }) };
      replanAll();
    }),
    pods.onChange(({ type, object }) => {
      const key = object.metadata.uid;
      const next = type === 'deleted' ? [] : planHostPorts(object);
      if (next.length === 0 && !hostPorts.has(key)) return;
      if (next.length === 0) hostPorts.delete(key);
      else hostPorts.set(key, next);
      dirtyPods.add(key);
      loop.schedule();
    }),
  ];
  await Promise.all([services.synced, slices.synced, nodes.synced, pods.synced]);
  loop.start();
  loop.schedule();
  let checker = clock.setTimer(() => void check(), checkEveryMs);
  return {
    synced: () => synced,
    async close() {
      closed = true;
      for (const end of ends) end();
      checker.cancel();
      await Promise.all([loop.close(), healthServers.close(), announcements.close()]);
      await session.close();
    },
  };
}

function withAddresses(network: NodeNetwork, balanced: readonly string[]): NodeNetwork {
  const except = [network.clusterCidr, ...(network.serviceCidr === undefined ? [] : [network.serviceCidr])];
  const nodeAddresses = nodePortAddresses(network.nodeAddresses, [...except, ...balanced.map((one) => `${one}/32`)]);
  return { ...network, nodeAddresses };
}
