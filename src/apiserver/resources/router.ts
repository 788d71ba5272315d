import { errMethodNotAllowed, errMethodNotSupported, errUnknownPath } from '#machinery';
import type { Handler, ServerRequest, ServerResponse } from '../contract.ts';
import type { ResourceContext, Verb } from './context.ts';
import { create } from './create.ts';
import { remove } from './delete.ts';
import { removeCollection } from './delete-collection.ts';
import { get } from './get.ts';
import type { KindResource } from './kind-resource.ts';
import { list } from './list.ts';
import { patch } from './patch.ts';
import { review } from './review.ts';
import { createBinding } from './pods/binding.ts';
import { getScale, patchScale, updateScale } from './scale.ts';
import { update } from './update.ts';
import { watch } from './watch.ts';

const verbs: ReadonlyMap<string, Verb> = new Map([
  ['create', create],
  ['delete', remove],
  ['deletecollection', removeCollection],
  ['get', get],
  ['list', list],
  ['patch', patch],
  ['update', update],
  ['watch', watch],
]);
export const allVerbs: readonly string[] = [...verbs.keys()];
const collectionVerbs = new Set(['create', 'deletecollection', 'list', 'watch']);
/** Verbs that may name no namespace though the resource has them. */
const acrossNamespaces = new Set(['list', 'watch']);

const statusVerbs: ReadonlyMap<string, Verb> = new Map([
  ['get', get],
  ['patch', patch],
  ['update', update],
]);
const scaleVerbs: ReadonlyMap<string, Verb> = new Map([
  ['get', getScale],
  ['patch', patchScale],
  ['update', updateScale],
]);

/** Handlers of other sub-resources: by `group/plural/name`, then by verb; `*` for any verb. */
export type SubresourceTable = ReadonlyMap<string, ReadonlyMap<string, Verb>>;

/** Sends resource requests to their verb. Anything else is `otherwise`'s. */
export function resourceRouter(options: {
  context: ResourceContext;
  subresources: SubresourceTable;
  otherwise: Handler;
}): Handler {
  const { context, subresources, otherwise } = options;
  return (request) => {
    const { info } = request;
    if (!info.isResource) return otherwise(request);
    const kind = context.registry.find(info.group, info.version, info.resource);
    if (kind === undefined) return otherwise(request);
    return route(context, kind, request, subresources);
  };
}

function route(
  context: ResourceContext,
  kind: KindResource,
  request: ServerRequest,
  subresources: SubresourceTable,
): Promise<ServerResponse> {
  const { info } = request;
  if (kind.definition.deprecated !== undefined) tellDeprecated(context, kind, request);
  checkScope(kind, request);
  if (info.subresource === '') {
    const named = request.info.segments.length > collectionLength(request);
    if (named === collectionVerbs.has(info.verb) && !(named && info.verb === 'watch')) throw errMethodNotAllowed();
    const served = kind.definition.verbs ?? allVerbs;
    if (!kind.isStored) {
      if (!served.includes(info.verb)) throw notServed(kind, info.verb);
      const computed = context.computed?.get(`${kind.info.group}/${kind.info.plural}`);
      if (computed !== undefined) return computed(context, kind, request);
      if (kind.info.plural === 'bindings') return createBinding(context, kind, request);
      return review(context, kind, request);
    }
    const verb = verbs.get(info.verb);
    if (verb === undefined || !served.includes(info.verb)) throw notServed(kind, info.verb);
    return verb(context, kind, request);
  }
  const table = subresourceVerbs(kind, info.subresource, subresources);
  if (table === undefined) throw errUnknownPath();
  const verb = table.get(info.verb) ?? table.get('*');
  if (verb === undefined) throw errMethodNotAllowed();
  return verb(context, kind, request);
}

/** A warning for the client, and for audit that clients will have to change. */
function tellDeprecated(context: ResourceContext, kind: KindResource, request: ServerRequest): void {
  const { deprecated } = kind.definition;
  if (deprecated === undefined) return;
  request.warnings.push(deprecated.warning);
  request.annotations.set('k8s.io/deprecated', 'true');
  if (deprecated.removedRelease !== undefined)
    request.annotations.set('k8s.io/removed-release', deprecated.removedRelease);
  context.onDeprecated?.(kind, request);
}

function subresourceVerbs(
  kind: KindResource,
  name: string,
  subresources: SubresourceTable,
): ReadonlyMap<string, Verb> | undefined {
  const { group, plural } = kind.info;
  const own = subresources.get(`${group}/${plural}/${name}`);
  if (own !== undefined) return own;
  if (name === 'status' && kind.definition.status === true) return statusVerbs;
  if (name === 'scale' && kind.definition.scale !== undefined) return scaleVerbs;
  return undefined;
}

/** Segments of the collection's path. */
function collectionLength({ info }: ServerRequest): number {
  const base = info.group === '' && info.segments[0] === 'api' ? 3 : 4;
  const legacy = info.segments[base - 1] === 'watch' ? 1 : 0;
  return base + legacy + (info.namespace !== '' && info.resource !== 'namespaces' ? 2 : 0);
}

/** A namespaced path for a cluster-scoped resource names nothing, nor does the reverse (but for lists over all namespaces). */
function checkScope(kind: KindResource, { info }: ServerRequest): void {
  if (kind.info.namespaced) {
    if (info.namespace !== '' || acrossNamespaces.has(info.verb)) return;
    if (info.name === '' && info.subresource === '') throw errMethodNotAllowed();
    throw errUnknownPath();
  }
  const ownPath =
    info.namespace === '' || (info.resource === 'namespaces' && info.group === '' && info.namespace === info.name);
  if (!ownPath) throw errUnknownPath();
}

/** Built-in kinds have no route for a verb they lack; for custom ones the verb is looked up after the route. */
function notServed(kind: KindResource, verb: string): Error {
  return kind.definition.schema === undefined ? errMethodNotAllowed() : errMethodNotSupported(kind.groupResource, verb);
}
