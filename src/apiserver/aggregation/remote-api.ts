import type { APIService, EndpointSlice, Service } from '#api';
import { type Clock, messageOf, type Random, type Timer } from '#base';
import { decodeJson } from '#codec';
import { ApiError, errServiceUnavailable } from '#machinery';
import type { ServerObjects, ServerRequest, ServerResponse } from '../contract.ts';
import { type Backend, forward, isProxyable } from '../streams/backend.ts';
import { serviceEndpoint } from '../streams/service-endpoint.ts';
import { type Availability, passed, planAvailability } from './availability.ts';
import { askRemote, type RemoteAnswer, urlOf } from './remote-request.ts';
import { parseResources, type ResourceRow } from './remote-resources.ts';

export interface AggregationOptions {
  /** PEM: the certificate with which this server vouches for users. */
  readonly clientCert: string;
  readonly clientKey: string;
  /** Where a Service is reached; default: one of its ready endpoints. */
  readonly resolveService?: (service: {
    readonly namespace: string;
    readonly name: string;
    readonly port: number;
  }) => Promise<{ readonly host: string; readonly port: number }>;
}

const checkTimeoutMs = 5_000;
const largestList = 4 << 20;
/** One endpoint of several may be broken: another is asked. */
const attempts = 3;
const checker = { 'X-Remote-User': 'system:kube-aggregator', 'X-Remote-Group': 'system:masters' };

/** A version of a group that another server serves. */
export class RemoteApi {
  readonly name: string;
  service: APIService;
  available: boolean;
  resources: readonly ResourceRow[] = [];
  timer: Timer | undefined;
  checking = false;
  checkAgain = false;
  readonly #objects: ServerObjects;
  readonly #options: AggregationOptions | undefined;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(
    service: APIService,
    wiring: { objects: ServerObjects; options: AggregationOptions | undefined; clock: Clock; random: Random },
  ) {
    this.name = service.metadata.name ?? '';
    this.service = service;
    // What was found out before this server started holds until its own first look.
    this.available =
      service.status?.conditions?.some((one) => one.type === 'Available' && one.status === 'True') === true;
    this.#objects = wiring.objects;
    this.#options = wiring.options;
    this.#clock = wiring.clock;
    this.#random = wiring.random;
  }

  get group(): string {
    return this.service.spec?.group ?? '';
  }

  get version(): string {
    return this.service.spec?.version ?? '';
  }

  /** `namespace/name:port` of the Service: who answers. */
  get server(): string {
    const { namespace, name, port = 443 } = this.service.spec?.service ?? {};
    return `${namespace}/${name}:${port}`;
  }

  /** Hands a request on, vouching for its user. What goes wrong on the way is upstream's plain 503. */
  async forward(request: ServerRequest): Promise<ServerResponse> {
    if (!this.available) return unavailable('service unavailable');
    let backend: Backend;
    try {
      backend = await this.#backend(request.target);
    } catch {
      return unavailable('service unavailable');
    }
    try {
      return await forward(request, backend, headersOf(request));
    } catch (error) {
      if (error instanceof ApiError && error.status.code === 503) return unavailable(error.status.message ?? '');
      throw error;
    }
  }

  /** A GET of this server's own. Throws when there is no answer. */
  async ask(
    target: string,
    limits: { readonly timeoutMs: number; readonly largestBytes: number },
    headers: Readonly<Record<string, string>> = {},
  ): Promise<RemoteAnswer> {
    const backend = await this.#backend(target);
    return askRemote(backend, { clock: this.#clock, ...limits, headers: { ...headers, ...checker } });
  }

  /** Looks whether the server is there, and takes over what it serves. */
  async check(): Promise<Availability> {
    const { namespace = '', name = '' } = this.service.spec?.service ?? {};
    const services = this.#objects.view('v1', 'services');
    const slices = this.#objects.view('discovery.k8s.io/v1', 'endpointslices');
    await Promise.all([services.ready, slices.ready]);
    const wrong = planAvailability(
      this.service,
      services.get(namespace, name) as unknown as Service | undefined,
      slices.list(namespace) as unknown as readonly EndpointSlice[],
    );
    if (wrong !== undefined) return wrong;
    let failure = '';
    for (let attempt = 0; attempt < attempts; attempt++) {
      try {
        await this.#discover();
        return passed;
      } catch (error) {
        failure = messageOf(error);
      }
    }
    return { available: false, reason: 'FailedDiscoveryCheck', message: failure };
  }

  async #discover(): Promise<void> {
    const backend = await this.#backend(`/apis/${this.group}/${this.version}`);
    const url = urlOf(backend);
    const missing = (why: string): Error => new Error(`failing or missing response from ${url}: ${why}`);
    let answer: RemoteAnswer;
    try {
      const limits = { timeoutMs: checkTimeoutMs, largestBytes: largestList };
      answer = await askRemote(backend, { clock: this.#clock, ...limits, headers: checker });
    } catch (error) {
      throw missing(messageOf(error));
    }
    if (answer.status < 200 || answer.status >= 300) throw missing(`bad status from ${url}: ${answer.status}`);
    try {
      this.resources = parseResources(decodeJson(answer.body));
    } catch {
      // It answers: what it serves stays what it was.
    }
  }

  /** One ready endpoint of the Service; its certificate must be for the Service's name. */
  async #backend(target: string): Promise<Backend> {
    if (this.#options === undefined)
      throw errServiceUnavailable('this server has no certificate to vouch for users with');
    const { service, caBundle, insecureSkipTLSVerify } = this.service.spec as NonNullable<APIService['spec']>;
    const { namespace = '', name = '', port = 443 } = service ?? {};
    const resolve = this.#options.resolveService ?? ((service) => this.#endpoint(service));
    const { host, port: targetPort } = await resolve({ namespace, name, port });
    const { clientCert, clientKey } = this.#options;
    return {
      ...{ scheme: 'https', host, port: targetPort, target, refuseRedirects: true },
      tls: {
        cert: clientCert,
        key: clientKey,
        servername: `${name}.${namespace}.svc`,
        ...(insecureSkipTLSVerify === true ? { rejectUnauthorized: false } : {}),
        ...(caBundle === undefined || caBundle === '' ? {} : { ca: Buffer.from(caBundle, 'base64').toString() }),
      },
    };
  }

  async #endpoint(service: { readonly namespace: string; readonly name: string; readonly port: number }) {
    const found = await serviceEndpoint({ objects: this.#objects, random: this.#random }, service);
    if (!isProxyable(found.host)) throw errServiceUnavailable('address not allowed');
    return found;
  }
}

function unavailable(text: string): ServerResponse {
  return {
    status: 503,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
    body: Buffer.from(`${text.replace(/^error trying to reach service: /, '')}\n`),
  };
}

/** Who asks, in the headers that the other server believes this one's certificate. */
function headersOf({ identity }: ServerRequest): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {
    'X-Remote-User': identity.user,
    'X-Remote-Group': [...identity.groups],
    ...(identity.uid === undefined ? {} : { 'X-Remote-Uid': identity.uid }),
  };
  for (const [key, values] of Object.entries(identity.extra ?? {})) {
    const name = encodeURIComponent(key).replace(/[()]/g, (one) => `%${one.charCodeAt(0).toString(16)}`);
    headers[`X-Remote-Extra-${name}`] = [...values];
  }
  return headers;
}
