import type { Service } from '#api';

/**
 * The variables that tell a container of Services, as Docker links did: `REDIS_SERVICE_HOST`, `REDIS_PORT_6379_TCP` … for every
 * Service of the pod's namespace (when it wants links) and always for `kubernetes` of namespace `default`.
 */
export function serviceVariables(services: readonly Service[], namespace: string, links: boolean): Map<string, string> {
  const variables = new Map<string, string>();
  const wanted = new Map<string, Service>();
  for (const service of services) {
    const { name, namespace: home } = service.metadata;
    const master = home === 'default' && name === 'kubernetes';
    if (!isAddressed(service)) continue;
    if (home === namespace && (links || master)) wanted.set(name, service);
    else if (master && !wanted.has(name)) wanted.set(name, service);
  }
  for (const [name, service] of wanted) addService(variables, name, service);
  return variables;
}

function isAddressed({ spec }: Service): boolean {
  return spec?.type !== 'ExternalName' && Boolean(spec?.clusterIP) && spec?.clusterIP !== 'None';
}

function addService(variables: Map<string, string>, name: string, { spec }: Service): void {
  const ports = spec?.ports ?? [];
  const first = ports[0];
  if (spec === undefined || first === undefined) return;
  const prefix = variableName(name);
  const host = spec.clusterIP ?? '';
  variables.set(`${prefix}_SERVICE_HOST`, host);
  variables.set(`${prefix}_SERVICE_PORT`, String(first.port));
  for (const { name: portName, port } of ports) {
    if (portName) variables.set(`${prefix}_SERVICE_PORT_${variableName(portName)}`, String(port));
  }
  const address = host.includes(':') ? `[${host}]` : host;
  for (const [at, port] of ports.entries()) {
    const protocol = port.protocol ?? 'TCP';
    const url = `${protocol.toLowerCase()}://${address}:${port.port}`;
    if (at === 0) variables.set(`${prefix}_PORT`, url);
    const portPrefix = `${prefix}_PORT_${port.port}_${protocol.toUpperCase()}`;
    variables.set(portPrefix, url);
    variables.set(`${portPrefix}_PROTO`, protocol.toLowerCase());
    variables.set(`${portPrefix}_PORT`, String(port.port));
    variables.set(`${portPrefix}_ADDR`, host);
  }
}

function variableName(name: string): string {
  return name.replaceAll('-', '_').toUpperCase();
}
