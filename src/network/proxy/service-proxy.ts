import { type EndpointSlice, type Pod, resource, type Service } from '#api';
import { Backoff, type Clock, type Closable, type Log, messageOf, runCommand, type Timer } from '#base';
import type { Informers } from '#client';
import { planHostPorts } from './plan-host-ports.ts';
import { planService, type ServicePortPlan } from './plan-services.ts';
import {
  buildRuleset,
  completeScript,
  differenceScript,
  emptyRuleset,
  type HostPort,
  type NodeNetwork,
  tableName,
} from './ruleset.ts';

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
const serviceNameLabel = 'kubernetes.io/service-name';

/**
 * Keeps one nftables table of this node in step with Services, EndpointSlices and host ports of its pods. Only what changed is
 * sent; a failed transaction, or a table that somebody removed, is answered by writing everything anew.
 */
export async function startServiceProxy(options: ServiceProxyOptions): Promise<Closable & { synced(): boolean }> {
  const { nodeName, network, informers, podInformers, clock, log } = options;
  const services = informers.of<Service>(resource('v1', 'services'));
  const slices = informers.of<EndpointSlice>(resource('discovery.k8s.io/v1', 'endpointslices'), {
    indexes: { service: (slice) => [`${slice.metadata.namespace}/${slice.metadata.labels?.[serviceNameLabel] ?? ''}`] },
  });
  const pods = podInformers.of<Pod>(resource('v1', 'pods'), { fieldSelector: `spec.nodeName=${nodeName}` });
  const plans = new Map<string, ServicePortPlan[]>();
  const hostPorts = new Map<string, HostPort[]>();
  const dirty = new Set<string>();
  const made = new Set<string>();
  const backoff = new Backoff({ firstMs: 100, longestMs: 30_000 });
  let applied = emptyRuleset;
  let complete = true;
  let wanted = true;
  let running: Promise<void> | undefined;
  let retry: Timer | undefined;
  let closed = false;
  let started = false;
  let synced = false;

  const replan = (): void => {
    for (const key of dirty) {
      const slash = key.indexOf('/');
      const service = services.get(key.slice(0, slash), key.slice(slash + 1));
      const next = service === undefined ? [] : planService(service, slices.byIndex('service', key), nodeName);
      if (next.length === 0) plans.delete(key);
      else plans.set(key, next);
    }
    dirty.clear();
  };
  const apply = async (): Promise<void> => {
    replan();
    const next = buildRuleset([...plans.values()].flat(), [...hostPorts.values()].flat(), network);
    const script = complete ? completeScript(network, next, made) : differenceScript(applied, next, made);
    if (script !== '') await runCommand('nft', ['-f', '-'], { input: script });
    applied = next;
    complete = false;
    synced = true;
    backoff.forget('apply');
  };
  const run = (): void => {
    if (running !== undefined || closed || !started) return;
    running = (async () => {
      while (wanted && !closed) {
        wanted = false;
        await apply();
      }
    })()
      .catch((error) => {
        complete = true;
        const delayMs = backoff.next('apply');
        log.warn({ error: messageOf(error), delayMs }, 'service rules not written; all are written anew');
        retry?.cancel();
        retry = clock.setTimer(schedule, delayMs);
      })
      .finally(() => {
        running = undefined;
        if (wanted && retry === undefined) run();
        retry = undefined;
      });
  };
  const schedule = (): void => {
    wanted = true;
    queueMicrotask(run);
  };
  const check = async (): Promise<void> => {
    if (running === undefined && started) {
      const found = await runCommand('nft', ['list', 'chain', 'ip', tableName, 'refuse'], { okCodes: [0, 1] }).catch(
        () => undefined,
      );
      if (found?.code === 1 && !closed) {
        log.warn({}, 'the table of service rules was removed by someone; it is written anew');
        complete = true;
        schedule();
      }
    }
    if (!closed) checker = clock.setTimer(() => void check(), checkEveryMs);
  };
  const ends = [
    services.onChange(({ object }) => {
      dirty.add(`${object.metadata.namespace}/${object.metadata.name}`);
      schedule();
    }),
    slices.onChange(({ object, old }) => {
      for (const one of [object, old]) {
        const name = one?.metadata.labels?.[serviceNameLabel];
        if (name !== undefined) dirty.add(`${object.metadata.namespace}/${name}`);
      }
      schedule();
    }),
    pods.onChange(({ type, object }) => {
      const key = object.metadata.uid;
      const next = type === 'deleted' ? [] : planHostPorts(object);
      if (next.length === 0 && !hostPorts.has(key)) return;
      if (next.length === 0) hostPorts.delete(key);
      else hostPorts.set(key, next);
      schedule();
    }),
  ];
  await Promise.all([services.synced, slices.synced, pods.synced]);
  started = true;
  schedule();
  let checker = clock.setTimer(() => void check(), checkEveryMs);
  return {
    synced: () => synced,
    async close() {
      closed = true;
      for (const end of ends) end();
      checker.cancel();
      retry?.cancel();
      await running;
    },
  };
}
