import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '#base';
import { errUnauthorized } from '#machinery';
import type { AuthenticationResult, ServerObjects } from '../contract.ts';
import type { TokenAuthenticator } from './bearer.authenticator.ts';

const form = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const extraGroup = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

/** `id.secret` tokens kept as Secrets `bootstrap-token-<id>` in kube-system: user `system:bootstrap:<id>`. */
export function openBootstrapTokenAuthenticator(options: {
  readonly objects: ServerObjects;
  readonly clock: Clock;
}): TokenAuthenticator {
  const { objects, clock } = options;
  const check = (id: string, secret: string): AuthenticationResult => {
    const stored = objects.view('v1', 'secrets').get('kube-system', `bootstrap-token-${id}`);
    const text = (key: string): string => {
      const data = (stored?.data ?? {}) as Record<string, string>;
      return Object.hasOwn(data, key) ? Buffer.from(data[key] ?? '', 'base64').toString('utf8') : '';
    };
    const good =
      sameText(text('token-secret'), secret) &&
      stored !== undefined &&
      stored.type === 'bootstrap.kubernetes.io/token' &&
      stored.metadata.deletionTimestamp === undefined &&
      text('token-id') === id &&
      text('usage-bootstrap-authentication') === 'true' &&
      !isPast(text('expiration'), clock.nowMs());
    const more = text('auth-extra-groups')
      .split(',')
      .filter((one) => one !== '');
    if (!good || more.some((group) => !extraGroup.test(group))) throw errUnauthorized();
    return {
      identity: { user: `system:bootstrap:${id}`, groups: ['system:bootstrappers', ...more, 'system:authenticated'] },
      authenticator: 'bootstrap',
      credentialId: id,
    };
  };
  return {
    name: 'bootstrap',
    authenticateToken(token) {
      const match = form.exec(token);
      if (match === null) return undefined;
      const view = objects.view('v1', 'secrets');
      const [, id = '', secret = ''] = match;
      return view.isReady ? check(id, secret) : view.ready.then(() => check(id, secret));
    },
  };
}

function isPast(expiration: string, nowMs: number): boolean {
  if (expiration === '') return false;
  const endMs = Date.parse(expiration);
  return Number.isNaN(endMs) || endMs <= nowMs;
}

/** Takes the same time wherever the texts differ. */
function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return (
    timingSafeEqual(
      Buffer.concat([left, Buffer.alloc(Math.max(0, right.length - left.length))]).subarray(0, right.length),
      right,
    ) && left.length === right.length
  );
}
