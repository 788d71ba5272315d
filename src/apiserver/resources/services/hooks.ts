import type { Service, ServiceSpec } from '#api';
import type { KindHooks } from '../context.ts';
import type { ServiceClaims } from './claims.ts';
import { type ServiceAllocator, wantsHealthCheckPort, wantsNodePorts } from './allocator.ts';

/**
 * What a Service gets from the server: families, cluster addresses and node ports, kept and given back over its life. `claims`: other
 * servers give from the same ranges.
 */
export function serviceHooks(allocator: ServiceAllocator, claims?: ServiceClaims): KindHooks {
  return {
    prepareCreate(draft) {
      const service = draft as unknown as Service;
      normalize(service);
      chooseFamilies(service, allocator);
    },
    prepareUpdate(draft, old) {
      const service = draft as unknown as Service;
      const before = old as unknown as Service;
      normalize(service, before);
      keepAllocated(service, before);
      dropForType(service, before);
      chooseFamilies(service, allocator);
    },
    async beforeCreate(draft, { dryRun }) {
      await allocator.ready;
      return claims === undefined || dryRun ? allocator.hold(draft, undefined) : claims.hold(draft, undefined);
    },
    async beforeUpdate(draft, old, { dryRun }) {
      await allocator.ready;
      return claims === undefined || dryRun ? allocator.hold(draft, old) : claims.hold(draft, old);
    },
  };
}

const needsAddress = ({ spec }: Service): boolean => spec?.type !== 'ExternalName';

/** clusterIP and clusterIPs say the same. */
function normalize(service: Service, old?: Service): void {
  const spec = service.spec as ServiceSpec;
  if (old === undefined) {
    if (spec.clusterIP && spec.clusterIPs === undefined) spec.clusterIPs = [spec.clusterIP];
    return;
  }
  const before = old.spec as ServiceSpec;
  // A client of one field changed it and sent the other back as it was.
  const sameLists = JSON.stringify(spec.clusterIPs ?? []) === JSON.stringify(before.clusterIPs ?? []);
  if (spec.clusterIP !== before.clusterIP && sameLists) {
    if (spec.clusterIP === undefined || spec.clusterIP === '') delete spec.clusterIPs;
    else spec.clusterIPs = [spec.clusterIP, ...(spec.clusterIPs ?? []).slice(1)];
  } else if (spec.clusterIP && (spec.clusterIPs === undefined || spec.clusterIPs.length === 0))
    spec.clusterIPs = [spec.clusterIP];
}

/** A client that leaves out what the server gave keeps it. */
function keepAllocated(service: Service, old: Service): void {
  const spec = service.spec as ServiceSpec;
  const before = old.spec as ServiceSpec;
  if (needsAddress(old) && needsAddress(service)) {
    if (!spec.clusterIP) {
      if (before.clusterIP !== undefined) spec.clusterIP = before.clusterIP;
      if ((spec.clusterIPs?.length ?? 0) === 0 && before.clusterIPs !== undefined)
        spec.clusterIPs = [...before.clusterIPs];
    }
    spec.ipFamilies ??= before.ipFamilies === undefined ? undefined : [...before.ipFamilies];
    spec.ipFamilyPolicy ??= before.ipFamilyPolicy;
    if (spec.ipFamilies === undefined) delete spec.ipFamilies;
    if (spec.ipFamilyPolicy === undefined) delete spec.ipFamilyPolicy;
  }
  if (wantsNodePorts(old) && wantsNodePorts(service)) {
    const left = new Map((before.ports ?? []).map((one) => [`${one.protocol} ${one.port}`, one.nodePort]));
    const asked = new Set(
      (spec.ports ?? []).flatMap((one) => (one.nodePort ? [`${one.protocol} ${one.nodePort}`] : [])),
    );
    for (const one of spec.ports ?? []) {
      const had = left.get(`${one.protocol} ${one.port}`);
      if (!one.nodePort && had && !asked.has(`${one.protocol} ${had}`)) one.nodePort = had;
    }
  }
  if (
    wantsHealthCheckPort(old) &&
    wantsHealthCheckPort(service) &&
    !spec.healthCheckNodePort &&
    before.healthCheckNodePort
  ) {
    spec.healthCheckNodePort = before.healthCheckNodePort;
  }
}

/** Fields that a change of type makes meaningless go, unless the client just set them. */
function dropForType(service: Service, old: Service): void {
  const spec = service.spec as ServiceSpec;
  const before = old.spec as ServiceSpec;
  if (needsAddress(old) && !needsAddress(service)) {
    if (spec.clusterIP === before.clusterIP) delete spec.clusterIP;
    if (JSON.stringify(spec.clusterIPs) === JSON.stringify(before.clusterIPs)) delete spec.clusterIPs;
    delete spec.ipFamilies;
    delete spec.ipFamilyPolicy;
    delete spec.internalTrafficPolicy;
  }
  if (wantsNodePorts(old) && !wantsNodePorts(service)) {
    const had = new Map((before.ports ?? []).map((one) => [`${one.protocol} ${one.port}`, one.nodePort]));
    for (const one of spec.ports ?? []) {
      if (one.nodePort !== undefined && one.nodePort === had.get(`${one.protocol} ${one.port}`)) delete one.nodePort;
    }
  }
  if (
    wantsHealthCheckPort(old) &&
    !wantsHealthCheckPort(service) &&
    spec.healthCheckNodePort === before.healthCheckNodePort
  ) {
    delete spec.healthCheckNodePort;
  }
  if (before.type === 'LoadBalancer' && spec.type !== 'LoadBalancer') {
    if (spec.allocateLoadBalancerNodePorts === before.allocateLoadBalancerNodePorts)
      delete spec.allocateLoadBalancerNodePorts;
    if (spec.loadBalancerClass === before.loadBalancerClass) delete spec.loadBalancerClass;
    if (service.status !== undefined) service.status = { ...service.status, loadBalancer: {} };
  }
  const external = spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.externalIPs?.length ?? 0) > 0;
  if (!external && spec.externalTrafficPolicy === before.externalTrafficPolicy) delete spec.externalTrafficPolicy;
}

function chooseFamilies(service: Service, { families: served }: ServiceAllocator): void {
  const spec = service.spec as ServiceSpec;
  if (!needsAddress(service)) return;
  const [primary = 'IPv4'] = served;
  const families = [...(spec.ipFamilies ?? [])];
  for (const [index, address] of (spec.clusterIPs ?? []).entries()) {
    if (address !== 'None' && families[index] === undefined) families[index] = address.includes(':') ? 'IPv6' : 'IPv4';
  }
  const selectorless = spec.clusterIP === 'None' && Object.keys(spec.selector ?? {}).length === 0;
  if (spec.ipFamilyPolicy === undefined) {
    const both =
      families.length === 2 ||
      (spec.clusterIPs?.length ?? 0) === 2 ||
      (selectorless && spec.ipFamilies === undefined && served.length > 1);
    spec.ipFamilyPolicy = both ? 'RequireDualStack' : 'SingleStack';
  }
  if (families.length === 0) families.push(primary);
  const dual = spec.ipFamilyPolicy !== 'SingleStack' && served.length > 1;
  if (dual && families.length === 1) families.push(families[0] === 'IPv4' ? 'IPv6' : 'IPv4');
  spec.ipFamilies = families;
}
