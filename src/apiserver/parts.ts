import type { KindCatalogue } from '#kinds';
import type { Handler, Route, ServerObjects } from './contract.ts';
import type { KindHooks, ResourceContext, Verb } from './resources/context.ts';
import { namespaceFinalize, namespaceHooks } from './resources/namespaces.ts';
import type { ApiServerOptions } from './server.ts';

/** What the server is made of beyond the generic resources. */
export interface ServerParts {
  readonly subresources: ReadonlyMap<string, ReadonlyMap<string, Verb>>;
  readonly routes: readonly Route[];
  /** Takes requests that no kind and no path serves (aggregated APIs); undefined: 404. */
  readonly otherwise: Handler | undefined;
  /** After the first objects are there. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Wires the parts: one line each. */
export async function serverParts(wiring: {
  options: ApiServerOptions;
  context: ResourceContext;
  objects: ServerObjects;
  catalogue: KindCatalogue;
  hooks: Map<string, KindHooks>;
}): Promise<ServerParts> {
  const { hooks } = wiring;
  hooks.set('/namespaces', namespaceHooks);
  const subresources = new Map<string, ReadonlyMap<string, Verb>>([
    ['/namespaces/finalize', new Map([['update', namespaceFinalize]])],
  ]);
  return {
    subresources,
    routes: [],
    otherwise: undefined,
    async start() {},
    async close() {},
  };
}
