import { errUnknownPath } from '#machinery';
import type { Handler, Route } from '../contract.ts';
import { jsonResponse } from './respond.ts';

/** Non-resource paths: exact ones first, then the longest prefix; `/` lists them. */
export function pathRouter(routes: readonly Route[], otherwise: Handler | undefined): Handler {
  const exact = new Map<string, Handler>();
  const prefixes: { readonly prefix: string; readonly handle: Handler }[] = [];
  for (const { path, handle } of routes) {
    if (path.endsWith('/*')) prefixes.push({ prefix: path.slice(0, -1), handle });
    else exact.set(path, handle);
  }
  prefixes.sort((a, b) => b.prefix.length - a.prefix.length);
  const paths = routes
    .filter((route) => route.listed !== false)
    .map(({ path }) => path)
    .sort();
  return async (request) => {
    const path =
      request.info.path.length > 1 && request.info.path.endsWith('/')
        ? request.info.path.slice(0, -1)
        : request.info.path;
    const handle = exact.get(path);
    if (handle !== undefined) return handle(request);
    if (path === '/') return jsonResponse(200, { paths });
    for (const one of prefixes) if (path.startsWith(one.prefix)) return one.handle(request);
    if (otherwise !== undefined) return otherwise(request);
    throw errUnknownPath();
  };
}
