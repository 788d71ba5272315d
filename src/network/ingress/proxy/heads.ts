/** A message that is refused, and the status that says so to a client. */
export class BadMessage extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface RequestHead {
  readonly method: string;
  /** Origin form: path and query as they came. */
  readonly target: string;
  /** Host and port as the client named them. */
  readonly authority: string;
  readonly http11: boolean;
  /** Fields to pass on: lower-case names and values in turn; none that concerns this connection only, none that the proxy sets itself. */
  readonly headers: readonly string[];
  /** 0: no body; undefined: chunked. */
  readonly contentLength: number | undefined;
  readonly keepAlive: boolean;
  /** Token of a request to switch protocols. */
  readonly upgrade: string | undefined;
  readonly expectsContinue: boolean;
}

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly headers: readonly string[];
  /** undefined: chunked, or (`untilClose`) as long as the connection lives. */
  readonly contentLength: number | undefined;
  readonly untilClose: boolean;
  readonly keepAlive: boolean;
  /** Seconds for which the peer keeps an idle connection, when it said so. */
  readonly idleSeconds: number | undefined;
  readonly upgrade: string | undefined;
}

export const headEnd = Buffer.from('\r\n\r\n');
export const longestHeadBytes = 64 * 1024;
const mostFields = 200;

