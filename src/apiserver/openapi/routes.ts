import { createHash } from 'node:crypto';
import { encodeJson } from '#codec';
import { type Clock, type Log, messageOf } from '#base';
import type { KindCatalogue, KindDefinition } from '#kinds';
import { errNotAcceptable, errServiceUnavailable, errUnknownPath } from '#machinery';
import type { Route, ServerObjects, ServerRequest, ServerResponse } from '../contract.ts';
import { compressed } from '../http/compress.ts';
import { type DocumentSource, groupDocument, swaggerDocument, versionDocument } from './documents.ts';
import { encodeSwagger } from './gnostic.ts';
import { mergeSwagger } from './merge-swagger.ts';
import { type OtherDocument, type OtherServers, RemoteDocuments } from './remote-documents.ts';
import type { Json } from './style.ts';

export interface OpenApiOptions {
  readonly objects: ServerObjects;
  readonly catalogue: KindCatalogue;
  /** Of the API: `v1.36.0`. */
  readonly version: string;
  /** Servers whose documents are shown with ours. */
  readonly others: OtherServers;
  readonly clock: Clock;
  readonly log: Log;
}

type Document = OtherDocument;

const protobufTypes = [
  'application/com.github.proto-openapi.spec.v2@v1.0+protobuf',
  'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
];
const protobufType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
const jsonType = 'application/json';

/** `/openapi/v2` and `/openapi/v3`. Documents are made when first asked for, and forgotten when the kinds change. */
export function openApiRoutes(options: OpenApiOptions): Route[] {
  const { objects, catalogue, version } = options;
  const made = new Map<string, Document>();
  catalogue.onChange(() => made.clear());
  const remote = new RemoteDocuments(options);
  let generation = 0;
  const refreshed = async (): Promise<void> => {
    await Promise.all([definitionsView.ready, remote.refresh()]);
    if (generation === remote.generation) return;
    generation = remote.generation;
    made.delete('v2');
    made.delete('v2 protobuf');
  };
  const definitionsView = objects.view('apiextensions.k8s.io/v1', 'customresourcedefinitions');

  const customSchema = ({ resource }: KindDefinition): Json | undefined => {
    const stored = definitionsView.get(undefined, `${resource.plural}.${resource.group}`);
    const versions = (
      stored?.spec as { versions?: readonly { name: string; schema?: { openAPIV3Schema?: Json } }[] } | undefined
    )?.versions;
    return versions?.find((one) => one.name === resource.version)?.schema?.openAPIV3Schema;
  };
  const source = (): DocumentSource => ({ kinds: catalogue.all(), customSchema, version });
  const get = (name: string, make: () => Uint8Array): Document => {
    let document = made.get(name);
    if (document === undefined) {
      const bytes = make();
      document = { bytes, etag: `"${createHash('sha512').update(bytes).digest('hex').toUpperCase()}"` };
      made.set(name, document);
    }
    return document;
  };
  const groupVersions = (): Map<string, KindDefinition[]> => {
    const groups = new Map<string, KindDefinition[]>();
    for (const one of catalogue.all()) {
      const { group, version: own } = one.resource;
      const path = group === '' ? `api/${own}` : `apis/${group}/${own}`;
      const held = groups.get(path);
      if (held === undefined) groups.set(path, [one]);
      else held.push(one);
    }
    return groups;
  };
  /** Changes when the document would: without having to make it. */
  const hashOf = (path: string, kinds: readonly KindDefinition[]): string => {
    const parts = kinds.map((one) => {
      const { typeName, plural, group } = one.resource;
      const { uid, generation } =
        typeName === undefined ? (definitionsView.get(undefined, `${plural}.${group}`)?.metadata ?? {}) : {};
      return [plural, uid, generation];
    });
    return createHash('sha512')
      .update(JSON.stringify([version, path, parts]))
      .digest('hex')
      .toUpperCase();
  };

  const swagger = async (request: ServerRequest): Promise<ServerResponse> => {
    await refreshed();
    const whole = (): Json => mergeSwagger(swaggerDocument(source()), remote.parts());
    const wanted = negotiated(request.headers.accept);
    if (wanted === undefined) throw errNotAcceptable([jsonType, protobufType]);
    const document =
      wanted === protobufType ? get('v2 protobuf', () => encodeSwagger(whole())) : get('v2', () => encodeJson(whole()));
    return respond(request, document, wanted);
  };
  const index = async (request: ServerRequest): Promise<ServerResponse> => {
    await refreshed();
    const url = (path: string, hash: string) => [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }];
    const own = groupVersions();
    const listed = [
      ...[...own].map(([path, kinds]) => url(path, hashOf(path, kinds))),
      ...[...remote.index()].filter(([path]) => !own.has(path)).map(([path, hash]) => url(path, hash)),
    ];
    const paths = Object.fromEntries(
      [...listed, ['version', { serverRelativeURL: `/openapi/v3/version?hash=${hashOf('version', [])}` }]].sort(),
    );
    const bytes = encodeJson({ paths });
    return respond(
      request,
      { bytes, etag: `"${createHash('sha512').update(bytes).digest('hex').toUpperCase()}"` },
      jsonType,
    );
  };
  const group = async (request: ServerRequest): Promise<ServerResponse> => {
    await refreshed();
    const path = request.info.segments.slice(2).join('/');
    const kinds = groupVersions().get(path);
    if (kinds === undefined && path !== 'version') return otherGroup(request, path);
    const resource = kinds?.[0]?.resource;
    const document = get(`v3 ${path}`, () =>
      encodeJson(
        resource === undefined ? versionDocument(source()) : groupDocument(source(), resource.group, resource.version),
      ),
    );
    const response = await respond(request, document, jsonType);
    const current = request.info.options.get('hash') === hashOf(path, kinds ?? []);
    if (current) response.headers['cache-control'] = 'public, immutable';
    return response;
  };
  const otherGroup = async (request: ServerRequest, path: string): Promise<ServerResponse> => {
    const document = await remote.document(path).catch((error: unknown) => {
      throw errServiceUnavailable(`the OpenAPI document of ${path} cannot be had: ${messageOf(error)}`);
    });
    if (document === undefined) throw errUnknownPath();
    const response = await respond(request, document, jsonType);
    const current = request.info.options.get('hash') === remote.index().get(path);
    if (current) response.headers['cache-control'] = 'public, immutable';
    return response;
  };
  return [
    { path: '/openapi/v2', handle: swagger },
    { path: '/openapi/v3', handle: index },
    { path: '/openapi/v3/*', listed: false, handle: group },
  ];
}

function negotiated(accept: string | undefined): string | undefined {
  if (accept === undefined || accept === '') return jsonType;
  for (const range of accept.split(',')) {
    const type = range.split(';')[0]?.trim() ?? '';
    if (protobufTypes.includes(type)) return protobufType;
    if (type === jsonType || type === '*/*' || type === 'application/*') return jsonType;
  }
  return undefined;
}

async function respond(request: ServerRequest, document: Document, type: string): Promise<ServerResponse> {
  const headers: Record<string, string> = {
    'content-type': type,
    etag: document.etag,
    vary: 'Accept',
    'cache-control': 'no-cache, private',
  };
  if (request.headers['if-none-match'] === document.etag) return { status: 304, headers };
  return compressed(request, { status: 200, headers, body: document.bytes });
}
