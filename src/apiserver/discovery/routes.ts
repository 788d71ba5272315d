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
import { mergedGroups, type OtherVersion, type ShownGroup } from './merged-groups.ts';

/** Group versions that others answer. */
export interface OtherVersions {
  versions(): readonly OtherVersion[];
  onChange(callback: () => void): void;
}

export type { OtherVersion };

interface Documents {
  /** What this server answers. */
  readonly groups: readonly ServedGroup[];
  /** With what others do. */
  readonly shown: readonly ShownGroup[];
  readonly made: Map<string, { readonly object: object; bytes?: Uint8Array; etag?: string }>;
}

/** /api, /apis and what is below them, made when first asked and forgotten when the catalogue changes. */
export function discoveryRoutes(options: {
  catalogue: KindCatalogue;
  address?: () => string;
  others?: OtherVersions;
}): Route[] {
  const { catalogue, others, address = () => '' } = options;
  let documents: Documents | undefined;
  const forget = (): void => {
    documents = undefined;
  };
  catalogue.onChange(forget);
  others?.onChange(forget);
  const current = (): Documents => {
    if (documents === undefined) {
      const groups = servedGroups(catalogue.all());
      documents = { groups, shown: mergedGroups(groups, others?.versions() ?? []), made: new Map() };
    }
    return documents;
  };
  const made = (name: string, make: (groups: readonly ShownGroup[]) => object) => {
    const { shown, made: all } = current();
    let one = all.get(name);
    if (one === undefined) {
      one = { object: make(shown) };
      all.set(name, one);
    }
    return one;
  };
  const find = (group: string): ServedGroup => {
    const found = current().groups.find((one) => one.group === group);
    if (found === undefined) throw errUnknownPath();
    return found;
  };
  const root = (core: boolean): Handler => {
    return (request) => {
      const version = aggregatedVersion(request);
      if (version !== undefined) {
        const one = made(`${core ? 'api' : 'apis'} ${version}`, (groups) => ({
          kind: 'APIGroupDiscoveryList',
          apiVersion: `apidiscovery.k8s.io/${version}`,
          metadata: {},
          items: groups.filter((group) => (group.name === '') === core).map(aggregatedGroup),
        }));
        return respondTagged(
          request,
          one,
          `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
        );
      }
      if (core) return respond(request, coreVersions(address()), 'meta/v1.APIVersions');
      const { object } = made('apis', (groups) =>
        groupList(groups.filter((one) => one.name !== '').map(groupDocument)),
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
        const shown = current().shown.find((one) => one.name === group);
        if (shown === undefined) throw errUnknownPath();
        return respond(request, made(`group ${group}`, () => groupDocument(shown)).object, 'meta/v1.APIGroup');
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
