import type { EndpointAddress, EndpointPort, Endpoints } from '#api';
import {
  type FieldError,
  validateDns1123Label,
  validateDns1123Subdomain,
  validateIpAddress,
  validatePortNumber,
  validateQualifiedName,
} from '#machinery';
import { Findings } from '../findings.ts';
import { validateNonSpecialAddress } from './address-validation.ts';

const protocols: readonly string[] = ['SCTP', 'TCP', 'UDP'];

export function validateEndpoints(endpoints: Endpoints): FieldError[] {
  const found = new Findings();
  for (const [index, subset] of (endpoints.subsets ?? []).entries()) {
    const field = `subsets[${index}]`;
    const { addresses = [], notReadyAddresses = [], ports = [] } = subset;
    if (addresses.length === 0 && notReadyAddresses.length === 0)
      found.required(field, 'must specify `addresses` or `notReadyAddresses`');
    for (const [position, one] of addresses.entries()) validateAddress(one, `${field}.addresses[${position}]`, found);
    for (const [position, one] of notReadyAddresses.entries())
      validateAddress(one, `${field}.notReadyAddresses[${position}]`, found);
    for (const [position, port] of ports.entries())
      validateEndpointPort(port, ports.length > 1, `${field}.ports[${position}]`, found);
  }
  return found.list;
}

function validateAddress(address: EndpointAddress, field: string, found: Findings): void {
  found.each(`${field}.ip`, address.ip, validateIpAddress(address.ip ?? ''));
  if (address.hostname) found.each(`${field}.hostname`, address.hostname, validateDns1123Label(address.hostname));
  if (address.nodeName != null)
    found.each(`${field}.nodeName`, address.nodeName, validateDns1123Subdomain(address.nodeName));
  if (validateIpAddress(address.ip ?? '').length === 0) validateNonSpecialAddress(address.ip, `${field}.ip`, found);
}

function validateEndpointPort(port: EndpointPort, nameRequired: boolean, field: string, found: Findings): void {
  if (port.name) found.each(`${field}.name`, port.name, validateDns1123Label(port.name));
  else if (nameRequired) found.required(`${field}.name`);
  found.each(`${field}.port`, port.port ?? 0, validatePortNumber(port.port ?? 0));
  found.oneOf(`${field}.protocol`, port.protocol, protocols);
  if (port.appProtocol != null)
    found.each(`${field}.appProtocol`, port.appProtocol, validateQualifiedName(port.appProtocol));
}
