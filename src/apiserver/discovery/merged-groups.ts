import { localPriorities } from '../aggregation/group-priorities.ts';
import type { ResourceRow } from '../aggregation/remote-resources.ts';
import { aggregatedVersion } from './documents.ts';
import { comparePriority, type ServedGroup } from './group-versions.ts';

/** A version of a group that others answer, with the priorities of its APIService. */
export interface OtherVersion {
  readonly group: string;
  readonly version: string;
  readonly groupPriority: number;
  readonly versionPriority: number;
  readonly resources: readonly ResourceRow[];
  /** Whether what is shown is what is served now. */
  readonly available: boolean;
}

interface ShownVersion {
  readonly version: string;
  readonly groupPriority: number;
  readonly versionPriority: number;
  /** Its item in aggregated discovery. */
  document(): object;
}

/** A group as discovery shows it, whoever answers its versions. */
export interface ShownGroup {
  readonly name: string;
  /** Preferred first. */
  readonly versions: readonly ShownVersion[];
}

/**
 * Our groups and those of others in the order in which clients prefer them: by the highest priority that a group's versions claim, then
 * by name.
 */
export function mergedGroups(local: readonly ServedGroup[], others: readonly OtherVersion[]): readonly ShownGroup[] {
  const groups = new Map<string, ShownVersion[]>();
  const add = (name: string, one: ShownVersion): void => {
    const versions = groups.get(name);
    if (versions === undefined) groups.set(name, [one]);
    else if (!versions.some((held) => held.version === one.version)) versions.push(one);
  };
  for (const { group, versions } of local)
    for (const served of versions) {
      const { groupPriorityMinimum: groupPriority, versionPriority } = localPriorities(group, served.version);
      const document = (): object => aggregatedVersion(served);
      add(group, { version: served.version, groupPriority, versionPriority, document });
    }
  const mixed = new Set<string>();
  for (const one of others) {
    mixed.add(one.group);
    const { version, groupPriority, versionPriority } = one;
    add(one.group, { version, groupPriority, versionPriority, document: () => otherVersion(one) });
  }
  const rows = [...groups].map(([name, versions]) => {
    if (mixed.has(name))
      versions.sort((a, b) => b.versionPriority - a.versionPriority || comparePriority(a.version, b.version));
    return { name, versions, priority: Math.max(...versions.map((one) => one.groupPriority)) };
  });
  rows.sort((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : 1));
  return rows;
}

function otherVersion({ group, version, resources, available }: OtherVersion): object {
  const kindOf = (row: ResourceRow): object => ({
    group: row.group ?? group,
    version: row.version ?? version,
    kind: row.kind,
  });
  return {
    version,
    resources: resources
      .filter((row) => !row.name.includes('/'))
      .map((row) => {
        const subresources = resources
          .filter((one) => one.name.startsWith(`${row.name}/`))
          .map((one) => ({
            subresource: one.name.slice(row.name.length + 1),
            responseKind: kindOf(one),
            verbs: one.verbs,
          }));
        return {
          resource: row.name,
          responseKind: kindOf(row),
          scope: row.namespaced ? 'Namespaced' : 'Cluster',
          singularResource: row.singularName,
          verbs: row.verbs,
          ...(row.shortNames === undefined ? {} : { shortNames: row.shortNames }),
          ...(row.categories === undefined ? {} : { categories: row.categories }),
          ...(subresources.length === 0 ? {} : { subresources }),
        };
      }),
    freshness: available ? 'Current' : 'Stale',
  };
}
