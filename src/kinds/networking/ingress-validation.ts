import type { HTTPIngressPath, Ingress, IngressBackend, IngressClass, TypedLocalObjectReference } from '#api';
import {
  type FieldError,
  validateDns1035Label,
  validateDns1123Subdomain,
  validateIpAddress,
  validatePathSegmentName,
  validatePortName,
  validatePortNumber,
  validateWildcardDns1123Subdomain,
} from '#machinery';
import { validateLoadBalancerStatus } from '../core/service-validation.ts';
import { Findings } from '../findings.ts';

const pathTypes: readonly string[] = ['Exact', 'ImplementationSpecific', 'Prefix'];
const badSequences: readonly string[] = ['//', '/./', '/../', '%2f', '%2F'];
const badEndings: readonly string[] = ['/..', '/.'];

export function validateIngress(ingress: Ingress): FieldError[] {
  const found = new Findings();
  const spec = ingress.spec ?? {};
  const rules = spec.rules ?? [];
  if (rules.length === 0 && spec.defaultBackend == null)
    found.invalid('spec', spec.rules ?? [], 'either `defaultBackend` or `rules` must be specified');
  if (spec.defaultBackend != null) validateBackend(spec.defaultBackend, 'spec.defaultBackend', found);
  for (const [index, rule] of rules.entries()) {
    const field = `spec.rules[${index}]`;
    if (rule.host) validateHost(rule.host, `${field}.host`, found);
    if (rule.http == null) continue;
    if (!rule.http.paths?.length) found.required(`${field}.http.paths`);
    for (const [position, path] of (rule.http.paths ?? []).entries())
      validatePath(path, `${field}.http.paths[${position}]`, found);
  }
  for (const [index, tls] of (spec.tls ?? []).entries()) {
    for (const [position, host] of (tls.hosts ?? []).entries())
      validateDnsName(host, `spec.tls[${index}].hosts[${position}]`, found);
    if (tls.secretName)
      found.each(`spec.tls[${index}].secretName`, tls.secretName, validateDns1123Subdomain(tls.secretName));
  }
  if (spec.ingressClassName != null)
    found.each('spec.ingressClassName', spec.ingressClassName, validateDns1123Subdomain(spec.ingressClassName));
  return found.list;
}

function validateHost(host: string, field: string, found: Findings): void {
  if (validateIpAddress(host).length === 0) found.invalid(field, host, 'must be a DNS name, not an IP address');
  validateDnsName(host, field, found);
}

function validateDnsName(host: string, field: string, found: Findings): void {
  found.each(field, host, host.includes('*') ? validateWildcardDns1123Subdomain(host) : validateDns1123Subdomain(host));
}

function validatePath(path: HTTPIngressPath, field: string, found: Findings): void {
  const text = path.path ?? '';
  if (path.pathType == null) return found.required(`${field}.pathType`, 'pathType must be specified');
  if (path.pathType === 'Exact' || path.pathType === 'Prefix') {
    if (!text.startsWith('/')) found.invalid(`${field}.path`, text, 'must be an absolute path');
    for (const bad of badSequences)
      if (text.includes(bad)) found.invalid(`${field}.path`, text, `must not contain '${bad}'`);
    for (const bad of badEndings)
      if (text.endsWith(bad)) found.invalid(`${field}.path`, text, `cannot end with '${bad}'`);
  } else if (path.pathType === 'ImplementationSpecific') {
    if (text !== '' && !text.startsWith('/')) found.invalid(`${field}.path`, text, 'must be an absolute path');
  } else found.notSupported(`${field}.pathType`, path.pathType, pathTypes);
  validateBackend(path.backend ?? {}, `${field}.backend`, found);
}

function validateBackend(backend: IngressBackend, field: string, found: Findings): void {
  const { resource, service } = backend;
  if (resource != null && service != null)
    return found.invalid(field, '', 'cannot set both resource and service backends');
  if (resource != null) return validateReference(resource, `${field}.resource`, found);
  if (service == null) return found.invalid(field, '', 'resource or service backend is required');
  const at = `${field}.service`;
  if (found.present(`${at}.name`, service.name))
    found.each(`${at}.name`, service.name, validateDns1035Label(service.name));
  const { name, number } = service.port ?? {};
  if (name && number) found.invalid(field, '', 'cannot set both port name & port number');
  else if (name) found.each(`${at}.port.name`, name, validatePortName(name));
  else if (number) found.each(`${at}.port.number`, number, validatePortNumber(number));
  else found.required(field, 'port name or number is required');
}

function validateReference(reference: TypedLocalObjectReference, field: string, found: Findings): void {
  if (reference.apiGroup != null)
    found.each(`${field}.apiGroup`, reference.apiGroup, validateDns1123Subdomain(reference.apiGroup));
  if (!reference.kind) found.required(`${field}.kind`, 'kind is required');
  else found.each(`${field}.kind`, reference.kind, validatePathSegmentName(reference.kind));
  if (!reference.name) found.required(`${field}.name`, 'name is required');
  else found.each(`${field}.name`, reference.name, validatePathSegmentName(reference.name));
}

export function validateIngressStatusUpdate(ingress: Ingress): FieldError[] {
  const found = new Findings();
  validateLoadBalancerStatus(ingress.status?.loadBalancer, 'status.loadBalancer', found);
  return found.list;
}

const maxControllerLength = 250;

export function validateIngressClass({ spec }: IngressClass): FieldError[] {
  const found = new Findings();
  const controller = spec?.controller ?? '';
  if (controller.length > maxControllerLength) found.tooLong('spec.controller', controller, maxControllerLength);
  validateDomainPath(controller, 'spec.controller', found);
  const parameters = spec?.parameters;
  if (parameters != null) {
    validateReference(parameters, 'spec.parameters', found);
    if (parameters.scope == null) found.required('spec.parameters.scope');
    else if (parameters.scope === 'Cluster') {
      if (parameters.namespace != null)
        found.forbidden('spec.parameters.namespace', "`parameters.scope` is set to 'Cluster'");
    } else if (parameters.scope === 'Namespace') {
      if (parameters.namespace == null)
        found.required('spec.parameters.namespace', "`parameters.scope` is set to 'Namespace'");
    } else found.notSupported('spec.parameters.scope', parameters.scope, ['Cluster', 'Namespace']);
  }
  return found.list;
}

/** `example.com/path`. */
export function validateDomainPath(value: string, field: string, found: Findings): void {
  if (value === '') return found.required(field);
  const slash = value.indexOf('/');
  if (slash <= 0 || slash === value.length - 1)
    return found.invalid(field, value, 'must be a domain-prefixed path (such as "acme.io/foo")');
  found.each(field, value.slice(0, slash), validateDns1123Subdomain(value.slice(0, slash)));
  if (!/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(value.slice(slash + 1)))
    found.invalid(
      field,
      value.slice(slash + 1),
      "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
    );
}

export function validateIngressClassUpdate(ingressClass: IngressClass, old: IngressClass): FieldError[] {
  const found = new Findings();
  found.immutable('spec.controller', ingressClass.spec?.controller, old.spec?.controller);
  return found.list;
}
