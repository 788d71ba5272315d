import type { LoadBalancerStatus, Service, ServicePort, ServiceSpec } from '#api';
import {
  type FieldError,
  validateCidr,
  validateDns1123Subdomain,
  validateIpAddress,
  validatePortNumber,
  validateQualifiedName,
} from '#machinery';
import { Findings } from '../findings.ts';
import { isIpv6, sameFamilyTwice, validateNonSpecialAddress } from './address-validation.ts';
import { validatePort } from './probe-validation.ts';
import { isReachedFromOutside } from './service-defaults.ts';
import { isHeadless } from './service-facts.ts';

const kubeletPort = 10250;
const maxAffinitySeconds = 86400;
const types: readonly string[] = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const affinities: readonly string[] = ['ClientIP', 'None'];
const families: readonly string[] = ['IPv4', 'IPv6'];
const familyPolicies: readonly string[] = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];
const trafficPolicies: readonly string[] = ['Cluster', 'Local'];
const protocols: readonly string[] = ['SCTP', 'TCP', 'UDP'];
const distributions: readonly string[] = ['PreferClose', 'PreferSameNode', 'PreferSameZone'];
const notLoadBalancer = "may only be used when `type` is 'LoadBalancer'";
const rangesAnnotation = 'service.beta.kubernetes.io/load-balancer-source-ranges';

export function validateService(service: Service): FieldError[] {
  const found = new Findings();
  const spec = service.spec ?? {};
  const ports = spec.ports ?? [];
  const headless = isHeadless(service);
  if (ports.length === 0 && !headless && spec.type !== 'ExternalName') found.required('spec.ports');
  validateType(spec, headless, found);
  const names = new Set<string>();
  for (const [index, port] of ports.entries())
    validateServicePort(port, ports.length > 1, names, `spec.ports[${index}]`, found);
  found.labels('spec.selector', spec.selector);
  found.oneOf('spec.sessionAffinity', spec.sessionAffinity, affinities);
  validateAffinityConfig(spec, found);
  validateClusterIps(spec, headless, found);
  for (const [index, address] of (spec.externalIPs ?? []).entries()) {
    const messages = validateIpAddress(address);
    found.each(`spec.externalIPs[${index}]`, address, messages);
    if (messages.length === 0) validateNonSpecialAddress(address, `spec.externalIPs[${index}]`, found);
  }
  found.oneOf('spec.type', spec.type, types);
  validatePortsTogether(spec, ports, found);
  validateLoadBalancer(service, spec, found);
  validateTraffic(service, spec, found);
  return found.list;
}

function validateType(spec: ServiceSpec, headless: boolean, found: Findings): void {
  if (spec.type === 'LoadBalancer') {
    for (const [index, port] of (spec.ports ?? []).entries())
      if (port.port === kubeletPort)
        found.invalid(
          `spec.ports[${index}]`,
          port.port,
          `may not expose port ${kubeletPort} externally since it is used by kubelet`,
        );
    if (headless) found.invalid('spec.clusterIPs[0]', 'None', "may not be set to 'None' for LoadBalancer services");
  } else if (spec.type === 'NodePort') {
    if (headless) found.invalid('spec.clusterIPs[0]', 'None', "may not be set to 'None' for NodePort services");
  } else if (spec.type === 'ExternalName') {
    if (spec.clusterIPs?.length || spec.clusterIP)
      found.forbidden('spec.clusterIPs', 'may not be set for ExternalName services');
    if (spec.ipFamilies?.length) found.forbidden('spec.ipFamilies', 'may not be set for ExternalName services');
    if (spec.ipFamilyPolicy != null) found.forbidden('spec.ipFamilyPolicy', 'may not be set for ExternalName services');
    const name = (spec.externalName ?? '').replace(/\.$/, '');
    if (found.present('spec.externalName', name)) found.each('spec.externalName', name, validateDns1123Subdomain(name));
  }
}

function validateServicePort(
  port: ServicePort,
  nameRequired: boolean,
  names: Set<string>,
  field: string,
  found: Findings,
): void {
  if (!port.name) {
    if (nameRequired) found.required(`${field}.name`);
  } else {
    found.label(`${field}.name`, port.name);
    if (names.has(port.name)) found.duplicate(`${field}.name`, port.name);
    names.add(port.name);
  }
  found.each(`${field}.port`, port.port ?? 0, validatePortNumber(port.port ?? 0));
  found.oneOf(`${field}.protocol`, port.protocol, protocols);
  validatePort(port.targetPort, `${field}.targetPort`, found);
  if (port.appProtocol != null)
    found.each(`${field}.appProtocol`, port.appProtocol, validateQualifiedName(port.appProtocol));
}

