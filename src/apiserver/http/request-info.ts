import { errBadRequest } from '#machinery';
import type { RequestInfo } from '../contract.ts';

const noOptions = new URLSearchParams();
const methodVerbs = new Map([
  ['GET', 'get'],
  ['HEAD', 'get'],
  ['POST', 'create'],
  ['PUT', 'update'],
  ['PATCH', 'patch'],
  ['DELETE', 'delete'],
]);
/** Sub-resources that run something in a pod: `create` whatever the method, since WebSocket clients can only send GET. */
const connectSubresources = new Set(['exec', 'attach', 'portforward']);
const namespaceSubresources = new Set(['status', 'finalize']);
const longestTarget = 64 * 1024;

/**
 * Reads a raw request target. Splits on `/`, decodes each segment once, and refuses (400) what could mean something else to
 * another reader: empty, `.` and `..` segments, encoded slashes, backslashes, control characters, absolute forms.
 */
export function parseRequestInfo(method: string, target: string): RequestInfo {
  if (target.length > longestTarget || target.charCodeAt(0) !== 0x2f) throw badTarget();
  const question = target.indexOf('?');
  const rawPath = question < 0 ? target : target.slice(0, question);
  const rawQuery = question < 0 ? '' : target.slice(question + 1);
  const options = rawQuery === '' ? noOptions : new URLSearchParams(rawQuery);
  const raw = rawPath.split('/');
  raw.shift();
  if (raw.length > 1 && raw[raw.length - 1] === '') raw.pop();

  const proxyAt = proxySegment(raw);
  let rest = '';
  if (proxyAt > 0 && raw.length > proxyAt + 1) {
    rest = rawPath.slice(raw.slice(0, proxyAt + 1).reduce((length, one) => length + one.length + 1, 0));
    for (const segment of raw.slice(proxyAt + 1)) if (segment !== '') decodeSegment(segment);
    raw.length = proxyAt + 1;
  } else if (proxyAt > 0 && rawPath.endsWith('/')) rest = '/';
  const segments = raw.length === 1 && raw[0] === '' ? [] : raw.map(decodeSegment);
  const path = segments.length === 0 ? '/' : rawPath.includes('%') ? `/${segments.join('/')}` : rawPath;

  const [prefix] = segments;
  const groupLength = prefix === 'api' ? 2 : prefix === 'apis' ? 3 : 0;
  if (groupLength === 0 || segments.length <= groupLength) {
    return nonResource(method, { path, segments, options, rawQuery });
  }
  const group = groupLength === 2 ? '' : (segments[1] as string);
  const version = segments[groupLength - 1] as string;
  let parts = segments.slice(groupLength);
  const legacyWatch = parts[0] === 'watch' && parts.length > 1;
  if (legacyWatch) parts = parts.slice(1);

  let namespace = '';
  if (parts[0] === 'namespaces' && parts.length > 1) {
    namespace = parts[1] as string;
    if (parts.length > 2 && !(namespaceSubresources.has(parts[2] as string) && parts.length === 3))
      parts = parts.slice(2);
  }
  const [resource = '', pathName = '', subresource = ''] = parts;
  if (parts.length > 3) return nonResource(method, { path, segments, options, rawQuery });
  let name = pathName;
  let verb = methodVerbs.get(method) ?? method.toLowerCase();
  if (connectSubresources.has(subresource)) verb = 'create';
  else if (name === '') {
    if (verb === 'get') verb = legacyWatch || isTrue(options.get('watch')) ? 'watch' : 'list';
    else if (verb === 'delete') verb = 'deletecollection';
    if (verb !== 'create') name = selectedName(options);
  } else if (verb === 'get' && subresource === '' && legacyWatch) verb = 'watch';
  return {
    isResource: true,
    verb,
    path,
    segments,
    group,
    version,
    resource,
    subresource,
    namespace,
    name,
    rest,
    options,
    rawQuery,
  };
}

function nonResource(
  method: string,
  parts: Pick<RequestInfo, 'path' | 'segments' | 'options' | 'rawQuery'>,
): RequestInfo {
  return {
    ...parts,
    isResource: false,
    verb: method.toLowerCase(),
    group: '',
    version: '',
    resource: '',
    subresource: '',
    namespace: '',
    name: '',
    rest: '',
  };
}

/** Place of the segment `proxy` that is a sub-resource: what follows belongs to the backend. -1 without one. */
function proxySegment(raw: readonly string[]): number {
  const start = raw[0] === 'api' ? 2 : raw[0] === 'apis' ? 3 : -1;
  if (start < 0) return -1;
  const at = raw[start] === 'namespaces' && raw.length > start + 4 ? start + 4 : start + 2;
  return raw[at] === 'proxy' ? at : -1;
}

function decodeSegment(raw: string): string {
  let text = raw;
  if (raw.includes('%')) {
    try {
      text = decodeURIComponent(raw);
    } catch {
      throw badTarget();
    }
  }
  if (text === '' || text === '.' || text === '..') throw badTarget();
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x7f || code === 0x2f || code === 0x5c) throw badTarget();
  }
  if (!text.isWellFormed()) throw badTarget();
  return text;
}

/** A boolean query parameter, as upstream reads them: present means true unless it says `false` or `0`. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== 'false' && value !== '0';
}

function selectedName(options: URLSearchParams): string {
  const selector = options.get('fieldSelector');
  if (selector === null) return '';
  const match = /(?:^|,)metadata\.name==?([^,=\\]+)(?:,|$)/.exec(selector);
  return match?.[1] ?? '';
}

function badTarget(): Error {
  return errBadRequest('the request path is not well formed');
}
