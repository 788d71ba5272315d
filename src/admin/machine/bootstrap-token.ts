import { createHmac, timingSafeEqual } from 'node:crypto';
import type { NewObject, Secret } from '#api';
import { CodedError, type Random, rfc3339 } from '#base';

export const joiningGroup = 'system:bootstrappers:kubeadm:default-node-token';
export const tokenSecretType = 'bootstrap.kubernetes.io/token';
export const defaultTokenTtlMs = 24 * 3_600_000;

/** A bootstrap token `id.secret`, with which a machine proves that it may ask to join. */
export interface BootstrapToken {
  readonly id: string;
  readonly secret: string;
}

export interface TokenWishes {
  readonly token: BootstrapToken;
  /** 0: for ever. */
  readonly ttlMs: number;
  readonly description?: string;
  readonly usages?: readonly string[];
  readonly groups?: readonly string[];
}

/** Throws CodedError `WrongUsage`; the message does not repeat the secret. */
export function parseToken(text: string): BootstrapToken {
  const match = /^([a-z0-9]{6})\.([a-z0-9]{16})$/.exec(text);
  if (match === null) {
    throw new CodedError(
      'WrongUsage',
      'a token is six, a point and sixteen of a-z and 0-9, as abcdef.0123456789abcdef',
    );
  }
  return { id: match[1] as string, secret: match[2] as string };
}

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';

export function generateToken(random: Random): BootstrapToken {
  const letters = (count: number): string =>
    Array.from({ length: count }, () => alphabet[random.int(alphabet.length)]).join('');
  return { id: letters(6), secret: letters(16) };
}

export function tokenText({ id, secret }: BootstrapToken): string {
  return `${id}.${secret}`;
}

const knownUsages = ['signing', 'authentication'];

/** The Secret in kube-system that makes a token valid. */
export function planTokenSecret(wishes: TokenWishes, nowMs: number): NewObject<Secret> {
  const { token, ttlMs, description, usages = knownUsages, groups = [joiningGroup] } = wishes;
  for (const usage of usages) {
    if (!knownUsages.includes(usage))
      throw new CodedError('WrongUsage', `the usage ${usage} is not known: choose from ${knownUsages.join(', ')}`);
  }
  for (const group of groups) {
    if (!/^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/.test(group))
      throw new CodedError('WrongUsage', `the group ${group} does not begin with system:bootstrappers:`);
  }
  const text: Record<string, string> = {
    'token-id': token.id,
    'token-secret': token.secret,
    ...(ttlMs > 0 ? { expiration: rfc3339(nowMs + ttlMs) } : {}),
    ...(description === undefined ? {} : { description }),
    ...Object.fromEntries(usages.map((one) => [`usage-bootstrap-${one}`, 'true'])),
    ...(usages.includes('authentication') && groups.length > 0 ? { 'auth-extra-groups': groups.join(',') } : {}),
  };
  return {
    metadata: { name: `bootstrap-token-${token.id}`, namespace: 'kube-system' },
    type: tokenSecretType,
    data: Object.fromEntries(Object.entries(text).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
  };
}

/** What `token list` shows of a token's Secret. */
export interface ListedToken {
  readonly token: string;
  readonly expires?: string;
  readonly usages: readonly string[];
  readonly groups: readonly string[];
  readonly description: string;
}

export function listedToken(secret: Secret): ListedToken {
  const text = (key: string): string => Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');
  const expires = text('expiration');
  return {
    token: `${text('token-id')}.${text('token-secret')}`,
    ...(expires === '' ? {} : { expires }),
    usages: knownUsages.toReversed().filter((one) => text(`usage-bootstrap-${one}`) === 'true'),
    groups: text('auth-extra-groups')
      .split(',')
      .filter((one) => one !== ''),
    description: text('description'),
  };
}

/** Whether a detached JWS (HS256, `header..signature`) over `content` was made with the token. */
export function isSignedWith(token: BootstrapToken, jws: string, content: string): boolean {
  const [header = '', body, signature = ''] = jws.split('.');
  if (body !== '') return false;
  try {
    const { alg, kid } = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as Record<string, unknown>;
    if (alg !== 'HS256' || (kid !== undefined && kid !== token.id)) return false;
  } catch {
    return false;
  }
  const expected = createHmac('sha256', token.secret)
    .update(`${header}.${Buffer.from(content).toString('base64url')}`)
    .digest();
  const given = Buffer.from(signature, 'base64url');
  return given.length === expected.length && timingSafeEqual(given, expected);
}
