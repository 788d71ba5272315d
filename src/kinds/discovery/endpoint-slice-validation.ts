import type { Endpoint, EndpointSlice } from '#api';
import {
  type FieldError,
  validateDns1123Label,
  validateDns1123Subdomain,
  validateIpAddress,
  validateQualifiedName,
} from '#machinery';
import { isIpv6, validateNonSpecialAddress } from '../core/address-validation.ts';
import { Findings } from '../findings.ts';

const addressTypes: readonly string[] = ['FQDN', 'IPv4', 'IPv6'];
const protocols: readonly string[] = ['SCTP', 'TCP', 'UDP'];
const maxEndpoints = 1000;
const maxAddresses = 100;
const maxPorts = 20000;
const maxHints = 8;

export function validateEndpointSlice(slice: EndpointSlice): FieldError[] {
  const found = new Findings();
  found.oneOf('addressType', slice.addressType, addressTypes);
  const endpoints = slice.endpoints ?? [];
  if (endpoints.length > maxEndpoints) found.tooMany('endpoints', endpoints.length, maxEndpoints);
  else
    for (const [index, endpoint] of endpoints.entries())
      validateEndpoint(endpoint, slice.addressType, `endpoints[${index}]`, found);
  validatePorts(slice, found);
  return found.list;
}

function validateEndpoint(endpoint: Endpoint, type: string, field: string, found: Findings): void {
  const addresses = endpoint.addresses ?? [];
  const at = `${field}.addresses`;
  if (addresses.length === 0) found.required(at, 'must contain at least 1 address');
  else if (addresses.length > maxAddresses) found.tooMany(at, addresses.length, maxAddresses);
  for (const [index, address] of addresses.entries()) validateAddress(address, type, `${at}[${index}]`, found);
  if (endpoint.nodeName != null)
    found.each(`${field}.nodeName`, endpoint.nodeName, validateDns1123Subdomain(endpoint.nodeName));
  const topology = endpoint.deprecatedTopology ?? {};
  found.labels(`${field}.deprecatedTopology`, topology);
  if (endpoint.zone != null && Object.hasOwn(topology, 'topology.kubernetes.io/zone'))
    found.forbidden(`${field}.deprecatedTopology.topology.kubernetes.io/zone`, 'use .zone instead');
  if (endpoint.hostname != null)
    found.each(`${field}.hostname`, endpoint.hostname, validateDns1123Label(endpoint.hostname));
  const zones = endpoint.hints?.forZones ?? [];
  if (zones.length > maxHints) found.tooMany(`${field}.hints.forZones`, zones.length, maxHints);
  const seen = new Set<string>();
  for (const [index, { name }] of zones.entries()) {
    if (seen.has(name)) found.duplicate(`${field}.hints.forZones[${index}].name`, name);
    seen.add(name);
  }
}

function validateAddress(address: string, type: string, field: string, found: Findings): void {
  if (type === 'FQDN') {
    if (address === '') found.required(field);
    else found.each(field, address, validateDns1123Subdomain(address));
    return;
  }
  if (type !== 'IPv4' && type !== 'IPv6') return;
  if (validateIpAddress(address).length > 0 || isIpv6(address) !== (type === 'IPv6'))
    found.invalid(field, address, `must be a valid ${type} address`);
  if (validateIpAddress(address).length === 0) validateNonSpecialAddress(address, field, found);
}

function validatePorts(slice: EndpointSlice, found: Findings): void {
  const ports = slice.ports ?? [];
  if (ports.length > maxPorts) return found.tooMany('ports', ports.length, maxPorts);
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const field = `ports[${index}]`;
    const name = port.name ?? '';
    if (name !== '') found.each(`${field}.name`, name, validateDns1123Label(name));
    if (names.has(name)) found.duplicate(`${field}.name`, name);
    names.add(name);
    if (port.protocol == null) found.required(`${field}.protocol`);
    found.presentOneOf(`${field}.protocol`, port.protocol, protocols);
    if (port.appProtocol != null)
      found.each(`${field}.appProtocol`, port.appProtocol, validateQualifiedName(port.appProtocol));
  }
}

export function validateEndpointSliceUpdate(slice: EndpointSlice, old: EndpointSlice): FieldError[] {
  const found = new Findings();
  found.immutable('addressType', slice.addressType, old.addressType);
  return found.list;
}
