import { createHash } from 'node:crypto';
import { type Clock, type Log, messageOf } from '#base';
import { resource } from '#api';
import type { Client } from '#client';
import type { Identity } from '#wire';

const tokenReviews = resource('authentication.k8s.io/v1', 'tokenreviews');
/** As upstream's kubelet: two minutes for a token that is good. */
const goodMs = 120_000;
const badMs = 10_000;
const mostRemembered = 1000;
const mostAsked = 16;
const longestToken = 16 << 10;

/**
 * Who a bearer token is, by asking the API server: Prometheus and metrics-server come with their ServiceAccount's. Undefined for no
 * token and for one that is nobody's. Tokens are remembered by their hash alone; at most 16 are asked about at a time.
 */
export function openTokenAuthenticator(options: {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Log;
}): (authorization: string | undefined) => Promise<Identity | undefined> {
  const { client, clock, log } = options;
  const remembered = new Map<string, { readonly identity: Identity | undefined; readonly untilMs: number }>();
  const asked = new Map<string, Promise<Identity | undefined>>();

  async function review(token: string): Promise<Identity | undefined> {
    const answer = (await client.create(tokenReviews, { metadata: {}, spec: { token } } as never)) as unknown as {
      readonly status?: {
        readonly authenticated?: boolean;
        readonly user?: { readonly username?: string; readonly uid?: string; readonly groups?: readonly string[] };
      };
    };
    const { authenticated, user } = answer.status ?? {};
    if (authenticated !== true || user?.username === undefined || user.username === '') return undefined;
    return { user: user.username, groups: user.groups ?? [], ...(user.uid === undefined ? {} : { uid: user.uid }) };
  }

  return async (authorization) => {
    const token = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined || token.length > longestToken) return undefined;
    const key = createHash('sha256').update(token).digest('base64');
    const known = remembered.get(key);
    if (known !== undefined && known.untilMs > clock.monotonicMs()) return known.identity;
    let asking = asked.get(key);
    if (asking === undefined) {
      if (asked.size >= mostAsked) return undefined;
      asking = review(token)
        .then((identity) => {
          if (remembered.size >= mostRemembered) remembered.clear();
          remembered.set(key, { identity, untilMs: clock.monotonicMs() + (identity === undefined ? badMs : goodMs) });
          return identity;
        })
        .catch((error: unknown) => {
          log.warn({ error: messageOf(error) }, 'a token could not be asked about');
          return undefined;
        })
        .finally(() => asked.delete(key));
      asked.set(key, asking);
    }
    return asking;
  };
}
