import type { EndpointSlice, Pod, Service } from '#api';
import type { Random } from '#base';
import { errBadRequest, errNotFound, errServiceUnavailable } from '#machinery';
import type { ServerObjects, ServerRequest, ServerResponse } from '../contract.ts';
import { attributesOf, authorize } from '../http/authorization.ts';
import type { ResourceContext, Verb } from '../resources/context.ts';
import { type Backend, forward, isProxyable } from './backend.ts';
import { admitConnect } from './connect.ts';
import { readyEndpoints } from './service-endpoint.ts';
import type { KubeletDirectory } from './kubelet.ts';

/** `scheme:name:port`, `name:port` or `name`. */
export function splitProxyName(text: string): {
  readonly scheme: '' | 'http' | 'https';
  readonly name: string;
  readonly port: string;
} {
  const parts = text.split(':');
  if (parts.length === 1) return { scheme: '', name: text, port: '' };
  if (parts.length === 2) return { scheme: '', name: parts[0] as string, port: parts[1] as string };
  const [scheme = '', name = '', port = ''] = parts;
  if (parts.length > 3 || (scheme !== 'http' && scheme !== 'https' && scheme !== ''))
    throw errBadRequest(`invalid proxy request ${JSON.stringify(text)}`);
  return { scheme, name, port };
}

/** A proxied root without its slash: browsers must be sent to where relative links work. */
function redirectToRoot({ method, target, info }: ServerRequest): ServerResponse | undefined {
  if (info.rest !== '' || (method !== 'GET' && method !== 'HEAD')) return undefined;
  const question = target.indexOf('?');
  const location = question < 0 ? `${target}/` : `${target.slice(0, question)}/${target.slice(question)}`;
  return { status: 301, headers: { location } };
}

/** The path up to the backend's root, as the client wrote it. */
function rootOf({ target, info }: ServerRequest): string {
  const question = target.indexOf('?');
  const path = question < 0 ? target : target.slice(0, question);
  return path.slice(0, path.length - info.rest.length);
}

function targetOf({ info }: ServerRequest): string {
  const path = info.rest === '' ? '/' : info.rest;
  return info.rawQuery === '' ? path : `${path}?${info.rawQuery}`;
}

/** First elements of the kubelet's paths that only tell something. What is behind others may run something, with GET too. */
const telling = new Set(
  '|configz|containerLogs|debug|flagz|healthz|livez|logs|metrics|pods|readyz|runningpods|spec|stats|statusz'.split('|'),
);

/** Whoever may only read through a node's proxy must not run anything there: WebSocket clients of exec send GET. */
async function authorizeKubeletPath({ authorizer }: ResourceContext, request: ServerRequest): Promise<void> {
  const { info, identity } = request;
  const first = info.rest.split('/').find((one) => one !== '') ?? '';
  if (info.verb === 'create' || telling.has(decodeURIComponent(first))) return;
  await authorize(authorizer, request, { ...attributesOf(info, identity), verb: 'create' });
}

/** nodes/NAME/proxy: the kubelet's own pages, with this server's certificate. */
export function nodeProxy(kubelets: KubeletDirectory): Verb {
  return async (context, kind, request) => {
    const { scheme, name, port } = splitProxyName(request.info.name);
    await admitConnect(context, kind, request, 'NodeProxyOptions');
    const redirect = redirectToRoot(request);
    if (redirect !== undefined) return redirect;
    const backend = await kubelets.backend(name, targetOf(request), request.identity);
    if (port === '' || Number(port) === backend.port) {
      await authorizeKubeletPath(context, request);
      return forward(request, backend);
    }
    // Another port of the node is not the kubelet: it gets no certificate of ours.
    return forward(request, {
      scheme: scheme || 'http',
      host: backend.host,
      port: portNumber(port),
      target: backend.target,
      tls: { rejectUnauthorized: false },
    });
  };
}

/** pods/NAME/proxy: a port of a pod. */
export function podProxy(allowLoopback: boolean): Verb {
  return async (context, kind, request) => {
    const { scheme, name, port } = splitProxyName(request.info.name);
    const found = await kind.storage.get(kind.key(request.info.namespace, name));
    if (found === undefined) throw errNotFound(kind.groupResource, name);
    await admitConnect(context, kind, request, 'PodProxyOptions');
    const redirect = redirectToRoot(request);
    if (redirect !== undefined) return redirect;
    const pod = found.object as unknown as Pod;
    const host = pod.status?.podIP ?? '';
    if (host === '') throw errBadRequest('address not allowed');
    const first = (pod.spec?.containers ?? []).flatMap((one) => one.ports ?? [])[0]?.containerPort;
    return forward(
      request,
      backendOf(
        { scheme, host, port: port === '' ? (first ?? 80) : portNumber(port), target: targetOf(request) },
        { allowLoopback, linksBelow: rootOf(request) },
      ),
    );
  };
}

/** services/NAME/proxy: one ready endpoint of a Service. */
export function serviceProxy(objects: ServerObjects, random: Random, allowLoopback: boolean): Verb {
  return async (context, kind, request) => {
    const { namespace } = request.info;
    const { scheme, name, port } = splitProxyName(request.info.name);
    const found = await kind.storage.get(kind.key(namespace, name));
    if (found === undefined) throw errNotFound(kind.groupResource, name);
    await admitConnect(context, kind, request, 'ServiceProxyOptions');
    const redirect = redirectToRoot(request);
    if (redirect !== undefined) return redirect;
    const service = found.object as unknown as Service;
    const portName = portNameOf(service, port);
    const slices = objects.view('discovery.k8s.io/v1', 'endpointslices');
    await slices.current();
    const choices = readyEndpoints(slices.list(namespace) as unknown as EndpointSlice[], name, portName);
    const chosen = choices[random.int(Math.max(1, choices.length))];
    if (chosen === undefined)
      throw errServiceUnavailable(`no endpoints available for service ${JSON.stringify(request.info.name)}`);
    return forward(
      request,
      backendOf({ scheme, ...chosen, target: targetOf(request) }, { allowLoopback, linksBelow: rootOf(request) }),
    );
  };
}

function portNameOf(service: Service, asked: string): string {
  const ports = service.spec?.ports ?? [];
  if (asked === '') return ports.length === 1 ? (ports[0]?.name ?? '') : '';
  const found = ports.find((one) => one.name === asked || String(one.port) === asked);
  if (found === undefined)
    throw errServiceUnavailable(
      `no service port ${JSON.stringify(asked)} found for service ${JSON.stringify(service.metadata.name)}`,
    );
  return found.name ?? '';
}

function backendOf(
  { scheme, host, port, target }: { scheme: '' | 'http' | 'https'; host: string; port: number; target: string },
  { allowLoopback, linksBelow }: { allowLoopback: boolean; linksBelow: string },
): Backend {
  if (!allowLoopback && !isProxyable(host)) throw errBadRequest('address not allowed');
  return { scheme: scheme || 'http', host, port, target, linksBelow, tls: { rejectUnauthorized: false } };
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw errBadRequest(`invalid port ${JSON.stringify(text)}`);
  return port;
}
