import type { Ingress, IngressBackend } from '#api';
import { type Annotations, parseAnnotations, type Rewrite, type RouteOptions, readRulePath } from './annotations.ts';
import type { BackendProtocol } from './proxy/endpoint.ts';

/** One port of one Service, as a rule names it. */
export interface BackendReference {
  readonly namespace: string;
  readonly service: string;
  readonly port: string | number;
  /** Overrides what the Service's port says of itself. */
  readonly protocol?: BackendProtocol;
}

export type MatchType = 'Exact' | 'Prefix' | 'ImplementationSpecific';

/** Where a request is sent, and how. */
export interface Destination {
  readonly backend: BackendReference;
  /** The same for the same backend. */
  readonly backendKey: string;
  readonly options: RouteOptions;
  /** `namespace/name`. */
  readonly ingress: string;
}

export interface RoutePlan extends Destination {
  /** Lower case; '' for every host, `*.x.y` for one label before `.x.y`. */
  readonly host: string;
  readonly type: MatchType;
  /** Normalised; without its last slash when it is not Exact. */
  readonly path: string;
  readonly rewrite?: Rewrite;
}

export interface Problem {
  readonly ingress: string;
  readonly reason: 'Conflict' | 'Unsupported' | 'InvalidAnnotation';
  readonly message: string;
}

/** What one Ingress says by itself. */
export interface IngressReading {
  readonly routes: readonly { readonly place: string; readonly route: RoutePlan }[];
  /** Hosts of its rules. */
  readonly hosts: ReadonlySet<string>;
  readonly fallback?: Destination;
  readonly problems: readonly Problem[];
}

const matchTypes: readonly string[] = ['Exact', 'Prefix', 'ImplementationSpecific'];
/** Objects never change: each is read once. */
const readings = new WeakMap<Ingress, IngressReading>();

export const keyOfIngress = (ingress: Ingress): string => `${ingress.metadata.namespace}/${ingress.metadata.name}`;

export function backendKeyOf({ namespace, service, port, protocol }: BackendReference): string {
  return JSON.stringify([namespace, service, port, protocol ?? '']);
}

/** Reads the rules of one Ingress; those that cannot be served are problems. */
export function readIngress(ingress: Ingress): IngressReading {
  const known = readings.get(ingress);
  if (known !== undefined) return known;
  const reading = read(ingress);
  readings.set(ingress, reading);
  return reading;
}

function read(ingress: Ingress): IngressReading {
  const key = keyOfIngress(ingress);
  const spec = ingress.spec ?? {};
  const annotations = parseAnnotations(ingress.metadata.annotations);
  const problems: Problem[] = annotations.problems.map((message) => ({
    ingress: key,
    reason: 'InvalidAnnotation',
    message,
  }));
  const hosts = new Set<string>();
  const routes: { place: string; route: RoutePlan }[] = [];
  for (const rule of spec.rules ?? []) {
    const host = (rule.host ?? '').toLowerCase();
    hosts.add(host);
    for (const path of rule.http?.paths ?? []) {
      const destination = destinationOf(ingress, path.backend, annotations, problems);
      if (destination === undefined) continue;
      const type = (matchTypes.includes(path.pathType) ? path.pathType : 'Prefix') as MatchType;
      const found = readRulePath(path.path || '/', { ...annotations, patterns: type === 'ImplementationSpecific' });
      if (found.problem !== undefined) problems.push({ ingress: key, reason: 'Unsupported', message: found.problem });
      if (found.path === '') continue;
      const route = {
        host,
        type,
        path: type === 'Exact' ? found.path : withoutLastSlash(found.path),
        ...(found.rewrite === undefined ? {} : { rewrite: found.rewrite }),
        ...destination,
      };
      routes.push({ place: JSON.stringify([host, type, route.path]), route });
    }
  }
  const { defaultBackend } = spec;
  const fallback =
    defaultBackend === undefined || defaultBackend === null
      ? undefined
      : destinationOf(ingress, defaultBackend, annotations, problems);
  return { routes, hosts, problems, ...(fallback === undefined ? {} : { fallback }) };
}

function destinationOf(
  ingress: Ingress,
  backend: IngressBackend,
  annotations: Annotations,
  problems: Problem[],
): Destination | undefined {
  const { service, resource } = backend ?? {};
  const port = service?.port?.name || service?.port?.number;
  const key = keyOfIngress(ingress);
  if (service === undefined || service === null || !port) {
    problems.push({
      ingress: key,
      reason: 'Unsupported',
      message: `the backend ${resource?.kind ?? ''} ${resource?.name ?? ''} is not a Service with a port; its rule is not served`,
    });
    return undefined;
  }
  const reference = {
    namespace: ingress.metadata.namespace,
    service: service.name,
    port,
    ...(annotations.protocol === undefined ? {} : { protocol: annotations.protocol }),
  };
  return { backend: reference, backendKey: backendKeyOf(reference), options: annotations.options, ingress: key };
}

/** `/a/` → `/a`, `/` → ``: prefixes are compared by whole elements. */
function withoutLastSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}
