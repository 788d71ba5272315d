import { type AnyObject, type APIService, builtinSchema } from '#api';
import { type Clock, type Log, messageOf, type Random, rfc3339, type Timer } from '#base';
import { cloneObject, deepEqual, errServiceUnavailable } from '#machinery';
import { read } from '../bootstrap/put.ts';
import type { Handler, ObjectView, RequestInfo, ServerObjects, ServerRequest } from '../contract.ts';
import type { RemoteGroups } from '../discovery/routes.ts';
import { respondPlain } from '../resources/respond-object.ts';
import { type Backend, forward, isProxyable } from '../streams/backend.ts';
import { ownRequest, textOf } from '../streams/own-request.ts';
import { serviceEndpoint } from '../streams/service-endpoint.ts';
import type { LocalGroup } from './local-group.ts';

export interface AggregationOptions {
  /** PEM: the certificate with which this server vouches for users. */
  readonly clientCert: string;
  readonly clientKey: string;
  /** Tests: backends may listen on loopback addresses. */
  readonly allowLoopback?: boolean;
}

const collection = '/apis/apiregistration.k8s.io/v1/apiservices';
const checkEveryMs = 30_000;
const checkFailedEveryMs = 3_000;
const checkTimeoutMs = 5_000;
const largestDocument = 4 << 20;

interface Remote {
  readonly name: string;
  readonly service: APIService;
  available: boolean;
  /** Items of APIResourceList, for discovery. */
  resources: readonly object[];
  timer: Timer | undefined;
}

