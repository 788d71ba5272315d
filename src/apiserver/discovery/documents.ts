import { apiVersionOf } from '#api';
import type { KindDefinition } from '#kinds';
import { allVerbs } from '../resources/router.ts';
import type { ServedVersion } from './group-versions.ts';
import type { ShownGroup } from './merged-groups.ts';

interface SubresourceRow {
  readonly name: string;
  readonly verbs: readonly string[];
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  readonly foreign: boolean;
}

const statusVerbs = ['get', 'patch', 'update'];

/** Sub-resources of a kind as discovery shows them. */
function subresourcesOf(definition: KindDefinition): SubresourceRow[] {
  const { resource, subresources = [], status, scale } = definition;
  const own = { group: resource.group, version: resource.version, kind: resource.kind };
  const rows: SubresourceRow[] = subresources.map((one) => ({
    name: one.name,
    verbs: one.verbs,
    kind: one.kind ?? own,
    foreign: one.kind !== undefined && (one.kind.group !== own.group || one.kind.version !== own.version),
  }));
  if (status === true && !rows.some((one) => one.name === 'status')) {
    rows.push({ name: 'status', verbs: statusVerbs, kind: own, foreign: false });
  }
  if (scale !== undefined && !rows.some((one) => one.name === 'scale')) {
    rows.push({
      name: 'scale',
      verbs: statusVerbs,
      kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
      foreign: true,
    });
  }
  return rows.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** GET /api/v1, /apis/G/V. */
export function resourceList(served: ServedVersion): object {
  const resources: object[] = [];
  const byName = [...served.kinds].sort((a, b) => (a.resource.plural < b.resource.plural ? -1 : 1));
  for (const definition of byName) {
    const { plural, singular, namespaced, kind, shortNames, categories } = definition.resource;
    resources.push({
      name: plural,
      singularName: singular,
      namespaced,
      kind,
      verbs: [...(definition.verbs ?? allVerbs)].sort(),
      ...(shortNames.length > 0 ? { shortNames } : {}),
      ...(categories.length > 0 ? { categories } : {}),
    });
    for (const row of subresourcesOf(definition)) {
      resources.push({
        name: `${plural}/${row.name}`,
        singularName: '',
        namespaced,
        ...(row.foreign ? { group: row.kind.group, version: row.kind.version } : {}),
        kind: row.kind.kind,
        verbs: row.verbs,
      });
    }
  }
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf(served), resources };
}

/** GET /apis/GROUP. */
export function groupDocument({ name, versions }: ShownGroup): object {
  const rows = versions.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
  return { kind: 'APIGroup', apiVersion: 'v1', name, versions: rows, preferredVersion: rows[0] };
}

/** GET /apis. */
export function groupList(groups: readonly object[]): object {
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: groups.map((one) => {
      const { kind: _kind, apiVersion: _version, ...rest } = one as Record<string, unknown>;
      return rest;
    }),
  };
}

/** GET /api. */
export function coreVersions(address: string): object {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
  };
}

/** One group of aggregated discovery. */
export function aggregatedGroup({ name, versions }: ShownGroup): object {
  return {
    metadata: name === '' ? { creationTimestamp: null } : { name, creationTimestamp: null },
    versions: versions.map((one) => one.document()),
  };
}

/** One version of a group that this server answers, of aggregated discovery. */
export function aggregatedVersion({ version, kinds }: ServedVersion): object {
  return {
    version,
    resources: [...kinds].sort((a, b) => (a.resource.plural < b.resource.plural ? -1 : 1)).map(aggregatedResource),
    freshness: 'Current',
  };
}

function aggregatedResource(definition: KindDefinition): object {
  const { plural, singular, namespaced, kind, shortNames, categories, group, version } = definition.resource;
  const rows = subresourcesOf(definition).map((row) => ({
    subresource: row.name,
    responseKind: row.kind,
    verbs: row.verbs,
  }));
  return {
    resource: plural,
    responseKind: { group, version, kind },
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs: [...(definition.verbs ?? allVerbs)].sort(),
    ...(shortNames.length > 0 ? { shortNames } : {}),
    ...(categories.length > 0 ? { categories } : {}),
    ...(rows.length > 0 ? { subresources: rows } : {}),
  };
}
