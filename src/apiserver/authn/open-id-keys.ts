import { createPublicKey, type JsonWebKeyInput, type KeyObject } from 'node:crypto';
import { type Clock, CodedError, type Log, messageOf } from '#base';

/** Reads a JSON document over HTTPS. Throws when there is none. */
export type ReadDocument = (url: string) => Promise<unknown>;

export interface OpenIdKeysOptions {
  readonly issuerUrl: string;
  readonly read: ReadDocument;
  readonly clock: Clock;
  readonly log: Log;
}

const freshMs = 3_600_000;
/** So often may a token that no key signed make them be read again: providers change keys, and strangers make up tokens. */
const leastPauseMs = 10_000;
const mostKeys = 64;

/** The keys of an issuer, found by its discovery document (OpenID Connect Discovery 1.0) and kept for an hour. */
export class OpenIdKeys {
  readonly #options: OpenIdKeysOptions;
  #keys: readonly KeyObject[] = [];
  #readMs = Number.NEGATIVE_INFINITY;
  #triedMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;

  constructor(options: OpenIdKeysOptions) {
    this.#options = options;
  }

  /** Keys that were read within the last hour; the last ones known while the issuer does not answer. */
  async current(): Promise<readonly KeyObject[]> {
    if (this.#options.clock.monotonicMs() - this.#readMs >= freshMs) await this.#readOften();
    return this.#keys;
  }

  /** For a token that none of `seen` signed: newer keys, or the same when they were read a moment ago. */
  async newer(seen: readonly KeyObject[]): Promise<readonly KeyObject[]> {
    if (this.#keys === seen) await this.#readOften();
    return this.#keys;
  }

  async #readOften(): Promise<void> {
    const { clock, log, issuerUrl } = this.#options;
    if (this.#reading === undefined) {
      if (clock.monotonicMs() - this.#triedMs < leastPauseMs) return;
      this.#triedMs = clock.monotonicMs();
      this.#reading = this.#readAll()
        .catch((error: unknown) =>
          log.warn({ issuer: issuerUrl, error: messageOf(error) }, 'keys of an issuer not read'),
        )
        .finally(() => {
          this.#reading = undefined;
        });
    }
    await this.#reading;
  }

  async #readAll(): Promise<void> {
    const { issuerUrl, read, clock } = this.#options;
    const found = await read(`${issuerUrl.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const { issuer, jwks_uri: address } = (found ?? {}) as { readonly issuer?: unknown; readonly jwks_uri?: unknown };
    if (issuer !== issuerUrl)
      throw new CodedError(
        'OpenIdIssuer',
        `the discovery document is of ${JSON.stringify(issuer)}, not of ${issuerUrl}`,
      );
    if (typeof address !== 'string' || !address.startsWith('https://'))
      throw new CodedError('OpenIdIssuer', 'the discovery document names no jwks_uri with https');
    const { keys } = ((await read(address)) ?? {}) as { readonly keys?: unknown };
    if (!Array.isArray(keys)) throw new CodedError('OpenIdIssuer', `${address} has no keys`);
    this.#keys = keys.slice(0, mostKeys).flatMap(keyOf);
    this.#readMs = clock.monotonicMs();
  }
}

/** Keys for other uses, and of kinds that are not known here, are left out. */
function keyOf(jwk: unknown): KeyObject[] {
  const { use, kty } = (jwk ?? {}) as { readonly use?: unknown; readonly kty?: unknown };
  if ((use !== undefined && use !== 'sig') || (kty !== 'RSA' && kty !== 'EC')) return [];
  try {
    return [createPublicKey({ key: jwk as JsonWebKeyInput['key'], format: 'jwk' })];
  } catch {
    return [];
  }
}