function validateAffinityConfig(spec: ServiceSpec, found: Findings): void {
  const field = 'spec.sessionAffinityConfig';
  if (spec.sessionAffinity === 'None') {
    if (spec.sessionAffinityConfig != null) found.forbidden(field, 'must not be set when session affinity is None');
    return;
  }
  if (spec.sessionAffinity !== 'ClientIP') return;
  const detail = 'when session affinity type is ClientIP';
  const config = spec.sessionAffinityConfig;
  if (config == null) return found.required(field, detail);
  if (config.clientIP == null) return found.required(`${field}.clientIP`, detail);
  const seconds = config.clientIP.timeoutSeconds;
  if (seconds == null) return found.required(`${field}.clientIP.timeoutSeconds`, detail);
  if (seconds <= 0 || seconds > maxAffinitySeconds)
    found.invalid(
      `${field}.clientIP.timeoutSeconds`,
      seconds,
      `must be greater than 0 and less than ${maxAffinitySeconds}`,
    );
}

function validateClusterIps(spec: ServiceSpec, headless: boolean, found: Findings): void {
  if (spec.type === 'ExternalName') return;
  const field = 'spec.clusterIPs';
  const addresses = spec.clusterIPs ?? [];
  if (spec.clusterIP) {
    if (addresses.length === 0) found.required(field);
    else if (addresses[0] !== spec.clusterIP) found.invalid(field, addresses, 'first value must match `clusterIP`');
  } else if (addresses.length > 0) found.invalid(field, addresses, 'must be empty when `clusterIP` is not specified');
  const seen = new Set<string>();
  for (const [index, family] of (spec.ipFamilies ?? []).entries()) {
    if (!families.includes(family)) found.notSupported(`spec.ipFamilies[${index}]`, family, families);
    if (seen.has(family)) found.duplicate(`spec.ipFamilies[${index}]`, family);
    seen.add(family);
  }
  if (spec.ipFamilyPolicy != null && !familyPolicies.includes(spec.ipFamilyPolicy))
    found.notSupported('spec.ipFamilyPolicy', spec.ipFamilyPolicy, familyPolicies);
  let valid = true;
  for (const [index, address] of addresses.entries()) {
    if (index === 0 && address === 'None') {
      if (addresses.length > 1) {
        valid = false;
        found.invalid(field, addresses, "'None' must be the first and only value");
      }
      continue;
    }
    const messages = validateIpAddress(address);
    if (messages.length > 0) valid = false;
    found.each(`${field}[${index}]`, address, messages);
  }
  if (addresses.length > 2) found.invalid(field, addresses, 'may only hold up to 2 values');
  if (!valid) return;
  if (addresses.length > 1 && sameFamilyTwice(addresses))
    found.invalid(
      field,
      addresses,
      'may specify no more than one IP for each IP family, i.e ["192.168.0.10", "2001:db8::1"]',
    );
  if (headless) return;
  for (const [index, address] of addresses.entries()) {
    const family = spec.ipFamilies?.[index];
    if (family !== undefined && families.includes(family) && (family === 'IPv6') !== isIpv6(address))
      found.invalid(
        `${field}[${index}]`,
        address,
        `expected an ${family} value as indicated by \`ipFamilies[${index}]\``,
      );
  }
}

function validatePortsTogether(spec: ServiceSpec, ports: readonly ServicePort[], found: Findings): void {
  const nodePorts = new Set<string>();
  const numbers = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const field = `spec.ports[${index}]`;
    if (port.nodePort && spec.type === 'ClusterIP')
      found.forbidden(`${field}.nodePort`, "may not be used when `type` is 'ClusterIP'");
    if (port.nodePort) {
      const key = `${port.protocol}/${port.nodePort}`;
      if (nodePorts.has(key)) found.duplicate(`${field}.nodePort`, port.nodePort);
      nodePorts.add(key);
    }
    const key = `${port.protocol}/${port.port}`;
    if (numbers.has(key)) found.duplicate(field, { port: port.port, protocol: port.protocol });
    numbers.add(key);
  }
}

function validateLoadBalancer(service: Service, spec: ServiceSpec, found: Findings): void {
  const isLoadBalancer = spec.type === 'LoadBalancer';
  const annotation = service.metadata.annotations?.[rangesAnnotation];
  if (spec.loadBalancerSourceRanges?.length) {
    if (!isLoadBalancer) found.forbidden('spec.LoadBalancerSourceRanges', notLoadBalancer);
    for (const [index, range] of spec.loadBalancerSourceRanges.entries())
      found.each(`spec.LoadBalancerSourceRanges[${index}]`, range, validateCidr(range.trim()));
  } else if (annotation !== undefined) {
    const field = `metadata.annotations[${rangesAnnotation}]`;
    if (!isLoadBalancer) found.forbidden(field, notLoadBalancer);
    const ranges = annotation.trim();
    if (ranges !== '' && ranges.split(',').some((one) => validateCidr(one.trim()).length > 0))
      found.invalid(field, annotation, 'must be a comma separated list of CIDRs e.g. 192.168.0.0/16,10.0.0.0/8');
  }
  if (spec.allocateLoadBalancerNodePorts != null && !isLoadBalancer)
    found.forbidden('spec.allocateLoadBalancerNodePorts', notLoadBalancer);
  if (spec.loadBalancerClass != null) {
    if (!isLoadBalancer) found.forbidden('spec.loadBalancerClass', notLoadBalancer);
    found.each('spec.loadBalancerClass', spec.loadBalancerClass, validateQualifiedName(spec.loadBalancerClass));
  }
}

