/** How people sign in by an OpenID Connect provider, as upstream's `--oidc-…` flags. */
export interface OpenIdSettings {
  /** `https://…`, exactly as in tokens. */
  readonly issuerUrl: string;
  readonly clientId: string;
  /** Default `sub`. */
  readonly usernameClaim?: string;
  /** `-`: none. Default: none for the claim `email`, else the issuer's URL and `#`. */
  readonly usernamePrefix?: string;
  readonly groupsClaim?: string;
  readonly groupsPrefix?: string;
  /** Claims that a token must have with just these values. */
  readonly requiredClaims?: Readonly<Record<string, string>>;
}

/** The same as files and flags give it. */
export interface OpenIdConfiguration extends OpenIdSettings {
  /** PEM of the authority of the provider's certificate, on every control plane; absent: those that Node knows. */
  readonly caFile?: string;
}
