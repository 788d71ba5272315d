import { goQuote, validateDns1123Subdomain, validatePortNumber } from '#machinery';
import type { Findings } from '../findings.ts';

interface ClientConfig {
  readonly url?: string;
  readonly service?: {
    readonly namespace?: string;
    readonly name?: string;
    readonly path?: string;
    readonly port?: number;
  };
}

const form = '; desired format: https://host[/path]';

/** How a webhook is reached: by exactly one of URL and Service. */
export function validateClientConfig(config: ClientConfig | undefined, field: string, found: Findings): void {
  if ((config?.url == null) === (config?.service == null))
    return found.required(field, 'exactly one of url or service is required');
  if (config?.url != null) validateUrl(config.url, `${field}.url`, found);
  if (config?.service != null) validateWebhookService(config.service, `${field}.service`, found);
}

/** The parts of a URL as upstream's parser sees them: it takes references without a scheme or a host, too. */
const urlPattern =
  /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/(?:([^/?#]*)@)?([^/?#@]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s;

function validateUrl(text: string, field: string, found: Findings): void {
  const problem = urlProblem(text);
  if (problem !== undefined)
    return found.required(field, `url must be a valid URL: parse ${goQuote(text)}: ${problem}${form}`);
  const [, scheme = '', user, host = '', , query = '', fragment = ''] = urlPattern.exec(text) ?? [];
  if (scheme.toLowerCase() !== 'https')
    found.invalid(field, scheme.toLowerCase(), `'https' is the only allowed URL scheme${form}`);
  if (host === '') found.invalid(field, '', `host must be specified${form}`);
  if (user !== undefined) found.invalid(field, user, 'user information is not permitted in the URL');
  if (fragment !== '') found.invalid(field, fragment, 'fragments are not permitted in the URL');
  if (query !== '') found.invalid(field, query, 'query parameters are not permitted in the URL');
}

function urlProblem(text: string): string | undefined {
  if (/[\u0000-\u001f\u007f]/.test(text)) return 'net/url: invalid control character in URL';
  if (text.startsWith(':')) return 'missing protocol scheme';
  const parts = urlPattern.exec(text);
  const [, scheme, , host, path = ''] = parts ?? [];
  if (scheme === undefined && host === undefined && (path.split('/')[0] ?? '').includes(':'))
    return 'first path segment in URL cannot contain colon';
  const port = /:([^\]]*)$/.exec(host ?? '')?.[1];
  if (port !== undefined && !/^\d*$/.test(port)) return `invalid port ${goQuote(`:${port}`)} after host`;
  const bad = /[ "<>\\^`{|}]/.exec(host ?? '');
  if (bad !== null) return `invalid character ${goQuote(bad[0])} in host name`;
  const escape = /%(?![0-9A-Fa-f]{2}).{0,2}/.exec(path);
  return escape === null ? undefined : `invalid URL escape ${goQuote(escape[0])}`;
}

/** Where a Service's namespace is missing, upstream names its name, and the other way round. */
const words = { namespace: 'name', name: 'namespace' } as const;

function validateWebhookService(service: NonNullable<ClientConfig['service']>, field: string, found: Findings): void {
  if (!service.namespace) found.required(`${field}.${words.namespace}`, `service ${words.namespace} is required`);
  if (!service.name) found.required(`${field}.${words.name}`, `service ${words.name} is required`);
  const messages = validatePortNumber(service.port ?? 443);
  if (messages.length > 0) found.invalid(`${field}.port`, service.port, `port is not valid: ${messages.join(', ')}`);
  const path = service.path ?? '';
  if (path === '' || path === '/') return;
  if (path === '//') return found.invalid(`${field}.path`, path, 'segment[0] may not be empty');
  if (!path.startsWith('/')) found.invalid(`${field}.path`, path, "must start with a '/'");
  for (const [index, segment] of path.slice(1).replace(/\/$/, '').split('/').entries())
    if (segment === '') found.invalid(`${field}.path`, path, `segment[${index}] may not be empty`);
    else
      for (const message of validateDns1123Subdomain(segment))
        found.invalid(`${field}.path`, path, `segment[${index}]: ${message}`);
}