/** Groups of the API that other servers serve: APIServices with a Service behind them. */
export class Aggregator implements RemoteGroups {
  readonly #objects: ServerObjects;
  readonly #options: AggregationOptions | undefined;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #view: ObjectView;
  readonly #local: readonly LocalGroup[];
  /** By `group/version`. */
  readonly #remotes = new Map<string, Remote>();
  readonly #listeners = new Set<() => void>();
  #forget: (() => void) | undefined;
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
    this.#options = wiring.options;
    this.#clock = wiring.clock;
    this.#random = wiring.random;
    this.#log = wiring.log;
    this.#view = wiring.objects.view('apiregistration.k8s.io/v1', 'apiservices');
  }

  async start(): Promise<void> {
    await this.#view.ready;
    this.#forget = this.#view.onChange(({ object, old }) => this.#changed(object, old));
    for (const one of this.#view.list()) this.#changed(one, undefined);
  }

  close(): void {
    this.#closed = true;
    this.#forget?.();
    for (const one of this.#remotes.values()) one.timer?.cancel();
    for (const one of this.#local) one.close();
  }

  onChange(callback: () => void): void {
    this.#listeners.add(callback);
  }

  groups(): readonly object[] {
    return [...this.#byGroup()].map(([name, served]) => {
      const versions = served.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
      return { kind: 'APIGroup', apiVersion: 'v1', name, versions, preferredVersion: versions[0] };
    });
  }

  aggregated(): readonly object[] {
    return [...this.#byGroup()].map(([name, served]) => ({
      metadata: { name, creationTimestamp: null },
      versions: served.map((one) => ({
        version: one.version,
        resources: aggregatedResources(one),
        freshness: one.available ? 'Current' : 'Stale',
      })),
    }));
  }

  /** The handler of a request that another server answers; undefined when it is ours. */
  handlerOf(info: RequestInfo): Handler | undefined {
    if (info.segments[0] !== 'apis' || (this.#remotes.size === 0 && this.#local.length === 0)) return undefined;
    const [, group, version] = info.segments;
    if (group !== undefined && version === undefined) {
      const document = this.groups().find((one) => (one as { name: string }).name === group);
      if (document === undefined) return undefined;
      return async () => ({
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(JSON.stringify(document)),
        object: document,
      });
    }
    const remote = this.#remotes.get(`${group}/${version}`);
    if (remote !== undefined) return (request) => this.#forward(remote, request);
    const local = this.#local.find((one) => one.group === group && one.version === version);
    if (local === undefined) return undefined;
    if (info.segments.length > 3) return local.handle;
    const { resources } = local;
    const document = { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: `${group}/${version}`, resources };
    return async (request) => respondPlain(request, document, builtinSchema.type('meta/v1.APIResourceList'));
  }

  #byGroup(): Map<string, ServedRemotely[]> {
    const groups = new Map<string, ServedRemotely[]>();
    const remotes = [...this.#remotes.values()].map(({ service: { spec }, resources, available }) => ({
      group: spec?.group ?? '',
      version: spec?.version ?? '',
      priority: spec?.versionPriority ?? 0,
      resources,
      available,
    }));
    const local = this.#local
      .filter(({ group, version }) => !this.#remotes.has(`${group}/${version}`))
      .map(({ group, version, resources }) => ({ group, version, priority: 0, resources, available: true }));
    for (const one of [...remotes, ...local].sort((a, b) => b.priority - a.priority)) {
      const list = groups.get(one.group);
      if (list === undefined) groups.set(one.group, [one]);
      else list.push(one);
    }
    return groups;
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
    if (service?.spec?.service !== undefined) {
      const key = keyOf(service);
      const known = this.#remotes.get(key);
      const sameSpec = known !== undefined && deepEqual(known.service.spec, service.spec);
      if (known !== undefined) this.#remotes.set(key, Object.assign(known, { service }));
      else this.#remotes.set(key, { name, service, available: false, resources: [], timer: undefined });
      if (!sameSpec) this.#check(key);
    }
    this.#tell();
  }

  #tell(): void {
    for (const callback of this.#listeners) callback();
  }

  /** Asks the backend for its resources, now and every while, and says in the APIService's status how that went. */
  #check(key: string): void {
    const remote = this.#remotes.get(key);
    if (remote === undefined || this.#closed) return;
    remote.timer?.cancel();
    const work = this.#discover(remote).then(
      (resources) => ({ available: true, resources, reason: 'Passed', message: 'all checks passed' }),
      (error: unknown) => ({
        available: false,
        resources: remote.resources,
        reason: 'FailedDiscoveryCheck',
        message: messageOf(error),
      }),
    );
    void work.then(async ({ available, resources, reason, message }) => {
      if (this.#closed || this.#remotes.get(key) !== remote) return;
      const before = remote.available;
      remote.available = available;
      remote.resources = resources;
      if (available || before !== available) this.#tell();
      await this.#report(remote, { available, reason, message }).catch((error: unknown) => {
        this.#log.debug(
          { name: remote.name, error: messageOf(error) },
          'the status of an API service could not be written',
        );
      });
      if (this.#closed || this.#remotes.get(key) !== remote) return;
      remote.timer = this.#clock.setTimer(() => this.#check(key), available ? checkEveryMs : checkFailedEveryMs);
    });
  }

  async #discover(remote: Remote): Promise<readonly object[]> {
    const { group, version } = remote.service.spec as { group: string; version: string };
    const target = `/apis/${group}/${version}`;
    const stop = new AbortController();
    const limit = this.#clock.setTimer(() => stop.abort(), checkTimeoutMs);
    try {
      const request = ownRequest(target, stop.signal, this.#clock.nowMs());
      const response = await forward(request, await this.#backend(remote, request), this.#headers(request));
      const text = await textOf(response, largestDocument);
      if (response.status !== 200)
        throw errServiceUnavailable(`failing or missing response from ${target}: status ${response.status}`);
      const list = JSON.parse(text) as { resources?: object[] };
      return list.resources ?? [];
    } finally {
      limit.cancel();
    }
  }

  async #report(
    remote: Remote,
    { available, reason, message }: { available: boolean; reason: string; message: string },
  ): Promise<void> {
    const transport = this.#objects.transport();
    const target = `${collection}/${encodeURIComponent(remote.name)}`;
    const current = await read(transport, target);
    if (current === undefined) return;
    const draft = cloneObject(current) as unknown as APIService;
    const status = available ? 'True' : 'False';
    const conditions = draft.status?.conditions ?? [];
    const before = conditions.find((one) => one.type === 'Available');
    if (before?.status === status && before.reason === reason) return;
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : rfc3339(this.#clock.nowMs());
    const next = {
      type: 'Available',
      status,
      reason,
      message: message.slice(0, 500),
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

  async #forward(remote: Remote, request: ServerRequest): ReturnType<Handler> {
    return forward(request, await this.#backend(remote, request), this.#headers(request));
  }

  /** One ready endpoint of the Service; its certificate must be for the Service's name. */
  async #backend(remote: Remote, request: ServerRequest): Promise<Backend> {
    if (this.#options === undefined)
      throw errServiceUnavailable('this server has no certificate to vouch for users with');
    const { service, caBundle, insecureSkipTLSVerify } = remote.service.spec as NonNullable<APIService['spec']>;
    const { namespace = '', name = '', port = 443 } = service ?? {};
    const { host, port: targetPort } = await serviceEndpoint(
      { objects: this.#objects, random: this.#random },
      { namespace, name, port },
    );
    if (!isProxyable(host) && this.#options.allowLoopback !== true) throw errServiceUnavailable('address not allowed');
    const { clientCert, clientKey } = this.#options;
    return {
      scheme: 'https',
      host,
      port: targetPort,
      target: request.target,
      refuseRedirects: true,
      tls: {
        cert: clientCert,
        key: clientKey,
        servername: `${name}.${namespace}.svc`,
        ...(insecureSkipTLSVerify === true ? { rejectUnauthorized: false } : {}),
        ...(caBundle === undefined ? {} : { ca: Buffer.from(caBundle, 'base64').toString() }),
      },
    };
  }

  #headers({ identity }: ServerRequest): Record<string, string | string[]> {
    const extra: Record<string, string[]> = {};
    for (const [key, values] of Object.entries(identity.extra ?? {}))
      extra[`X-Remote-Extra-${encodeURIComponent(key)}`] = [...values];
    return {
      'X-Remote-User': identity.user,
      'X-Remote-Group': [...identity.groups],
      ...(identity.uid === undefined ? {} : { 'X-Remote-Uid': identity.uid }),
      ...extra,
    };
  }
}

function keyOf({ spec }: APIService): string {
  return `${spec?.group}/${spec?.version}`;
}

interface ResourceRow {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly singularName?: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly group?: string;
  readonly version?: string;
}

/** A version of a group as discovery shows it, whoever answers it. */
interface ServedRemotely {
  readonly group: string;
  readonly version: string;
  readonly priority: number;
  readonly resources: readonly object[];
  readonly available: boolean;
}

function aggregatedResources({ group, version, resources }: ServedRemotely): object[] {
  const rows = resources as readonly ResourceRow[];
  const kindOf = (row: ResourceRow): object => ({
    group: row.group || group,
    version: row.version || version,
    kind: row.kind,
  });
  return rows
    .filter((row) => !row.name.includes('/'))
    .map((row) => {
      const subresources = rows
        .filter((one) => one.name.startsWith(`${row.name}/`))
        .map((one) => ({
          subresource: one.name.slice(row.name.length + 1),
          responseKind: kindOf(one),
          verbs: one.verbs,
        }));
      return {
        resource: row.name,
        responseKind: kindOf(row),
        scope: row.namespaced ? 'Namespaced' : 'Cluster',
        singularResource: row.singularName ?? '',
        verbs: row.verbs,
        ...(row.shortNames === undefined ? {} : { shortNames: row.shortNames }),
        ...(row.categories === undefined ? {} : { categories: row.categories }),
        ...(subresources.length === 0 ? {} : { subresources }),
      };
    });
}
