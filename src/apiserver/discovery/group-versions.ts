import { apiVersionOf } from '#api';
import type { KindDefinition } from '#kinds';

/** One version of a group with its kinds, in discovery order. */
export interface ServedVersion {
  readonly group: string;
  readonly version: string;
  readonly kinds: readonly KindDefinition[];
}

export interface ServedGroup {
  readonly group: string;
  /** Preferred first. */
  readonly versions: readonly ServedVersion[];
}

/** Groups and versions in the catalogue's order, groups of custom resources by name after the built-in ones. */
export function servedGroups(kinds: readonly KindDefinition[]): readonly ServedGroup[] {
  const groups = new Map<string, Map<string, KindDefinition[]>>();
  for (const one of kinds) {
    const { group, version } = one.resource;
    let versions = groups.get(group);
    if (versions === undefined) groups.set(group, (versions = new Map()));
    const served = versions.get(version);
    if (served === undefined) versions.set(version, [one]);
    else served.push(one);
  }
  const rows = [...groups].map(([group, versions]) => ({
    group,
    versions: [...versions].map(([version, list]) => ({ group, version, kinds: list })),
    custom: [...versions.values()].every((list) => list.every((one) => one.schema !== undefined)),
  }));
  const builtin = rows.filter((one) => !one.custom);
  const custom = rows.filter((one) => one.custom).sort((a, b) => (a.group < b.group ? -1 : 1));
  for (const one of custom) one.versions.sort((a, b) => comparePriority(a.version, b.version));
  return [...builtin, ...custom].map(({ group, versions }) => ({ group, versions }));
}

/** Kubernetes' order of versions: v2, v1, v1beta2, v1alpha1, then others by name. */
export function comparePriority(a: string, b: string): number {
  const left = rank(a);
  const right = rank(b);
  if (left === undefined || right === undefined) {
    if (left !== undefined) return -1;
    if (right !== undefined) return 1;
    return a < b ? -1 : a > b ? 1 : 0;
  }
  for (let i = 0; i < 3; i++) if (left[i] !== right[i]) return (right[i] as number) - (left[i] as number);
  return 0;
}

function rank(version: string): [stability: number, major: number, minor: number] | undefined {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (match === null) return undefined;
  return [match[2] === undefined ? 2 : match[2] === 'beta' ? 1 : 0, Number(match[1]), Number(match[3] ?? 0)];
}

export function groupVersionText(served: ServedVersion): string {
  return apiVersionOf(served);
}
