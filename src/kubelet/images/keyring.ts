import type { Secret } from '#api';
import type { RegistryAuth } from '../cri/contract.ts';

/** Credentials of pull secrets, by registry. */
export interface Keyring {
  /** Those that match an image, the most specific first; empty for none. */
  lookup(image: string): RegistryAuth[];
}

interface Entry {
  readonly pattern: string;
  readonly auth: RegistryAuth;
}

/** Reads dockerconfigjson and dockercfg secrets; whatever is malformed in them is skipped, and never shown. */
export function keyringOf(secrets: readonly Secret[]): Keyring {
  const entries = secrets.flatMap(entriesOf).sort((a, b) => b.pattern.length - a.pattern.length);
  return {
    lookup: (image) =>
      entries.filter(({ pattern }) => matchesRegistry(pattern, registryPath(image))).map(({ auth }) => auth),
  };
}

function entriesOf(secret: Secret): Entry[] {
  const text = (key: string): string | undefined => {
    const value = secret.data?.[key];
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8');
  };
  try {
    const modern = text('.dockerconfigjson');
    const auths: unknown = modern !== undefined ? JSON.parse(modern).auths : JSON.parse(text('.dockercfg') ?? '{}');
    if (typeof auths !== 'object' || auths === null) return [];
    return Object.entries(auths).flatMap(([server, value]) => entryOf(server, value));
  } catch {
    return [];
  }
}

function entryOf(server: string, value: unknown): Entry[] {
  if (typeof value !== 'object' || value === null) return [];
  const field = (name: string): string | undefined => {
    const found = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
    return typeof found === 'string' && found !== '' ? found : undefined;
  };
  const packed = field('auth');
  const decoded = packed === undefined ? '' : Buffer.from(packed, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = decoded.indexOf(':');
  const username = field('username') ?? (colon > 0 ? decoded.slice(0, colon) : undefined);
  const password = field('password') ?? (colon > 0 ? decoded.slice(colon + 1) : undefined);
  const identityToken = field('identitytoken');
  const pattern = server
    .replace(/^https?:\/\//, '')
    .replace(/^(index\.)?docker\.io(\/v[12]\/?)?$/, 'docker.io')
    .replace(/\/v[12]\/?$/, '')
    .replace(/\/$/, '');
  const auth: RegistryAuth = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(identityToken === undefined ? {} : { identity_token: identityToken }),
  };
  return Object.keys(auth).length === 0 ? [] : [{ pattern, auth }];
}

/** `registry/path` of a reference, with Docker's short names spelled out. */
export function registryPath(image: string): string {
  const name = image.split('@')[0] as string;
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const explicit = first.includes('.') || first.includes(':') || first === 'localhost';
  const full = explicit ? name : `docker.io/${slash === -1 ? `library/${name}` : name}`;
  const colon = full.lastIndexOf(':');
  return colon > full.lastIndexOf('/') ? full.slice(0, colon) : full;
}

/** Host labels may be `*`; the path of the pattern must be a prefix of the image's. */
function matchesRegistry(pattern: string, image: string): boolean {
  const [host = '', ...path] = pattern.split('/');
  const [imageHost = '', ...imagePath] = image.split('/');
  const [name = '', port] = host.split(':');
  const [imageName = '', imagePort] = imageHost.split(':');
  const labels = name.split('.');
  const imageLabels = imageName.split('.');
  if (port !== imagePort || labels.length !== imageLabels.length) return false;
  if (!labels.every((label, at) => label === '*' || label === imageLabels[at])) return false;
  return imagePath.join('/').startsWith(path.join('/'));
}
