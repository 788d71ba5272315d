import type { OpenIdConfiguration } from '#pki';

const names = {
  issuerUrl: 'oidc-issuer-url',
  clientId: 'oidc-client-id',
  usernameClaim: 'oidc-username-claim',
  usernamePrefix: 'oidc-username-prefix',
  groupsClaim: 'oidc-groups-claim',
  groupsPrefix: 'oidc-groups-prefix',
  caFile: 'oidc-ca-file',
} as const;
const requiredClaim = 'oidc-required-claim';

/** Flags of kube-apiserver in `apiServer.extraArgs` that are followed. */
export const knownApiServerArguments: readonly string[] = [...Object.values(names), requiredClaim];

/** The settings that such arguments make; undefined without an issuer. */
export function openIdOfArguments(given: Readonly<Record<string, string>>): OpenIdConfiguration | undefined {
  const { [names.issuerUrl]: issuerUrl, [names.clientId]: clientId = '', [requiredClaim]: claims } = given;
  if (issuerUrl === undefined) return undefined;
  const texts = Object.entries(names).flatMap(([key, name]) => (given[name] === undefined ? [] : [[key, given[name]]]));
  const requiredClaims = claims === undefined ? {} : { requiredClaims: parseClaims(claims) };
  return { ...Object.fromEntries(texts), issuerUrl, clientId, ...requiredClaims };
}

/** The arguments that make such settings. */
export function argumentsOfOpenId(settings: OpenIdConfiguration): { name: string; value: string }[] {
  const found = Object.entries(names).flatMap(([key, name]) => {
    const value = settings[key as keyof typeof names];
    return value === undefined ? [] : [{ name, value }];
  });
  const claims = Object.entries(settings.requiredClaims ?? {}).map(([claim, value]) => `${claim}=${value}`);
  return claims.length === 0 ? found : [...found, { name: requiredClaim, value: claims.join(',') }];
}

function parseClaims(text: string): Record<string, string> {
  const pairs = text.split(',').map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)]);
  return Object.fromEntries(pairs);
}
