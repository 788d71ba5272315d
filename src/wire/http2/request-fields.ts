/** A request's head as the chain wants it. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** All fields as they came, names and values in turn. */
  readonly fields: readonly string[];
  readonly contentLength: number | undefined;
}

const forbidden = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);
const tokenName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const knownNames = new Set([
  'accept',
  'accept-encoding',
  'authorization',
  'content-length',
  'content-type',
  'cookie',
  'host',
  'user-agent',
  'x-forwarded-for',
]);
const known = new WeakMap<readonly string[], RequestHead>();

/** Checks the fields of a request (RFC 9113, section 8); undefined when they are malformed. */
export function requestOf(fields: readonly string[]): RequestHead | undefined {
  const remembered = known.get(fields);
  if (remembered !== undefined) return remembered;
  let method: string | undefined;
  let target: string | undefined;
  let scheme: string | undefined;
  let authority: string | undefined;
  let regular = false;
  let contentLength: number | undefined;
  const headers: Record<string, string | undefined> = {};
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    if (name.charCodeAt(0) === 0x3a) {
      if (regular) return undefined;
      if (name === ':method' && method === undefined) method = value;
      else if (name === ':path' && target === undefined) target = value;
      else if (name === ':scheme' && scheme === undefined) scheme = value;
      else if (name === ':authority' && authority === undefined) authority = value;
      else return undefined;
      continue;
    }
    regular = true;
    if (!knownNames.has(name) && (!tokenName.test(name) || forbidden.has(name))) return undefined;
    if (!isFieldValue(value) || (name === 'te' && value !== 'trailers')) return undefined;
    if (name === 'content-length') {
      if (!/^\d{1,15}$/.test(value) || (contentLength !== undefined && contentLength !== Number(value)))
        return undefined;
      contentLength = Number(value);
    }
    if (name === '__proto__') continue;
    const before = Object.hasOwn(headers, name) ? headers[name] : undefined;
    if (before === undefined) headers[name] = value;
    // One credential a request: the first stands, as for HTTP/1.1.
    else if (name !== 'authorization' && name !== 'content-type' && name !== 'content-length') {
      headers[name] = `${before}${name === 'cookie' ? '; ' : ', '}${value}`;
    }
  }
  if (method === undefined || target === undefined || scheme === undefined || target === '' || method === 'CONNECT')
    return undefined;
  if (authority !== undefined && headers.host === undefined) headers.host = authority;
  const head = { method, target, headers, fields, contentLength };
  known.set(fields, head);
  return head;
}

/** The last long value found good: a connection's credential comes with every request, as the same string. */
let lastGood = '';

function isFieldValue(value: string): boolean {
  if (value.length < 128) return isGood(value);
  if (value === lastGood) return true;
  if (!isGood(value)) return false;
  lastGood = value;
  return true;
}

function isGood(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code === 0 || code === 0x0a || code === 0x0d) return false;
  }
  return true;
}
