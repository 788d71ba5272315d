import { type AnyObject, type APIService, builtinSchema } from '#api';
import { type Clock, type Log, messageOf, type Random, rfc3339 } from '#base';
import { cloneObject, deepEqual } from '#machinery';
import { read } from '../bootstrap/put.ts';
import type { Handler, ObjectView, RequestInfo, ServerObjects } from '../contract.ts';
import type { OtherVersion, OtherVersions } from '../discovery/routes.ts';
import type { OtherServer, OtherServers } from '../openapi/remote-documents.ts';
import { respondPlain } from '../resources/respond-object.ts';
import type { Availability } from './availability.ts';
import { localPriorities } from './group-priorities.ts';
import type { LocalGroup } from './local-group.ts';
import { type AggregationOptions, RemoteApi } from './remote-api.ts';

const collection = '/apis/apiregistration.k8s.io/v1/apiservices';
const checkEveryMs = 30_000;
const checkFailedEveryMs = 3_000;

/** Groups of the API that other servers serve: APIServices with a Service behind them. */
export class Aggregator implements OtherVersions, OtherServers {
  readonly #objects: ServerObjects;
  readonly #wiring: ConstructorParameters<typeof RemoteApi>[1];
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #view: ObjectView;
  readonly #local: readonly LocalGroup[];
  /** By `group/version`. */
  readonly #remotes = new Map<string, RemoteApi>();
  readonly #listeners = new Set<() => void>();
  readonly #endings: (() => void)[] = [];
  #watchesServices = false;
  #closed = false;

  constructor(wiring: {
    objects: ServerObjects;
    options: AggregationOptions | undefined;
    clock: Clock;
    random: Random;
    log: Log;
    local?: readonly LocalGroup[];
  }) {
    this.#local = wiring.local ?? [];
    this.#objects = wiring.objects;
    this.#wiring = wiring;
    this.#clock = wiring.clock;
    this.#log = wiring.log;
    this.#view = wiring.objects.view('apiregistration.k8s.io/v1', 'apiservices');
  }

