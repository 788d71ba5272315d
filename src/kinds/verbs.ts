import type { SubresourceDefinition } from './definition.ts';

/** Verbs of kinds that can only be asked, never stored: reviews and bindings. */
export const createOnly: readonly string[] = ['create'];

/** Sub-resource verbs by upstream's habits. */
export const connectVerbs: readonly string[] = ['create', 'get'];
export const proxyVerbs: readonly string[] = ['create', 'delete', 'get', 'patch', 'update'];
export const readWriteVerbs: readonly string[] = ['get', 'patch', 'update'];

/** `/proxy` of pods, services and nodes. */
export function proxySubresource(kind: string): SubresourceDefinition {
  return { name: 'proxy', verbs: proxyVerbs, kind: { group: '', version: 'v1', kind } };
}
