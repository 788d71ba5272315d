import { nodeHttp } from '#base';

/** The words after a status: the backend's own, or the usual ones. */
export function reasonOf(head: { readonly status: number; readonly reason: string }): string {
  return head.reason !== '' ? head.reason : (nodeHttp.STATUS_CODES[head.status] ?? '');
}
