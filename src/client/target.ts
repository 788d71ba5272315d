import type { ResourceInfo } from '#api';
import type { ListOptions, WatchOptions } from './contract.ts';

export interface TargetOptions {
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
  readonly query?: URLSearchParams;
}

/** The request target of a collection or an object: `/apis/apps/v1/namespaces/default/deployments/web/scale?…`. */
export function targetOf(resource: ResourceInfo, options: TargetOptions = {}): string {
  const { namespace, name, subresource, query } = options;
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const scope = resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const object = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  const part = subresource === undefined ? '' : `/${subresource.split('/').map(encodeURIComponent).join('/')}`;
  const search = query === undefined || query.size === 0 ? '' : `?${query}`;
  return `${root}${scope}/${resource.plural}${object}${part}${search}`;
}

const listParameters = [
  'labelSelector',
  'fieldSelector',
  'resourceVersion',
  'resourceVersionMatch',
  'limit',
  'continue',
  'allowWatchBookmarks',
  'sendInitialEvents',
  'timeoutSeconds',
] as const;

/** The query of a list or watch. Empty selectors are left out: they select everything. */
export function listQuery(options: ListOptions | WatchOptions, watch: boolean): URLSearchParams {
  const query = new URLSearchParams();
  const given = options as Readonly<Record<string, unknown>>;
  for (const name of listParameters) {
    const value = given[name];
    if (value !== undefined && value !== '') query.set(name, String(value));
  }
  if (watch) query.set('watch', 'true');
  return query;
}
