import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type EndpointSlice, resource } from '#api';
import { type Log, messageOf, makeDirectorySync } from '#base';
import type { Informers } from '#client';
import type { FailoverTransport } from '#wire';

/** The API servers that were known last; none when there is no such file. */
export function readApiServers(file: string): string[] {
  try {
    const found: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return Array.isArray(found) ? found.filter((one) => typeof one === 'string' && one.startsWith('https://')) : [];
  } catch {
    return [];
  }
}

/** The living servers by the endpoints of the Service kubernetes, `own` before the others when it is one of them, else after. */
export function planApiServers(slices: readonly EndpointSlice[], own: string): string[] {
  const living = slices
    .filter(({ metadata }) => metadata.namespace === 'default' && metadata.name === 'kubernetes')
    .flatMap(({ endpoints, ports }) => {
      const port = ports?.find(({ name }) => name === 'https')?.port ?? 6443;
      return (endpoints ?? []).flatMap(({ addresses }) =>
        addresses.map((one) => `https://${one.includes(':') ? `[${one}]` : one}:${port}`),
      );
    })
    .sort();
  return living.includes(own) ? [own, ...living.filter((one) => one !== own)] : [...living, own];
}

/** Keeps transports, and a file for the next start, in step with the API servers that live. Returns a function that ends it. */
export function followApiServers(options: {
  readonly informers: Informers;
  readonly transports: readonly FailoverTransport[];
  /** The kubeconfig's server. */
  readonly own: string;
  readonly file: string;
  readonly log: Log;
}): () => void {
  const { informers, transports, own, file, log } = options;
  const slices = informers.of<EndpointSlice>(resource('discovery.k8s.io/v1', 'endpointslices'));
  let known = readApiServers(file).join();
  return slices.onChange(({ type, object }) => {
    if (type === 'deleted' || object.metadata.namespace !== 'default' || object.metadata.name !== 'kubernetes') return;
    const servers = planApiServers([object], own);
    for (const one of transports) one.setServers(servers);
    if (servers.join() === known || servers.length === 1) return;
    known = servers.join();
    try {
      makeDirectorySync(dirname(file));
      writeFileSync(`${file}.new`, `${JSON.stringify(servers)}\n`, { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'the API servers were not noted for the next start');
    }
  });
}
