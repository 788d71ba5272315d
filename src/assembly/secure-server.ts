import {
  admissionPlugins,
  aesGcmSeal,
  type ApiServerOptions,
  bootstrapPolicy,
  type ClusterAuthorizer,
  joinPolicy,
  openAuthenticator,
  openAuthorizer,
  openTokenIssuer,
  reviewHandlers,
  systemPriorityClasses,
} from '#apiserver';
import type { Clock, Log, Random } from '#base';
import { type ClusterPki, type LeafName, type OpenIdConfiguration, parseCertificate } from '#pki';
import type { Store } from '#store';
import { openIdOf } from './open-id.ts';

export interface SecureServerOptions {
  readonly store: Store;
  /** Its credentials are asked for whenever they are used: they are renewed while the server runs. */
  readonly pki: ClusterPki;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Version of this package. */
  readonly version: string;
  readonly serviceCidr: string;
  /** Where nodes and pods reach this server; a loopback address is of no use to them and is not published. */
  readonly advertise: { readonly address: string; readonly port: number };
  /** Issuer of service-account tokens, and their default audience. */
  readonly issuer: string;
  /** 32 bytes: Secrets are stored encrypted with it. */
  readonly encryptionKey: Uint8Array;
  /** Default 300, as upstream. */
  readonly defaultTolerationSeconds?: number;
  /** Sign-in by an OpenID Connect provider. */
  readonly openId?: OpenIdConfiguration;
  /** Requests worked on at once; default 600. */
  readonly seats?: number;
  /** Nodes may join with bootstrap tokens. */
  readonly joinable?: boolean;
}

/** The options of an API server with everything that a real cluster has on: authentication, RBAC, admission. */
export function secureServer(options: SecureServerOptions): ApiServerOptions {
  const { store, pki, clock, random, log, version, serviceCidr, advertise, issuer } = options;
  const audiences = [issuer];
  const clientRoots = [parseCertificate(pki.ca.certificatePem)];
  const frontProxyRoots = [parseCertificate(pki.frontProxyCa.certificatePem)];
  const openId = options.openId === undefined ? undefined : { ...openIdOf(options.openId), log };
  const secretSeal = aesGcmSeal({ keys: [{ name: 'key1', key: options.encryptionKey }], random });
  return {
    store,
    clock,
    random,
    log,
    version: { version },
    authenticator: (objects) =>
      openAuthenticator({
        clock,
        objects,
        clientRoots: () => clientRoots,
        frontProxy: { roots: () => frontProxyRoots, allowedNames: ['front-proxy-client'] },
        serviceAccounts: { keys: () => pki.serviceAccountPublicKeys, issuers: [issuer] },
        audiences,
        bootstrapTokens: true,
        ...(openId === undefined ? {} : { openId }),
      }),
    authorizer: (objects) => openAuthorizer({ objects }),
    admission: (objects, authorizer) =>
      admissionPlugins({
        objects,
        authorizer: authorizer as ClusterAuthorizer,
        clock,
        random,
        log,
        ...(options.defaultTolerationSeconds === undefined
          ? {}
          : { defaultTolerationSeconds: options.defaultTolerationSeconds }),
      }),
    reviews: (_objects, authenticator, authorizer) =>
      reviewHandlers({ authenticator, authorizer: authorizer as ClusterAuthorizer, audiences }),
    tokens: openTokenIssuer({ key: () => pki.serviceAccountKey, issuer, audiences, clock, random }),
    sealOf: (segment) => (segment === 'secrets' ? secretSeal : undefined),
    issuer: { issuer, keys: () => pki.serviceAccountPublicKeys },
    aggregation: currentCredential(pki, 'front-proxy-client'),
    localServices: true,
    extensionAuthentication: {
      clientCa: pki.ca.certificatePem,
      requestHeaderCa: pki.frontProxyCa.certificatePem,
      allowedNames: ['front-proxy-client'],
    },
    services: { ranges: [serviceCidr] },
    flowControl: { keepObjects: true, ...(options.seats === undefined ? {} : { seats: options.seats }) },
    kubelet: Object.assign(currentCredential(pki, 'apiserver-kubelet-client'), { ca: pki.ca.certificatePem }),
    ...(advertise.address.startsWith('127.') ? {} : { advertise }),
    policy: [...bootstrapPolicy(), ...(options.joinable === true ? joinPolicy() : []), ...systemPriorityClasses],
  };
}

function currentCredential(
  pki: ClusterPki,
  name: LeafName,
): { readonly clientCert: string; readonly clientKey: string } {
  return {
    get clientCert() {
      return pki.credential(name).certificatePem;
    },
    get clientKey() {
      return pki.credential(name).keyPem;
    },
  };
}
