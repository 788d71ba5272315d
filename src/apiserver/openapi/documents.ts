import type { KindDefinition } from '#kinds';
import { addCustomDefinitions, listTypeName } from './custom-schemas.ts';
import { customDefinitionName, definitionName } from './names.ts';
import { operation2, operation3 } from './operations.ts';
import { pathsOf } from './paths.ts';
import { Definitions, type GroupVersionKind } from './schemas.ts';
import { type Json, style2, style3, type Style } from './style.ts';

export interface DocumentSource {
  readonly kinds: readonly KindDefinition[];
  /** The openAPIV3Schema of a custom resource. */
  customSchema(definition: KindDefinition): Json | undefined;
  /** Of the API: `v1.36.0`. */
  readonly version: string;
}

const info = (version: string): Json => ({ title: 'Kubernetes', version });

/** What apiVersions and kinds each definition is served as. */
function kindsByDefinition(kinds: readonly KindDefinition[]): Map<string, readonly GroupVersionKind[]> {
  const table = new Map<string, GroupVersionKind[]>();
  const add = (name: string, one: GroupVersionKind): void => {
    const held = table.get(name);
    if (held === undefined) table.set(name, [one]);
    else if (
      !held.some((other) => other.group === one.group && other.version === one.version && other.kind === one.kind)
    )
      held.push(one);
  };
  for (const { resource } of kinds) {
    const { group, version, kind, typeName } = resource;
    if (typeName !== undefined) add(definitionName(typeName), { group, kind, version });
    const list = listTypeName(resource);
    if (list !== undefined) add(definitionName(list), { group, kind: `${kind}List`, version });
    for (const name of ['DeleteOptions', 'WatchEvent'])
      add(definitionName(`meta/v1.${name}`), { group, kind: name, version });
  }
  add(definitionName('meta/v1.Status'), { group: '', kind: 'Status', version: 'v1' });
  add(definitionName('autoscaling/v1.Scale'), { group: 'autoscaling', kind: 'Scale', version: 'v1' });
  add(definitionName('policy/v1.Eviction'), { group: 'policy', kind: 'Eviction', version: 'v1' });
  add(definitionName('authentication/v1.TokenRequest'), {
    group: 'authentication.k8s.io',
    kind: 'TokenRequest',
    version: 'v1',
  });
  return table;
}

function contents(
  source: DocumentSource,
  kinds: readonly KindDefinition[],
  style: Style,
): { paths: Json; definitions: Definitions } {
  const definitions = new Definitions(style, kindsByDefinition(source.kinds));
  const paths: Json = {};
  for (const definition of kinds) {
    if (definition.resource.typeName === undefined)
      addCustomDefinitions(definitions, style, definition.resource, source.customSchema(definition));
    Object.assign(paths, pathsOf(definition, definitions, style));
  }
  return { paths, definitions };
}

const versionOperation = (definitions: Definitions) =>
  ({
    method: 'get',
    id: 'getCodeVersion',
    description: 'get the version information for this server',
    query: [],
    response: definitions.special('io.k8s.apimachinery.pkg.version.Info'),
    status: ['200'],
  }) as const;

const sorted = (paths: Json): Json => Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1)));

/** The whole of `/openapi/v2`. */
export function swaggerDocument(source: DocumentSource): Json {
  const { paths, definitions } = contents(source, source.kinds, style2);
  definitions.type('meta/v1.WatchEvent');
  paths['/version/'] = { get: operation2(versionOperation(definitions), { tag: 'version' }) };
  return {
    swagger: '2.0',
    info: info(source.version),
    paths: sorted(paths),
    definitions: definitions.all(),
    securityDefinitions: {
      BearerToken: { description: 'Bearer Token authentication', type: 'apiKey', name: 'authorization', in: 'header' },
    },
    security: [{ BearerToken: [] }],
  };
}

/** `/openapi/v3/apis/GROUP/VERSION`; `version` for the path `/version`. */
export function groupDocument(source: DocumentSource, group: string, version: string): Json {
  const { paths, definitions } = contents(
    source,
    source.kinds.filter(({ resource }) => resource.group === group && resource.version === version),
    style3,
  );
  definitions.type('meta/v1.WatchEvent');
  return document3(source, paths, definitions);
}

export function versionDocument(source: DocumentSource): Json {
  const definitions = new Definitions(style3, new Map());
  return document3(
    source,
    { '/version/': { get: operation3(versionOperation(definitions), { tag: 'version' }) } },
    definitions,
  );
}

function document3(source: DocumentSource, paths: Json, definitions: Definitions): Json {
  return {
    openapi: '3.0.0',
    info: info(source.version),
    paths: sorted(paths),
    components: {
      schemas: definitions.all(),
      securitySchemes: {
        BearerToken: {
          description: 'Bearer Token authentication',
          type: 'apiKey',
          name: 'authorization',
          in: 'header',
        },
      },
    },
  };
}

export { customDefinitionName };
