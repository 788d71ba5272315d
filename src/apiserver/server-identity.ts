import type { Identity } from '#wire';

/** The identity of the server's own requests. */
export const serverIdentity: Identity = Object.freeze({
  user: 'system:apiserver',
  groups: Object.freeze(['system:masters', 'system:authenticated']),
});
