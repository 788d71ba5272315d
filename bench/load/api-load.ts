import { type AnyObject, resource } from '#api';
import type { ApiTarget } from '../target/api-target.ts';
import { loadToken } from '../target/load-token.ts';
import { createNamespace, removeNamespace } from '../target/namespaces.ts';
import { type LoadRequest, type LoadResult, runLoad } from './generator.ts';

/** Small ConfigMaps in namespaces of their own, and the requests that the rows are about. */
export interface ApiLoad {
  /** POSTs `count` objects, 16 connections × 8 streams. */
  create(space: 'listed' | 'written', count: number): Promise<LoadResult>;
  get(seconds: number): Promise<LoadResult>;
  listPage(seconds: number): Promise<LoadResult>;
  listAll(seconds: number): Promise<LoadResult>;
  /** Removes the objects, their namespaces and the token's rights, and waits until they are gone. */
  remove(): Promise<void>;
}

const configMaps = resource('v1', 'configmaps');

/** An object of some 600 bytes once stored, as most peers' figures are about. */
const smallConfigMap = JSON.stringify({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { generateName: 'bench-', labels: { app: 'bench', tier: 'load' } },
  data: { 'settings.conf': 'colour=blue\nretries=3\n', note: 'x'.repeat(100) },
});

export async function openApiLoad(api: ApiTarget): Promise<ApiLoad> {
  const suffix = Date.now().toString(36);
  const spaces = { listed: `bench-${suffix}`, written: `bench-writes-${suffix}` };
  for (const name of Object.values(spaces)) await createNamespace(api, name);
  const { token, revoke } = await loadToken(api, spaces.listed);
  const headers = { authorization: `Bearer ${token}`, accept: 'application/json' };
  const path = `/api/v1/namespaces/${spaces.listed}/configmaps`;
  const load = (request: Partial<LoadRequest> & { path: string }): Promise<LoadResult> =>
    runLoad({ server: api.server, method: 'GET', headers, connections: 16, streams: 8, ...request });
  return {
    create: (space, requests) =>
      load({
        method: 'POST',
        path: `/api/v1/namespaces/${spaces[space]}/configmaps`,
        body: smallConfigMap,
        headers: { ...headers, 'content-type': 'application/json' },
        requests,
      }),
    async get(seconds) {
      const { items } = await api.client.list<AnyObject>(configMaps, { namespace: spaces.listed, limit: 1 });
      return load({ path: `${path}/${items[0]?.metadata?.name}`, seconds });
    },
    listPage: (seconds) => load({ path: `${path}?limit=500`, connections: 4, streams: 2, seconds }),
    listAll: (seconds) => load({ path: `${path}?resourceVersion=0`, connections: 4, streams: 1, seconds }),
    async remove() {
      await Promise.all(Object.values(spaces).map((name) => removeNamespace(api, name)));
      await revoke();
    },
  };
}
