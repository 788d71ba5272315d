import type { KeyObject } from 'node:crypto';
import { type Clock, type Random, rfc3339 } from '#base';
import { signServiceAccountToken } from '#pki';
import type { TokenIssuer } from '../contract.ts';

export interface TokenIssuerOptions {
  readonly key: () => KeyObject;
  readonly issuer: string;
  /** Audiences of tokens whose request names none. */
  readonly audiences: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
}

/** Makes the tokens of `serviceaccounts/token`. Who may have one, and that the objects exist, is decided before. */
export function openTokenIssuer({ key, issuer, audiences, clock, random }: TokenIssuerOptions): TokenIssuer {
  return {
    audiences,
    async issue(request) {
      const nowMs = clock.nowMs();
      const { boundObject } = request;
      const bound = boundObject === undefined ? undefined : { name: boundObject.name, uid: boundObject.uid };
      const token = signServiceAccountToken({
        key: key(),
        issuer,
        audiences: request.audiences.length === 0 ? audiences : request.audiences,
        namespace: request.namespace,
        serviceAccount: { name: request.name, uid: request.uid },
        ...(bound === undefined
          ? {}
          : boundObject?.kind === 'Pod'
            ? { pod: bound }
            : boundObject?.kind === 'Node'
              ? { node: bound }
              : { secret: bound }),
        ...(request.node === undefined ? {} : { node: request.node }),
        expirationSeconds: request.expirationSeconds,
        nowMs,
        id: random.uuid(),
      });
      return { token, expirationTimestamp: rfc3339((Math.floor(nowMs / 1000) + request.expirationSeconds) * 1000) };
    },
  };
}
