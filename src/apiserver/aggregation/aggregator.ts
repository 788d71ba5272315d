import type { AnyObject, APIService } from '#api';
import { type Clock, type Log, messageOf, type Random, rfc3339, type Timer } from '#base';
import { cloneObject, deepEqual, errServiceUnavailable } from '#machinery';
import { read } from '../bootstrap/put.ts';
import type { Handler, ObjectView, RequestInfo, ServerObjects, ServerRequest } from '../contract.ts';
import type { RemoteGroups } from '../discovery/routes.ts';
import { parseRequestInfo } from '../http/request-info.ts';
import { type Backend, forward, isProxyable } from '../streams/backend.ts';
import { serviceEndpoint } from '../streams/service-endpoint.ts';
import { serverIdentity } from '../server-identity.ts';

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
  }) {
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
  }

  onChange(callback: () => void): void {
    this.#listeners.add(callback);
  }

  groups(): readonly object[] {
    return [...this.#byGroup()].map(([name, remotes]) => {
      const versions = remotes.map(({ service }) => ({
        groupVersion: `${name}/${service.spec?.version}`,
        version: service.spec?.version,
      }));
      return { kind: 'APIGroup', apiVersion: 'v1', name, versions, preferredVersion: versions[0] };
    });
  }

  aggregated(): readonly object[] {
    return [...this.#byGroup()].map(([name, remotes]) => ({
      metadata: { name, creationTimestamp: null },
      versions: remotes.map((one) => ({
        version: one.service.spec?.version,
        resources: aggregatedResources(one),
        freshness: one.available ? 'Current' : 'Stale',
      })),
    }));
  }

  /** The handler of a request that another server answers; undefined when it is ours. */
  handlerOf(info: RequestInfo): Handler | undefined {
    if (this.#remotes.size === 0 || info.segments[0] !== 'apis') return undefined;
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
    return remote === undefined ? undefined : (request) => this.#forward(remote, request);
  }

  #byGroup(): Map<string, Remote[]> {
    const groups = new Map<string, Remote[]>();
    const order = [...this.#remotes.values()].sort(
      (a, b) => (b.service.spec?.versionPriority ?? 0) - (a.service.spec?.versionPriority ?? 0),
    );
    for (const one of order) {
      const group = one.service.spec?.group ?? '';
      const list = groups.get(group);
      if (list === undefined) groups.set(group, [one]);
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
      const text = await textOf(response);
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

function aggregatedResources({ service, resources }: Remote): object[] {
  const rows = resources as readonly ResourceRow[];
  const kindOf = (row: ResourceRow): object => ({
    group: row.group || service.spec?.group,
    version: row.version || service.spec?.version,
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

/** A request of the server itself to a backend. */
function ownRequest(target: string, signal: AbortSignal, receivedMs: number): ServerRequest {
  return {
    method: 'GET',
    target,
    headers: { accept: 'application/json' },
    source: { remoteAddress: '', trusted: serverIdentity },
    receivedMs,
    body: async () => new Uint8Array(),
    async *stream() {},
    objects: false,
    onAbort(callback) {
      signal.addEventListener('abort', callback, { once: true });
      return () => signal.removeEventListener('abort', callback);
    },
    get aborted() {
      return signal.aborted;
    },
    info: parseRequestInfo('GET', target),
    identity: serverIdentity,
    warnings: [],
    annotations: new Map(),
  };
}

function textOf(response: Awaited<ReturnType<Handler>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    response.stream?.({
      write(bytes) {
        length += bytes.length;
        if (length > 4 << 20) reject(new Error('the discovery document is too large'));
        else parts.push(Buffer.from(bytes));
        return true;
      },
      onDrain() {},
      pendingBytes: 0,
      end: () => resolve(Buffer.concat(parts).toString()),
      destroy: () => reject(new Error('the answer broke off')),
      onClose() {},
    });
  });
}
