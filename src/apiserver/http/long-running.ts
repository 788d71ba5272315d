import type { RequestInfo } from '../contract.ts';

const streaming = new Set(['exec', 'attach', 'portforward', 'proxy', 'log']);

/** Requests that may take as long as their client likes: they hold no place in a lane, and their reader may pause. */
export function isLongRunning({ verb, subresource }: Pick<RequestInfo, 'verb' | 'subresource'>): boolean {
  return verb === 'watch' || streaming.has(subresource);
}