  async start(): Promise<void> {
    await this.#view.ready;
    this.#endings.push(this.#view.onChange(({ object, old }) => this.#changed(object, old)));
    for (const one of this.#view.list()) this.#changed(one, undefined);
  }

  close(): void {
    this.#closed = true;
    for (const end of this.#endings) end();
    for (const one of this.#remotes.values()) one.timer?.cancel();
    for (const one of this.#local) one.close();
  }

  onChange(callback: () => void): void {
    this.#listeners.add(callback);
  }

  versions(): readonly OtherVersion[] {
    const remotes = [...this.#remotes.values()].map(({ group, version, service, resources, available }) => ({
      ...{ group, version, resources, available },
      groupPriority: service.spec?.groupPriorityMinimum ?? 0,
      versionPriority: service.spec?.versionPriority ?? 0,
    }));
    const local = this.#local
      .filter(({ group, version }) => !this.#remotes.has(`${group}/${version}`))
      .map(({ group, version, resources }) => {
        const { groupPriorityMinimum, versionPriority } = localPriorities(group, version);
        return { group, version, resources, available: true, groupPriority: groupPriorityMinimum, versionPriority };
      });
    return [...remotes, ...local];
  }

  servers(): readonly OtherServer[] {
    const servers = new Map<string, RemoteApi[]>();
    for (const one of this.#remotes.values()) {
      const held = servers.get(one.server);
      if (held === undefined) servers.set(one.server, [one]);
      else held.push(one);
    }
    return [...servers].map(([name, apis]) => ({
      name,
      available: apis.some((one) => one.available),
      groupVersions: apis.map(({ group, version }) => ({ group, version })),
      ask: (target, limits, headers) => (apis[0] as RemoteApi).ask(target, limits, headers),
    }));
  }

  /** The handler of a request that another server answers; undefined when it is ours. */
  handlerOf(info: RequestInfo): Handler | undefined {
    if (info.segments[0] !== 'apis' || (this.#remotes.size === 0 && this.#local.length === 0)) return undefined;
    const [, group, version] = info.segments;
    if (version === undefined) return undefined;
    const remote = this.#remotes.get(`${group}/${version}`);
    if (remote !== undefined) return (request) => remote.forward(request);
    const local = this.#local.find((one) => one.group === group && one.version === version);
    if (local === undefined) return undefined;
    if (info.segments.length > 3) return local.handle;
    const { resources } = local;
    const document = { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: `${group}/${version}`, resources };
    return async (request) => respondPlain(request, document, builtinSchema.type('meta/v1.APIResourceList'));
  }

  #changed(object: AnyObject | undefined, old: AnyObject | undefined): void {
    if (this.#closed) return;
    const { name } = ((object ?? old) as AnyObject).metadata;
    for (const [key, one] of this.#remotes) {
      if (one.name !== name) continue;
      const stays = object !== undefined && keyOf(object as unknown as APIService) === key;
      if (!stays) {
        one.timer?.cancel();
        this.#remotes.delete(key);
      }
    }
    const service = object as unknown as APIService | undefined;
    if (service?.spec?.service != null) {
      this.#watchServices();
      const key = keyOf(service);
      const known = this.#remotes.get(key);
      const sameSpec = known !== undefined && deepEqual(known.service.spec, service.spec);
      const remote = known ?? new RemoteApi(service, this.#wiring);
      remote.service = service;
      this.#remotes.set(key, remote);
      if (!sameSpec) this.#check(remote);
    }
    this.#tell();
  }

  /** A Service or its endpoints come or go: whoever is behind them is looked at again at once. */
  #watchServices(): void {
    if (this.#watchesServices) return;
    this.#watchesServices = true;
    const look = (namespace: string | undefined, name: string | undefined): void => {
      for (const remote of this.#remotes.values()) {
        const service = remote.service.spec?.service;
        if (service?.name === name && service?.namespace === namespace) this.#check(remote);
      }
    };
    const services = this.#objects.view('v1', 'services');
    const slices = this.#objects.view('discovery.k8s.io/v1', 'endpointslices');
    this.#endings.push(
      services.onChange(({ object, old }) => {
        const { metadata } = (object ?? old) as AnyObject;
        look(metadata.namespace, metadata.name);
      }),
      slices.onChange(({ object, old }) => {
        const { metadata } = (object ?? old) as AnyObject;
        look(metadata.namespace, metadata.labels?.['kubernetes.io/service-name']);
      }),
    );
  }

  #tell(): void {
    for (const callback of this.#listeners) callback();
  }

  #isGone(remote: RemoteApi): boolean {
    return this.#closed || this.#remotes.get(keyOf(remote.service)) !== remote;
  }

  /** Asks the other server for its resources, now and every while, and says in the APIService's status how that went. */
  #check(remote: RemoteApi): void {
    if (this.#isGone(remote)) return;
    remote.timer?.cancel();
    if (remote.checking) {
      remote.checkAgain = true;
      return;
    }
    remote.checking = true;
    remote.checkAgain = false;
    void this.#look(remote)
      .catch((error: unknown) => {
        this.#log.debug({ name: remote.name, error: messageOf(error) }, 'the status of an API service was not written');
      })
      .finally(() => {
        remote.checking = false;
        if (this.#isGone(remote)) return;
        if (remote.checkAgain) return this.#check(remote);
        const delayMs = remote.available ? checkEveryMs : checkFailedEveryMs;
        remote.timer = this.#clock.setTimer(() => this.#check(remote), delayMs);
      });
  }

  async #look(remote: RemoteApi): Promise<void> {
    const before = remote.resources;
    const found = await remote.check();
    if (this.#isGone(remote)) return;
    const changed = remote.available !== found.available || !deepEqual(before, remote.resources);
    remote.available = found.available;
    if (changed) this.#tell();
    await this.#report(remote, found);
  }

  async #report(remote: RemoteApi, { available, reason, message }: Availability): Promise<void> {
    const transport = this.#objects.transport();
    const target = `${collection}/${encodeURIComponent(remote.name)}`;
    const current = await read(transport, target);
    if (current === undefined) return;
    const draft = cloneObject(current) as unknown as APIService;
    const status = available ? 'True' : 'False';
    const conditions = draft.status?.conditions ?? [];
    const before = conditions.find((one) => one.type === 'Available');
    if (before?.status === status && before.reason === reason && before.message === message) return;
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : rfc3339(this.#clock.nowMs());
    const next = {
      ...{ type: 'Available', status, reason, message },
      ...(lastTransitionTime === undefined ? {} : { lastTransitionTime }),
    };
    draft.status = { ...draft.status, conditions: [...conditions.filter((one) => one.type !== 'Available'), next] };
    await transport.request({
      method: 'PUT',
      target: `${target}/status`,
      objectBody: draft,
      objects: true,
      headers: { 'user-agent': 'kube-apiserver' },
    });
  }
}

function keyOf({ spec }: APIService): string {
  return `${spec?.group}/${spec?.version}`;
}
