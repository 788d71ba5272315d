import { readFileSync } from 'node:fs';
import { checkOpenIdSettings } from '#apiserver';
import { CodedError, messageOf } from '#base';
import type { OpenIdConfiguration } from '#pki';
import { openHttpsTransport } from '#wire';

const longestDocument = 1 << 20;
const withinMs = 10_000;

/** Checks a configuration and what it names. Throws WrongUsage. */
export function checkOpenId(configuration: OpenIdConfiguration): void {
  checkOpenIdSettings(configuration);
  authorityOf(configuration);
}

/** What an authenticator needs to sign people in by the provider. */
export function openIdOf(configuration: OpenIdConfiguration) {
  checkOpenIdSettings(configuration);
  const ca = authorityOf(configuration);
  return { settings: configuration, read: (url: string) => readDocument(url, ca) };
}

function authorityOf({ caFile }: OpenIdConfiguration): string | undefined {
  if (caFile === undefined) return undefined;
  try {
    return readFileSync(caFile, 'utf8');
  } catch (error) {
    throw new CodedError('WrongUsage', `--oidc-ca-file ${caFile} cannot be read: ${messageOf(error)}`);
  }
}

/** A JSON document of a provider. Redirections are not followed. */
async function readDocument(url: string, ca: string | undefined): Promise<unknown> {
  const { origin, pathname, search } = new URL(url);
  const transport = openHttpsTransport({ server: origin, ...(ca === undefined ? {} : { ca }) });
  try {
    const signal = AbortSignal.timeout(withinMs);
    const response = await transport.request({ method: 'GET', target: pathname + search, signal });
    if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of response.chunks()) {
      size += part.length;
      if (size > longestDocument) throw new Error(`${url} is longer than 1 MiB`);
      parts.push(part);
    }
    return JSON.parse(Buffer.concat(parts).toString('utf8')) as unknown;
  } finally {
    await transport.close();
  }
}
