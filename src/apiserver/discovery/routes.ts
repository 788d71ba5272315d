import { createHash } from 'node:crypto';
import { builtinSchema } from '#api';
import { encodeJson } from '#codec';
import type { KindCatalogue } from '#kinds';
import { errUnknownPath } from '#machinery';
import type { Handler, Route, ServerRequest, ServerResponse } from '../contract.ts';
import { compressed } from '../http/compress.ts';
import { respondPlain } from '../resources/respond-object.ts';
import { aggregatedGroup, coreVersions, groupDocument, groupList, resourceList } from './documents.ts';
import { type ServedGroup, servedGroups } from './group-versions.ts';

/** Groups that other servers serve, in the forms of discovery; later additions to those of the catalogue. */
export interface RemoteGroups {
  /** APIGroup documents. */
  groups(): readonly object[];
  /** Items of APIGroupDiscoveryList. */
  aggregated(): readonly object[];
  onChange(callback: () => void): void;
}

interface Documents {
  readonly groups: readonly ServedGroup[];
  readonly made: Map<string, { readonly object: object; bytes?: Uint8Array; etag?: string }>;
}

/** /api, /apis and what is below them, made when first asked and forgotten when the catalogue changes. */
export function discoveryRoutes(options: {
  catalogue: KindCatalogue;
  address?: () => string;
  remote?: RemoteGroups;
}): Route[] {
  const { catalogue, remote, address = () => '' } = options;
  let documents: Documents | undefined;
  const forget = (): void => {
    documents = undefined;
  };
  catalogue.onChange(forget);
  remote?.onChange(forget);
  const current = (): Documents => {
    documents ??= { groups: servedGroups(catalogue.all()), made: new Map() };
    return documents;
  };
  const made = (name: string, make: (groups: readonly ServedGroup[]) => object) => {
    const { groups, made: all } = current();
    let one = all.get(name);
    if (one === undefined) {
      one = { object: make(groups) };
      all.set(name, one);
    }
    return one;
  };
  const find = (group: string): ServedGroup => {
    const found = current().groups.find((one) => one.group === group);
    if (found === undefined) throw errUnknownPath();
    return found;
  };
  const others = (groups: readonly ServedGroup[]): ServedGroup[] => groups.filter((one) => one.group !== '');

  const root = (core: boolean): Handler => {
    return (request) => {
      const version = aggregatedVersion(request);
      if (version !== undefined) {
        const one = made(`${core ? 'api' : 'apis'} ${version}`, (groups) => ({
          kind: 'APIGroupDiscoveryList',
          apiVersion: `apidiscovery.k8s.io/${version}`,
          metadata: {},
          items: [
            ...groups.filter((group) => (group.group === '') === core).map(aggregatedGroup),
            ...(core ? [] : (remote?.aggregated() ?? [])),
          ],
        }));
        return respondTagged(
          request,
          one,
          `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
        );
      }
      if (core) return respond(request, coreVersions(address()), 'meta/v1.APIVersions');
      const { object } = made('apis', (groups) =>
        groupList([...others(groups).map(groupDocument), ...(remote?.groups() ?? [])]),
      );
      return respond(request, object, 'meta/v1.APIGroupList');
    };
  };
  return [
    { path: '/api', handle: root(true) },
    { path: '/apis', handle: root(false) },
    {
      path: '/api/*',
      listed: false,
      handle: async (request) => versionDocument(request, '', request.info.segments[1]),
    },
    {
      path: '/apis/*',
      listed: false,
      handle: async (request) => {
        const [, group = '', version] = request.info.segments;
        if (group === '' || request.info.segments.length > 3) throw errUnknownPath();
        if (version !== undefined) return versionDocument(request, group, version);
        const served = find(group);
        return respond(request, made(`group ${group}`, () => groupDocument(served)).object, 'meta/v1.APIGroup');
      },
    },
  ];

  async function versionDocument(
    request: ServerRequest,
    group: string,
    version: string | undefined,
  ): Promise<ServerResponse> {
    const served = find(group).versions.find((one) => one.version === version);
    const depth = group === '' ? 2 : 3;
    if (served === undefined || request.info.segments.length !== depth) throw errUnknownPath();
    return respond(
      request,
      made(`version ${group}/${version}`, () => resourceList(served)).object,
      'meta/v1.APIResourceList',
    );
  }
}

async function respond(request: ServerRequest, object: object, typeName: string): Promise<ServerResponse> {
  const node = builtinSchema.has(typeName) ? builtinSchema.type(typeName) : undefined;
  return respondPlain(request, object, node);
}

/** The version of aggregated discovery that the client prefers, if it asks for one. */
function aggregatedVersion({ headers }: ServerRequest): 'v2' | 'v2beta1' | undefined {
  for (const range of (headers.accept ?? '').split(',')) {
    const parameters = range.split(';').map((one) => one.trim());
    if (parameters[0] !== 'application/json') continue;
    if (!parameters.includes('g=apidiscovery.k8s.io') || !parameters.includes('as=APIGroupDiscoveryList')) {
      return undefined;
    }
    if (parameters.includes('v=v2')) return 'v2';
    if (parameters.includes('v=v2beta1')) return 'v2beta1';
  }
  return undefined;
}

async function respondTagged(
  request: ServerRequest,
  one: { readonly object: object; bytes?: Uint8Array; etag?: string },
  contentType: string,
): Promise<ServerResponse> {
  one.bytes ??= encodeJson(one.object);
  one.etag ??= `"${createHash('sha512').update(one.bytes).digest('hex').toUpperCase()}"`;
  const headers = { 'content-type': contentType, etag: one.etag, vary: 'Accept', 'cache-control': 'public' };
  if (request.headers['if-none-match'] === one.etag) return { status: 304, headers };
  return compressed(request, { status: 200, headers, body: one.bytes, object: one.object });
}
