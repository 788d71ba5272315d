import type { IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '#api';
import { type FieldError, validateCidr, validatePortName, validatePortNumber } from '#machinery';
import { isStrictSubset } from '../core/address-validation.ts';
import { Findings } from '../findings.ts';

const protocols: readonly string[] = ['TCP', 'UDP', 'SCTP'];
const policyTypes: readonly string[] = ['Egress', 'Ingress'];

export function validateNetworkPolicy({ spec }: NetworkPolicy): FieldError[] {
  const found = new Findings();
  found.selector('spec.podSelector', spec?.podSelector);
  for (const [index, rule] of (spec?.ingress ?? []).entries()) {
    const field = `spec.ingress[${index}]`;
    validatePorts(rule.ports, `${field}.ports`, found);
    for (const [position, peer] of (rule.from ?? []).entries()) validatePeer(peer, `${field}.from[${position}]`, found);
  }
  for (const [index, rule] of (spec?.egress ?? []).entries()) {
    const field = `spec.egress[${index}]`;
    validatePorts(rule.ports, `${field}.ports`, found);
    for (const [position, peer] of (rule.to ?? []).entries()) validatePeer(peer, `${field}.to[${position}]`, found);
  }
  const types = spec?.policyTypes ?? [];
  if (types.length > policyTypes.length)
    found.invalid('spec.policyTypes', types, 'may not specify more than two policyTypes');
  else
    for (const [index, type] of types.entries())
      if (!policyTypes.includes(type)) found.notSupported(`spec.policyTypes[${index}]`, type, ['Ingress', 'Egress']);
  return found.list;
}

function validatePorts(ports: readonly NetworkPolicyPort[] | undefined, field: string, found: Findings): void {
  for (const [index, { protocol, port, endPort }] of (ports ?? []).entries()) {
    const at = `${field}[${index}]`;
    if (protocol != null && !protocols.includes(protocol)) found.notSupported(`${at}.protocol`, protocol, protocols);
    if (typeof port === 'number') {
      found.each(`${at}.port`, port, validatePortNumber(port));
      if (endPort != null) {
        if (endPort < port) found.invalid(`${at}.endPort`, port, 'must be greater than or equal to `port`');
        found.each(`${at}.endPort`, endPort, validatePortNumber(endPort));
      }
    } else if (port != null) {
      if (endPort != null) found.invalid(`${at}.endPort`, endPort, 'may not be specified when `port` is non-numeric');
      found.each(`${at}.port`, port, validatePortName(port));
    } else if (endPort != null)
      found.invalid(`${at}.endPort`, endPort, 'may not be specified when `port` is not specified');
  }
}

function validatePeer(peer: NetworkPolicyPeer, field: string, found: Findings): void {
  found.selector(`${field}.podSelector`, peer.podSelector);
  found.selector(`${field}.namespaceSelector`, peer.namespaceSelector);
  if (peer.ipBlock != null) validateBlock(peer.ipBlock, `${field}.ipBlock`, found);
  const selectors = [peer.podSelector, peer.namespaceSelector].filter((one) => one != null).length;
  if (selectors === 0 && peer.ipBlock == null) found.required(field, 'must specify a peer');
  else if (selectors > 0 && peer.ipBlock != null)
    found.forbidden(field, 'may not specify both ipBlock and another peer');
}

function validateBlock(block: IPBlock, field: string, found: Findings): void {
  if (!block.cidr) return found.required(`${field}.cidr`);
  const messages = validateCidr(block.cidr);
  if (messages.length > 0) return found.each(`${field}.cidr`, block.cidr, messages);
  for (const [index, range] of (block.except ?? []).entries()) {
    const at = `${field}.except[${index}]`;
    const wrong = validateCidr(range);
    if (wrong.length > 0) found.each(at, range, wrong);
    else if (!isStrictSubset(block.cidr, range)) found.invalid(at, range, 'must be a strict subset of `cidr`');
  }
}
