import { validatePortNumber } from '#machinery';
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

function validateUrl(text: string, field: string, found: Findings): void {
  if (!URL.canParse(text))
    return found.required(field, `url must be a valid URL: parse "${text}": invalid URI for request${form}`);
  const url = new URL(text);
  if (url.protocol !== 'https:')
    found.invalid(field, url.protocol.slice(0, -1), `'https' is the only allowed URL scheme${form}`);
  if (url.hostname === '') found.invalid(field, '', `host must be specified${form}`);
  if (url.username !== '' || url.password !== '')
    found.invalid(
      field,
      url.password === '' ? url.username : `${url.username}:${url.password}`,
      'user information is not permitted in the URL',
    );
  if (url.hash !== '') found.invalid(field, url.hash.slice(1), 'fragments are not permitted in the URL');
  if (url.search !== '') found.invalid(field, url.search.slice(1), 'query parameters are not permitted in the URL');
}

function validateWebhookService(service: NonNullable<ClientConfig['service']>, field: string, found: Findings): void {
  if (!service.name) found.required(`${field}.name`, 'service name is required');
  if (!service.namespace) found.required(`${field}.namespace`, 'service namespace is required');
  const messages = validatePortNumber(service.port ?? 443);
  if (messages.length > 0) found.invalid(`${field}.port`, service.port, `port is not valid: ${messages.join(', ')}`);
  const path = service.path ?? '';
  if (path === '' || path === '/') return;
  if (path === '//') return found.invalid(`${field}.path`, path, 'segment[0] may not be empty');
  if (!path.startsWith('/')) found.invalid(`${field}.path`, path, "must start with a '/'");
  for (const [index, segment] of path.replace(/^\//, '').replace(/\/$/, '').split('/').entries())
    if (segment === '') found.invalid(`${field}.path`, path, `segment[${index}] may not be empty`);
}