function validateTraffic(service: Service, spec: ServiceSpec, found: Findings): void {
  const external = spec.externalTrafficPolicy;
  const health = spec.healthCheckNodePort ?? 0;
  if (!isReachedFromOutside(service)) {
    if (external)
      found.invalid('spec.externalTrafficPolicy', external, 'may only be set for externally-accessible services');
  } else {
    if (!external) found.required('spec.externalTrafficPolicy');
    else if (!trafficPolicies.includes(external))
      found.notSupported('spec.externalTrafficPolicy', external, trafficPolicies);
  }
  const needsHealth = spec.type === 'LoadBalancer' && external === 'Local';
  if (health < 0 || health > 65535) found.each('spec.healthCheckNodePort', health, validatePortNumber(health));
  else if (!needsHealth && health !== 0)
    found.invalid(
      'spec.healthCheckNodePort',
      health,
      "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    );
  if (spec.type === 'ClusterIP' || spec.type === 'NodePort' || spec.type === 'LoadBalancer') {
    if (spec.internalTrafficPolicy == null) found.required('spec.internalTrafficPolicy');
    else if (!trafficPolicies.includes(spec.internalTrafficPolicy))
      found.notSupported('spec.internalTrafficPolicy', spec.internalTrafficPolicy, trafficPolicies);
  }
  if (spec.trafficDistribution != null && !distributions.includes(spec.trafficDistribution))
    found.notSupported('spec.trafficDistribution', spec.trafficDistribution, distributions);
}

/** The first cluster address and family stay unless the type becomes or was ExternalName; the class of a load balancer stays. */
export function validateServiceUpdate(service: Service, old: Service): FieldError[] {
  const found = new Findings();
  const spec = service.spec ?? {};
  const before = old.spec ?? {};
  if (spec.type !== 'ExternalName' && before.type !== 'ExternalName') {
    const first = before.clusterIPs?.[0] ?? before.clusterIP;
    const now = spec.clusterIPs?.[0] ?? spec.clusterIP;
    if (first && now !== first) {
      if (spec.clusterIPs?.length) found.invalid('spec.clusterIPs[0]', spec.clusterIPs, 'may not change once set');
      else found.invalid('spec.clusterIPs', spec.clusterIPs ?? [], 'primary clusterIP can not be unset');
    }
    const second = before.clusterIPs?.[1];
    if (second !== undefined && spec.clusterIPs?.[1] !== undefined && spec.clusterIPs[1] !== second)
      found.invalid('spec.clusterIPs[1]', spec.clusterIPs, 'may not change once set');
    const family = before.ipFamilies?.[0];
    if (family !== undefined && spec.ipFamilies?.[0] !== family) {
      if (spec.ipFamilies?.length) found.invalid('spec.ipFamilies[0]', spec.ipFamilies, 'may not change once set');
      else found.invalid('spec.ipFamilies[0]', spec.ipFamilies ?? [], 'primary ipFamily can not be unset');
    }
  }
  if (
    spec.type === 'LoadBalancer' &&
    before.type === 'LoadBalancer' &&
    spec.loadBalancerClass !== before.loadBalancerClass
  )
    found.invalid('spec.loadBalancerClass', spec.loadBalancerClass ?? null, 'may not change once set');
  return found.list;
}

export function validateServiceStatusUpdate(service: Service): FieldError[] {
  const found = new Findings();
  validateLoadBalancerStatus(service.status?.loadBalancer, 'status.loadBalancer', found);
  if (service.spec?.type !== 'LoadBalancer' && service.status?.loadBalancer?.ingress?.length)
    found.forbidden('status.loadBalancer.ingress', "may only be used when `spec.type` is 'LoadBalancer'");
  return found.list;
}

/** Addresses of a load balancer, of a Service or an Ingress. */
export function validateLoadBalancerStatus(
  status: LoadBalancerStatus | { ingress?: readonly { ip?: string; hostname?: string }[] } | undefined,
  field: string,
  found: Findings,
): void {
  for (const [index, one] of (status?.ingress ?? []).entries()) {
    const at = `${field}.ingress[${index}]`;
    if (one.ip) found.each(`${at}.ip`, one.ip, validateIpAddress(one.ip));
    if (!one.hostname) continue;
    found.each(`${at}.hostname`, one.hostname, validateDns1123Subdomain(one.hostname));
    if (validateIpAddress(one.hostname).length === 0)
      found.invalid(`${at}.hostname`, one.hostname, 'must be a DNS name, not an IP address');
  }
}
