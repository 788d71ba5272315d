import type { KeyObject } from 'node:crypto';
import type { Route } from '../contract.ts';
import { jsonResponse } from '../http/respond.ts';

export interface IssuerOptions {
  readonly issuer: string;
  readonly keys: () => readonly KeyObject[];
  /** Where others find the keys; default: the issuer's own address. */
  readonly jwksUri?: string;
}

/** /.well-known/openid-configuration and /openid/v1/jwks: how others check service account tokens. */
export function issuerRoutes({ issuer, keys, jwksUri }: IssuerOptions): Route[] {
  const pki = (): Promise<typeof import('#pki')> => import('#pki');
  return [
    {
      path: '/.well-known/openid-configuration',
      handle: async () => {
        const { openIdConfiguration } = await pki();
        return jsonResponse(
          200,
          openIdConfiguration({ issuer, keys: keys(), jwksUri: jwksUri ?? `${issuer}/openid/v1/jwks` }) as object,
        );
      },
    },
    {
      path: '/openid/v1/jwks',
      handle: async () => {
        const { jsonWebKeySet } = await pki();
        const response = jsonResponse(200, jsonWebKeySet(keys()) as object);
        return { ...response, headers: { 'content-type': 'application/jwk-set+json' } };
      },
    },
  ];
}
