/** What a request to the kubelet's server asks for. */
export type Route =
  | { readonly name: 'health' | 'pods' | 'metrics' | 'resource-metrics' | 'container-metrics' | 'stats' }
  | {
      readonly name: 'logs';
      readonly namespace: string;
      readonly pod: string;
      readonly container: string;
      readonly query: URLSearchParams;
    }
  | {
      readonly name: 'exec' | 'attach' | 'run';
      readonly namespace: string;
      readonly pod: string;
      readonly container: string;
      readonly query: URLSearchParams;
    }
  | { readonly name: 'storage'; readonly driver: string; readonly method: string }
  | { readonly name: 'refresh-volumes' }
  | {
      readonly name: 'port-forward';
      readonly namespace: string;
      readonly pod: string;
      readonly query: URLSearchParams;
    };

/** Reads a raw request target. Segments are split first and decoded once; a segment that is empty, `.` or `..` is no route. */
export function parseRoute(target: string): Route | undefined {
  const [path = '', query = ''] = splitOnce(target, '?');
  const segments: string[] = [];
  for (const raw of path.split('/').slice(1)) {
    let segment: string;
    try {
      segment = decodeURIComponent(raw);
    } catch {
      return undefined;
    }
    if (segment === '' || segment === '.' || segment === '..' || segment.includes('/') || segment.includes('\0'))
      return undefined;
    segments.push(segment);
  }
  const [first, ...rest] = segments;
  const whole = segments.join('/');
  const plain = {
    healthz: 'health',
    pods: 'pods',
    metrics: 'metrics',
    'metrics/resource': 'resource-metrics',
    'metrics/cadvisor': 'container-metrics',
    'stats/summary': 'stats',
    'storage/refresh': 'refresh-volumes',
  } as const;
  if (Object.hasOwn(plain, whole)) return { name: plain[whole as keyof typeof plain] };
  const params = new URLSearchParams(query);
  // A driver's name may have one slash, as in k8ts.io/local.
  if (first === 'storage' && (rest.length === 2 || rest.length === 3))
    return { name: 'storage', driver: rest.slice(0, -1).join('/'), method: rest.at(-1) as string };
  const [namespace, pod] = rest;
  if (namespace === undefined || pod === undefined) return undefined;
  if (first === 'portForward' && (rest.length === 2 || rest.length === 3))
    return { name: 'port-forward', namespace, pod, query: params };
  const named = { containerLogs: 'logs', exec: 'exec', attach: 'attach', run: 'run' } as const;
  if (first === undefined || !Object.hasOwn(named, first)) return undefined;
  // The pod's uid may stand between its name and the container's.
  const container = rest.length === 4 ? rest[3] : rest.length === 3 ? rest[2] : undefined;
  if (container === undefined) return undefined;
  return { name: named[first as keyof typeof named], namespace, pod, container, query: params };
}

/** The verb and the sub-resources of `nodes` that a route needs; running something is `create` whatever the method. */
export function accessOf(route: Route): { readonly verb: 'get' | 'create'; readonly subresources: readonly string[] } {
  switch (route.name) {
    case 'health':
      return { verb: 'get', subresources: ['healthz', 'proxy'] };
    case 'pods':
      return { verb: 'get', subresources: ['pods', 'proxy'] };
    case 'metrics':
    case 'resource-metrics':
    case 'container-metrics':
      return { verb: 'get', subresources: ['metrics'] };
    case 'stats':
      return { verb: 'get', subresources: ['stats'] };
    case 'logs':
      return { verb: 'get', subresources: ['proxy'] };
    default:
      return { verb: 'create', subresources: ['proxy'] };
  }
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
