import { type Clock, systemClock } from '#base';
import { type AnyObject, apiVersionOf, type KubeList, type KubeObject, type ResourceInfo, type Status } from '#api';
import { decodeJson } from '#codec';
import { measureRequests } from './request-metrics.ts';
import { apiErrorFromStatus } from '#machinery';
import type { Transport, TransportRequest, TransportResponse } from '#wire';
import type {
  Client,
  DeleteOptions,
  ListOptions,
  ObjectOptions,
  Patch,
  WatchOptions,
  WriteOptions,
} from './contract.ts';
import { listQuery, type TargetOptions, targetOf } from './target.ts';
import { decodeFrames, framesOf } from './watch-frames.ts';

export interface ClientOptions {
  readonly transport: Transport;
  /** Sent with every request; the server derives the field manager from its first word. */
  readonly userAgent?: string;
  /** The server in the metrics `rest_client_…`; default `apiserver`. */
  readonly host?: string;
  readonly clock?: Clock;
}

const patchTypes: Readonly<Record<Patch['type'], string>> = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
};

const partial = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const partialList = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

/** Opens a client on a transport, in-process or over the network. The transport stays the caller's to close. */
export function openClient(options: ClientOptions): Client {
  const { transport, userAgent = 'k8ts', host = 'apiserver', clock = systemClock } = options;
  const measured = measureRequests(host, clock);
  const managerDefault = userAgent.split('/')[0] ?? 'k8ts';

  async function send(request: TransportRequest & { readonly contentType?: string }): Promise<TransportResponse> {
    const { contentType, ...rest } = request;
    const headers: Record<string, string> = { accept: 'application/json', 'user-agent': userAgent, ...request.headers };
    if (rest.objectBody !== undefined) headers['content-type'] = contentType ?? 'application/json';
    const response = await measured(request.method, () => transport.request({ ...rest, headers, objects: true }));
    if (response.status < 400) return response;
    throw apiErrorFromStatus(await failureOf(response));
  }

  async function answer<R>(request: TransportRequest & { readonly contentType?: string }): Promise<R> {
    return (await bodyOf(await send(request))) as R;
  }

  const writeTarget = (resource: ResourceInfo, at: Omit<TargetOptions, 'query'>, write: WriteOptions): string => {
    if (!write.dryRun && write.fieldManager === undefined) return targetOf(resource, at);
    const query = new URLSearchParams();
    if (write.dryRun) query.set('dryRun', 'All');
    if (write.fieldManager !== undefined) query.set('fieldManager', write.fieldManager);
    return targetOf(resource, { ...at, query });
  };

  return {
    get: (resource, name, at: ObjectOptions = {}) =>
      answer({ method: 'GET', target: targetOf(resource, { ...at, name }), signal: at.signal }),

    async list<T extends KubeObject>(resource: ResourceInfo, list: ListOptions = {}) {
      const target = targetOf(resource, { namespace: list.namespace, query: listQuery(list, false) });
      const headers = list.metadataOnly === true ? { accept: partialList } : undefined;
      return namedItems(await answer<KubeList<T>>({ method: 'GET', target, headers, signal: list.signal }), resource);
    },

    async *watch<T extends KubeObject>(resource: ResourceInfo, watch: WatchOptions = {}) {
      const target = targetOf(resource, { namespace: watch.namespace, query: listQuery(watch, true) });
      const headers = watch.metadataOnly === true ? { accept: partial } : undefined;
      const response = await send({ method: 'GET', target, headers, signal: watch.signal });
      const events = response.events ?? decodeFrames(framesOf(response.chunks()));
      for await (const event of events) {
        if (event.type === 'ERROR') throw apiErrorFromStatus(event.object as Status);
        yield event as { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; object: T };
      }
    },

    create(resource, object, write: WriteOptions = {}) {
      const objectBody = { ...object, apiVersion: apiVersionOf(resource), kind: resource.kind };
      const at = { namespace: object.metadata.namespace, subresource: write.subresource };
      return answer({ method: 'POST', target: writeTarget(resource, at, write), objectBody, signal: write.signal });
    },

    update(resource, object, write: WriteOptions = {}) {
      const objectBody = { ...object, apiVersion: apiVersionOf(resource), kind: resource.kind };
      const { namespace, name } = object.metadata;
      const target = writeTarget(resource, { namespace, name, subresource: write.subresource }, write);
      return answer({ method: 'PUT', target, objectBody, signal: write.signal });
    },

    patch(resource, name, patch, write: WriteOptions & ObjectOptions = {}) {
      const fieldManager = write.fieldManager ?? (patch.type === 'apply' ? managerDefault : undefined);
      let target = writeTarget(resource, { ...write, name }, { ...write, fieldManager });
      if (patch.type === 'apply' && patch.force) target += `${target.includes('?') ? '&' : '?'}force=true`;
      const contentType = patchTypes[patch.type];
      return answer({ method: 'PATCH', target, objectBody: patch.body, contentType, signal: write.signal });
    },

    async delete(resource, name, how: DeleteOptions & ObjectOptions = {}) {
      const target = targetOf(resource, { namespace: how.namespace, name, subresource: how.subresource });
      const response = await send({ method: 'DELETE', target, objectBody: deleteBody(how), signal: how.signal });
      await drain(response);
    },

    async deleteCollection(resource, how: DeleteOptions & ListOptions = {}) {
      const target = targetOf(resource, { namespace: how.namespace, query: listQuery(how, false) });
      const response = await send({ method: 'DELETE', target, objectBody: deleteBody(how), signal: how.signal });
      await drain(response);
    },

    createSubresource(resource, name, subresource, body, at: ObjectOptions = {}) {
      const target = targetOf(resource, { namespace: at.namespace, name, subresource });
      return answer({ method: 'POST', target, objectBody: body, signal: at.signal });
    },

    raw: (method, target, body) => answer({ method, target, ...(body === undefined ? {} : { objectBody: body }) }),
  };
}

function deleteBody(options: DeleteOptions): object {
  const { gracePeriodSeconds, propagationPolicy, preconditions } = options;
  return {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    ...(preconditions === undefined ? {} : { preconditions }),
  };
}

async function bodyOf(response: TransportResponse): Promise<unknown> {
  if (response.object !== undefined) return response.object;
  return decodeJson(await response.bytes());
}

/** The answer's body is of no interest, but a connection is only free again when it has been read. */
async function drain(response: TransportResponse): Promise<void> {
  if (response.object === undefined) await response.bytes();
}

/** The Status of a failed request; made up where a proxy answered something else. */
async function failureOf(response: TransportResponse): Promise<Status> {
  let text = '';
  try {
    if (response.object !== undefined) return response.object as Status;
    const bytes = await response.bytes();
    text = new TextDecoder().decode(bytes.subarray(0, 1024));
    const body = decodeJson(bytes) as Partial<Status> | undefined;
    if (body?.kind === 'Status') return body as Status;
  } catch {
    // Not JSON: described below.
  }
  const message = `the server answered ${response.status}${text === '' ? '' : `: ${text.trim()}`}`;
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code: response.status, message };
}

/** Items of a list may come without apiVersion and kind (upstream leaves them out): filled in where the list is ours to change. */
function namedItems<T extends KubeObject>(list: KubeList<T>, resource: ResourceInfo): KubeList<T> {
  const items = (list.items ?? []) as (T & AnyObject)[];
  if (list.items === null || list.items === undefined) return { ...list, items };
  for (const item of items) {
    if (item.kind !== undefined || Object.isFrozen(item)) continue;
    item.apiVersion = apiVersionOf(resource);
    item.kind = resource.kind;
  }
  return list;
}