/** Control characters, a bare CR or LF, a folded line: whoever reads them otherwise than we do would see another message. */
const illegal = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?:^|[^\r])\n|\n[ \t]/;
const requestLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.([01])$/;
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const absoluteForm = /^https?:\/\/([^/?#]+)([/?].*)?$/i;
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const digits = /^\d{1,15}$/;
export const validAuthority = /^(?:[A-Za-z0-9._~*-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;

/** What to do with a field: pass it on, drop it, or look at it. */
const pass = 0;
const drop = 1;
const look = 2;
const special: readonly (readonly [name: string, action: number])[] = [
  ['host', look],
  ['content-length', look],
  ['transfer-encoding', look],
  ['connection', look],
  ['upgrade', look],
  ['expect', look],
  ['te', look],
  ['keep-alive', look],
  ['proxy-connection', drop],
  ['proxy-authorization', drop],
  ['proxy-authenticate', drop],
  ['trailer', drop],
  ['http2-settings', drop],
];
const forwarded: readonly string[] = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-forwarded-scheme',
  'x-forwarded-ssl',
  'x-forwarded-server',
  'x-forwarded-prefix',
  'x-original-forwarded-for',
  'x-original-uri',
  'x-original-url',
  'x-rewrite-url',
  'x-real-ip',
  'x-scheme',
];
/** Counts how often a request has passed an Ingress. */
export const hopsField = 'x-k8ts-ingress-hops';

interface FieldName {
  readonly lower: string;
  readonly request: number;
  readonly response: number;
}

const actions = new Map(special);
const proxySets = new Set(forwarded);
/** Names seen, as they were written: few, and each is judged once. */
const names = new Map<string, FieldName | null>();
const mostNames = 4096;

function fieldName(text: string): FieldName | null {
  const known = names.get(text);
  if (known !== undefined) return known;
  if (names.size >= mostNames) names.clear();
  const found = token.test(text) ? judgeName(text.toLowerCase()) : null;
  names.set(text, found);
  return found;
}

function judgeName(lower: string): FieldName {
  const action = actions.get(lower);
  // Programs behind CGI cannot tell `x_forwarded_for` from `x-forwarded-for`.
  const spoofed = proxySets.has(lower.replaceAll('_', '-'));
  return { lower, request: action ?? (spoofed ? drop : pass), response: action ?? pass };
}

/** Whether a field of a request is passed on to a backend. Lower-case names. */
export function isPassedOn(lower: string): boolean {
  return (fieldName(lower)?.request ?? drop) === pass;
}

/** Reads the head of a request without its last empty line (latin1). Throws BadMessage: nothing ambiguous is passed on (RFC 9112). */
export function parseRequestHead(text: string): RequestHead {
  if (illegal.test(text)) throw new BadMessage(400, 'the head has control characters or broken lines');
  let end = text.indexOf('\r\n');
  if (end === -1) end = text.length;
  const line = requestLine.exec(text.slice(0, end));
  if (line === null) throw new BadMessage(400, 'the request line is malformed');
  const method = line[1] as string;
  const http11 = line[3] === '1';
  const headers: string[] = [];
  let host: string | undefined;
  let contentLength: number | undefined;
  let chunked = false;
  let connection = '';
  let upgrade: string | undefined;
  let expectsContinue = false;
  let fields = 0;
  while (end < text.length) {
    const start = end + 2;
    end = text.indexOf('\r\n', start);
    if (end === -1) end = text.length;
    const colon = text.indexOf(':', start);
    if (colon === -1 || colon >= end) throw new BadMessage(400, 'a header line has no colon');
    const name = fieldName(text.slice(start, colon));
    if (name === null) throw new BadMessage(400, 'a header name is malformed');
    if (++fields > mostFields) throw new BadMessage(431, `more than ${mostFields} header fields`);
    const { lower, request } = name;
    if (request === pass) {
      headers.push(lower, trimmed(text, colon + 1, end));
      continue;
    }
    if (request === drop) continue;
    const value = trimmed(text, colon + 1, end);
    if (lower === 'host') {
      if (host !== undefined) throw new BadMessage(400, 'more than one Host');
      host = value;
    } else if (lower === 'content-length') {
      if (contentLength !== undefined || !digits.test(value)) throw new BadMessage(400, 'Content-Length is malformed');
      contentLength = Number(value);
    } else if (lower === 'transfer-encoding') {
      if (chunked || value.toLowerCase() !== 'chunked' || !http11)
        throw new BadMessage(501, 'this Transfer-Encoding is not understood');
      chunked = true;
    } else if (lower === 'connection') connection = connection === '' ? value : `${connection},${value}`;
    else if (lower === 'upgrade') upgrade = value;
    else if (lower === 'expect') {
      if (value.toLowerCase() !== '100-continue') throw new BadMessage(417, 'only 100-continue can be expected');
      expectsContinue = http11;
    } else if (lower === 'te' && /(?:^|[,\s])trailers(?:$|[,\s;])/i.test(value)) headers.push('te', 'trailers');
  }
  if (chunked && contentLength !== undefined)
    throw new BadMessage(400, 'both Content-Length and Transfer-Encoding are there');
  const { target, authority } = targetOf(line[2] as string, host, http11);
  const options = connection === '' ? noOptions : connectionOptions(connection);
  return {
    method,
    target,
    authority,
    http11,
    headers: options.named.length === 0 ? headers : without(headers, options.named),
    contentLength: chunked ? undefined : (contentLength ?? 0),
    keepAlive: http11 ? !options.close : options.keepAlive,
    upgrade: options.upgrade && upgrade !== undefined && http11 ? upgrade : undefined,
    expectsContinue,
  };
}

/** Reads the head of a response without its last empty line (latin1). `toHead`: it answers HEAD. Throws BadMessage. */
export function parseResponseHead(text: string, toHead: boolean): ResponseHead {
  if (illegal.test(text)) throw new BadMessage(502, 'the head has control characters or broken lines');
  let end = text.indexOf('\r\n');
  if (end === -1) end = text.length;
  const line = statusLine.exec(text.slice(0, end));
  if (line === null) throw new BadMessage(502, 'the status line is malformed');
  const status = Number(line[2]);
  const http11 = line[1] === '1';
  const headers: string[] = [];
  let contentLength: number | undefined;
  let lengthText: string | undefined;
  let chunked = false;
  let connection = '';
  let upgrade: string | undefined;
  let idleSeconds: number | undefined;
  let fields = 0;
  while (end < text.length) {
    const start = end + 2;
    end = text.indexOf('\r\n', start);
    if (end === -1) end = text.length;
    const colon = text.indexOf(':', start);
    if (colon === -1 || colon >= end) throw new BadMessage(502, 'a header line has no colon');
    const name = fieldName(text.slice(start, colon));
    if (name === null) throw new BadMessage(502, 'a header name is malformed');
    if (++fields > mostFields) throw new BadMessage(502, `more than ${mostFields} header fields`);
    const { lower, response } = name;
    const value = trimmed(text, colon + 1, end);
    if (response === pass) headers.push(lower, value);
    else if (lower === 'content-length') {
      if (lengthText !== undefined || !digits.test(value)) throw new BadMessage(502, 'Content-Length is malformed');
      lengthText = value;
      contentLength = Number(value);
    } else if (lower === 'transfer-encoding') {
      if (chunked || value.toLowerCase() !== 'chunked')
        throw new BadMessage(502, 'this Transfer-Encoding is not understood');
      chunked = true;
    } else if (lower === 'connection') connection = connection === '' ? value : `${connection},${value}`;
    else if (lower === 'upgrade') upgrade = value;
    else if (lower === 'keep-alive') {
      const seconds = /timeout=(\d{1,6})/.exec(value)?.[1];
      if (seconds !== undefined) idleSeconds = Number(seconds);
    } else if (lower === 'proxy-authenticate') headers.push(lower, value);
  }
  if (chunked && contentLength !== undefined)
    throw new BadMessage(502, 'both Content-Length and Transfer-Encoding are there');
  const options = connection === '' ? noOptions : connectionOptions(connection);
  const bodyless = toHead || status < 200 || status === 204 || status === 304;
  // An answer to HEAD, or 304, tells the length that the body would have.
  if (bodyless && status >= 200 && lengthText !== undefined && status !== 204)
    headers.push('content-length', lengthText);
  const untilClose = !bodyless && !chunked && contentLength === undefined;
  return {
    status,
    reason: line[3] ?? '',
    headers: options.named.length === 0 ? headers : without(headers, options.named),
    contentLength: bodyless ? 0 : contentLength,
    untilClose,
    keepAlive: !untilClose && (http11 ? !options.close : options.keepAlive),
    idleSeconds,
    upgrade,
  };
}

function targetOf(
  raw: string,
  host: string | undefined,
  http11: boolean,
): { readonly target: string; readonly authority: string } {
  let target = raw;
  let authority = host;
  if (raw.charCodeAt(0) !== 0x2f) {
    const absolute = absoluteForm.exec(raw);
    if (absolute === null) throw new BadMessage(400, 'the target is neither a path nor a URL');
    authority = absolute[1] as string;
    target = absolute[2] ?? '/';
    if (target.charCodeAt(0) !== 0x2f) target = `/${target}`;
  }
  if (target.includes('#')) throw new BadMessage(400, 'the target has a fragment');
  if (authority === undefined || authority === '') {
    if (http11 && authority === undefined) throw new BadMessage(400, 'there is no Host');
    return { target, authority: '' };
  }
  if (!validAuthority.test(authority)) throw new BadMessage(400, 'Host is malformed');
  return { target, authority };
}

/** The text between two places without blanks around it. */
function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;

interface ConnectionOptions {
  readonly close: boolean;
  readonly keepAlive: boolean;
  readonly upgrade: boolean;
  /** Fields that the sender wants dropped here. */
  readonly named: readonly string[];
}

const noOptions: ConnectionOptions = { close: false, keepAlive: false, upgrade: false, named: [] };
/** What a client cannot make disappear by naming it. */
const kept = new Set(['host', 'cookie', 'authorization', 'content-type', 'content-encoding', 'x-request-id', 'date']);
const knownConnections = new Map<string, ConnectionOptions>();

function connectionOptions(value: string): ConnectionOptions {
  const known = knownConnections.get(value);
  if (known !== undefined) return known;
  const parts = value
    .toLowerCase()
    .split(',')
    .map((one) => one.trim());
  const found = {
    close: parts.includes('close'),
    keepAlive: parts.includes('keep-alive'),
    upgrade: parts.includes('upgrade'),
    named: parts.filter((one) => one !== '' && !kept.has(one) && fieldName(one)?.request === pass),
  };
  if (knownConnections.size >= 256) knownConnections.clear();
  knownConnections.set(value, found);
  return found;
}

function without(headers: readonly string[], named: readonly string[]): string[] {
  const left: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (!named.includes(headers[i] as string)) left.push(headers[i] as string, headers[i + 1] as string);
  }
  return left;
}
