import type { BackendProtocol } from './proxy/endpoint.ts';
import { pathOfText } from './paths.ts';

/** What an Ingress's annotations ask for, checked. */
export interface RouteOptions {
  /** Plain requests are sent to https when the host has TLS. */
  readonly sslRedirect: boolean;
  /** … and when it has not (TLS ends before us). */
  readonly forceSslRedirect: boolean;
  /** 0: as large as it comes. */
  readonly maxBodyBytes: number;
  /** Until the backend's answer begins. */
  readonly readTimeoutMs: number;
  /** Only clients of these ranges are served. */
  readonly allowFrom?: readonly string[];
  /** Why nothing is served: a restriction is asked for that we cannot keep. */
  readonly refused?: string;
}

export interface Annotations {
  readonly options: RouteOptions;
  readonly protocol?: BackendProtocol;
  readonly rewriteTarget?: string;
  readonly useRegex: boolean;
  /** One sentence each, for an Event. */
  readonly problems: readonly string[];
}

const prefix = 'nginx.ingress.kubernetes.io/';
const defaultBodyBytes = 1 << 30;
const defaultReadTimeoutMs = 60_000;
const longestReadTimeoutSeconds = 86_400;

const protocols: Readonly<Record<string, BackendProtocol>> = {
  HTTP: 'http',
  AUTO_HTTP: 'http',
  HTTPS: 'https',
  GRPC: 'h2c',
  GRPCS: 'h2',
};

/** Whoever asks for these wants fewer requests served: not knowing them, we serve none. */
const restrictions =
  /^(?:auth-|denylist-source-range$|satisfy$|limit-|modsecurity|enable-modsecurity|enable-global-auth$|custom-headers$)/;
const units: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1 << 10, m: 1 << 20, g: 1 << 30 };

/** Reads the annotations that we know of an Ingress; the others of the same prefix are problems, none is passed over in silence. */
export function parseAnnotations(annotations: Readonly<Record<string, string>> | undefined): Annotations {
  const problems: string[] = [];
  let sslRedirect = true;
  let forceSslRedirect = false;
  let maxBodyBytes = defaultBodyBytes;
  let readTimeoutMs: number | undefined;
  let allowFrom: string[] | undefined;
  let refused: string | undefined;
  let protocol: BackendProtocol | undefined;
  let rewriteTarget: string | undefined;
  let useRegex = false;
  const yes = (name: string, value: string): boolean => {
    if (value !== 'true' && value !== 'false') problems.push(`${prefix}${name} must be "true" or "false"`);
    return value === 'true';
  };
  for (const [key, value] of Object.entries(annotations ?? {})) {
    if (!key.startsWith(prefix)) continue;
    const name = key.slice(prefix.length);
    if (name === 'ssl-redirect') sslRedirect = value !== 'false';
    else if (name === 'force-ssl-redirect') forceSslRedirect = yes(name, value);
    else if (name === 'use-regex') useRegex = yes(name, value);
    else if (name === 'proxy-body-size') {
      const size = /^(\d{1,12})([bkmg]?)$/i.exec(value.trim());
      if (size === null) problems.push(`${key}: "${value.slice(0, 32)}" is not a size such as 8m`);
      else maxBodyBytes = Number(size[1]) * (units[(size[2] ?? '').toLowerCase()] ?? 1);
    } else if (name === 'proxy-read-timeout') {
      const seconds = Number(value);
      if (!(seconds > 0 && seconds <= longestReadTimeoutSeconds)) problems.push(`${key}: not a number of seconds`);
      else readTimeoutMs = seconds * 1000;
    } else if (name === 'backend-protocol') {
      const known = Object.hasOwn(protocols, value.toUpperCase()) ? protocols[value.toUpperCase()] : undefined;
      if (known === undefined)
        problems.push(`${key}: "${value.slice(0, 32)}" is none of ${Object.keys(protocols).join(', ')}`);
      else protocol = known;
    } else if (name === 'rewrite-target') {
      if (/^\/[\x21-\x7e]*$/.test(value)) rewriteTarget = value;
      else problems.push(`${key}: must be an absolute path`);
    } else if (name === 'whitelist-source-range' || name === 'allowlist-source-range') {
      allowFrom = value
        .split(',')
        .map((one) => one.trim())
        .filter((one) => one !== '');
      if (!allowFrom.every(isRange)) {
        refused = `${key} has something that is not an address range`;
        problems.push(`${refused}: nothing is served`);
      }
    } else if (restrictions.test(name)) {
      refused = `${key} is not supported`;
      problems.push(`${refused}; as it restricts who is served, nothing is`);
    } else problems.push(`${key} is not supported and has no effect`);
  }
  const slow = protocol === 'h2c' || protocol === 'h2' ? 3_600_000 : defaultReadTimeoutMs;
  return {
    options: {
      sslRedirect,
      forceSslRedirect,
      maxBodyBytes,
      readTimeoutMs: readTimeoutMs ?? slow,
      ...(allowFrom === undefined ? {} : { allowFrom }),
      ...(refused === undefined ? {} : { refused }),
    },
    ...(protocol === undefined ? {} : { protocol }),
    ...(rewriteTarget === undefined ? {} : { rewriteTarget }),
    useRegex,
    problems,
  };
}

