import type { EndpointSlice, Service } from '#api';
import type { Random } from '#base';
import { errServiceUnavailable } from '#machinery';
import type { ServerObjects } from '../contract.ts';

/** A ready endpoint behind one port of a Service, any of them. Throws 503 when there is none. */
export async function serviceEndpoint(
  { objects, random }: { readonly objects: ServerObjects; readonly random: Random },
  { namespace, name, port }: { readonly namespace: string; readonly name: string; readonly port: number },
): Promise<{ readonly host: string; readonly port: number }> {
  const services = objects.view('v1', 'services');
  const slices = objects.view('discovery.k8s.io/v1', 'endpointslices');
  await Promise.all([services.ready, slices.ready]);
  const service = services.get(namespace, name) as unknown as Service | undefined;
  if (service === undefined) {
    throw errServiceUnavailable(`service/${name} in ${JSON.stringify(namespace)} is not present`);
  }
  const portName = (service.spec?.ports ?? []).find((one) => one.port === port)?.name ?? '';
  const choices = readyEndpoints(slices.list(namespace) as unknown as readonly EndpointSlice[], name, portName);
  const chosen = choices[random.int(Math.max(1, choices.length))];
  if (chosen === undefined) {
    throw errServiceUnavailable(`endpoints for service/${name} in ${JSON.stringify(namespace)} have no addresses`);
  }
  return chosen;
}

/** Addresses and ports of a Service's ready endpoints for the port of that name. */
export function readyEndpoints(
  slices: readonly EndpointSlice[],
  service: string,
  portName: string,
): { host: string; port: number }[] {
  const choices: { host: string; port: number }[] = [];
  for (const slice of slices) {
    if (slice.metadata.labels?.['kubernetes.io/service-name'] !== service) continue;
    const match = (slice.ports ?? []).find((one) => (one.name ?? '') === portName);
    if (match?.port === undefined) continue;
    for (const endpoint of slice.endpoints ?? []) {
      if (endpoint.conditions?.ready === false) continue;
      for (const host of endpoint.addresses) choices.push({ host, port: match.port });
    }
  }
  return choices;
}
