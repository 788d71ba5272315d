import type { APIService, EndpointSlice, Service } from '#api';
import { goQuote } from '#machinery';
import { readyEndpoints } from '../streams/service-endpoint.ts';

/** What an APIService's condition `Available` says, in upstream's words. */
export interface Availability {
  readonly available: boolean;
  readonly reason: string;
  readonly message: string;
}

export const passed: Availability = { available: true, reason: 'Passed', message: 'all checks passed' };

/** What is wrong with the Service behind an APIService, as far as the API knows; undefined when it may be asked. */
export function planAvailability(
  { spec }: APIService,
  service: Service | undefined,
  slices: readonly EndpointSlice[],
): Availability | undefined {
  const { namespace = '', name = '', port = 443 } = spec?.service ?? {};
  const named = `service/${name} in ${goQuote(namespace)}`;
  const unavailable = (reason: string, message: string): Availability => ({ available: false, reason, message });
  if (service === undefined) return unavailable('ServiceNotFound', `${named} is not present`);
  const found = (service.spec?.ports ?? []).find((one) => one.port === port);
  if (found === undefined) return unavailable('ServicePortError', `${named} is not listening on port ${port}`);
  const own = slices.filter((one) => one.metadata.labels?.['kubernetes.io/service-name'] === name);
  if (own.length === 0) return unavailable('EndpointsNotFound', `cannot find endpointslices for ${named}`);
  const portName = found.name ?? '';
  if (readyEndpoints(own, name, portName).length === 0)
    return unavailable(
      'MissingEndpoints',
      `endpointslices for ${named} have no addresses with port name ${goQuote(portName)}`,
    );
  return undefined;
}