function isRange(text: string): boolean {
  return /^(?:\d{1,3}(?:\.\d{1,3}){3}(?:\/(?:[12]?\d|3[0-2]))?|[0-9a-f:]{2,45}(?:\/(?:\d{1,2}|1[01]\d|12[0-8]))?)$/i.test(
    text,
  );
}

/** How the path that a backend sees is made. */
export type Rewrite =
  /** Always this path. */
  | { readonly kind: 'whole'; readonly path: string }
  /** `before` + what follows the matched prefix. */
  | { readonly kind: 'rest'; readonly strip: string; readonly before: string };

export interface RulePath {
  /** Normalised. */
  readonly path: string;
  readonly rewrite?: Rewrite;
  readonly problem?: string;
}

/** `/api(/|$)(.*)`, `/api/(.*)`, `/api/?(.*)`: the patterns by which a prefix is taken away. */
const restPattern = /^((?:\/[A-Za-z0-9\-._~/]*?)?)(\(\/\|\$\)|\/\??)\(\.\*\)\$?$/;
const wildPattern = /^(\/[A-Za-z0-9\-._~/]*?)\/?(?:\.\*)?\$?$/;
const metacharacters = /[\\^$*+?()[\]{}|]/;

/**
 * A rule's path and the rewriting that its Ingress asks for. Regular expressions are not run: the usual ones that take a prefix away
 * are understood, others are a problem.
 */
export function readRulePath(
  text: string,
  annotations: { readonly rewriteTarget?: string; readonly useRegex: boolean; readonly patterns: boolean },
): RulePath {
  const { rewriteTarget, useRegex, patterns } = annotations;
  const captures = rewriteTarget !== undefined && rewriteTarget.includes('$');
  if (!(patterns && (useRegex || captures)) || !metacharacters.test(text)) {
    if (captures)
      return { path: pathOfText(text), problem: `rewrite-target ${rewriteTarget} needs a path such as /api(/|$)(.*)` };
    return {
      path: pathOfText(text),
      ...(rewriteTarget === undefined ? {} : { rewrite: { kind: 'whole', path: rewriteTarget } }),
    };
  }
  const rest = restPattern.exec(text);
  if (rest !== null) {
    const base = pathOfText(rest[1] === '' ? '/' : (rest[1] as string));
    if (rewriteTarget === undefined) return { path: base };
    if (!captures) return { path: base, rewrite: { kind: 'whole', path: rewriteTarget } };
    const group = rest[2]?.startsWith('(') ? '$2' : '$1';
    if (rewriteTarget.endsWith(group) && !rewriteTarget.slice(0, -2).includes('$'))
      return { path: base, rewrite: { kind: 'rest', strip: base, before: rewriteTarget.slice(0, -2) } };
  } else if (!captures) {
    const wild = wildPattern.exec(text);
    if (wild !== null)
      return {
        path: pathOfText(wild[1] === '' ? '/' : (wild[1] as string)),
        ...(rewriteTarget === undefined ? {} : { rewrite: { kind: 'whole', path: rewriteTarget } }),
      };
  }
  return {
    path: '',
    problem: `the path ${text.slice(0, 80)} is a regular expression other than those that take a prefix away, such as /api(/|$)(.*); it is not served`,
  };
}

/** The target for the backend; `target` is the client's, with its query. */
export function rewriteTarget(target: string, rewrite: Rewrite): string {
  const question = target.indexOf('?');
  const query = question === -1 ? '' : target.slice(question);
  if (rewrite.kind === 'whole') return rewrite.path + query;
  const path = question === -1 ? target : target.slice(0, question);
  // The rule matched the normalised path; elements are counted off the path as it came.
  const elements = rewrite.strip === '/' ? 0 : rewrite.strip.split('/').filter((one) => one !== '').length;
  let at = 0;
  for (let i = 0; i < elements; i++) {
    while (path.charCodeAt(at) === 0x2f) at++;
    const slash = path.indexOf('/', at);
    at = slash === -1 ? path.length : slash;
  }
  while (path.charCodeAt(at) === 0x2f) at++;
  const rewritten = rewrite.before + path.slice(at);
  return (rewritten.startsWith('/') ? rewritten : `/${rewritten}`) + query;
}
