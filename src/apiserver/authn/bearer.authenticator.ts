import { errUnauthorized } from '#machinery';
import type { AuthenticationRequest, AuthenticationResult, Authenticator } from '../contract.ts';

/** Knows one family of bearer tokens. */
export interface TokenAuthenticator {
  readonly name: string;
  /** Undefined: not a token of this family. Throws errUnauthorized for a bad one. */
  authenticateToken(
    token: string,
    audiences: readonly string[],
  ): AuthenticationResult | undefined | Promise<AuthenticationResult | undefined>;
}

const webSocketPrefix = 'base64url.bearer.authorization.k8s.io.';

/** Bearer tokens of all families, from `Authorization` or, for browsers, from a WebSocket sub-protocol. An unknown one is a bad one. */
export function openBearerAuthenticator(options: {
  readonly families: readonly TokenAuthenticator[];
  readonly audiences: readonly string[];
}): Authenticator {
  const { families, audiences: ownAudiences } = options;
  const ask = (
    token: string,
    audiences: readonly string[],
  ): AuthenticationResult | undefined | Promise<AuthenticationResult | undefined> => {
    for (const [index, family] of families.entries()) {
      const answer = family.authenticateToken(token, audiences);
      if (answer instanceof Promise) return askRest(answer, index + 1, token, audiences);
      if (answer !== undefined) return answer;
    }
    return undefined;
  };
  const askRest = async (
    first: Promise<AuthenticationResult | undefined>,
    from: number,
    token: string,
    audiences: readonly string[],
  ): Promise<AuthenticationResult | undefined> => {
    let answer = await first;
    for (const family of families.slice(from)) answer ??= await family.authenticateToken(token, audiences);
    return answer;
  };
  const known = (answer: AuthenticationResult | undefined): AuthenticationResult => {
    if (answer === undefined) throw errUnauthorized();
    return answer;
  };
  return {
    authenticate(request) {
      const token = bearerToken(request);
      if (token === undefined) return undefined;
      const answer = ask(token, ownAudiences);
      return answer instanceof Promise ? answer.then(known) : known(answer);
    },
    async authenticateToken(token, audiences) {
      return ask(token, audiences.length === 0 ? ownAudiences : audiences);
    },
  };
}

function bearerToken({ headers }: AuthenticationRequest): string | undefined {
  const header = headers.authorization;
  if (header !== undefined) {
    const space = header.indexOf(' ');
    if (space > 0 && header.slice(0, space).toLowerCase() === 'bearer') {
      const token = header.slice(space + 1).trim();
      if (token !== '') return token;
    }
  }
  const protocol = headers['sec-websocket-protocol']?.split(',').find((one) => one.trim().startsWith(webSocketPrefix));
  if (protocol === undefined) return undefined;
  return Buffer.from(protocol.trim().slice(webSocketPrefix.length), 'base64url').toString('utf8');
}
