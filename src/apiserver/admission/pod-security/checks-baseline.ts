import { allContainers } from '../pod-containers.ts';
import type { Finding, PodCheck } from './check.ts';
import { containersText, distinct, plural, quoteAll } from './words.ts';

const defaultCapabilities: ReadonlySet<string> = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);

const safeSysctls: ReadonlySet<string> = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
]);

const seLinuxTypes: ReadonlySet<string> = new Set([
  '',
  'container_t',
  'container_init_t',
  'container_kvm_t',
  'container_engine_t',
]);
const appArmorPrefix = 'container.apparmor.security.beta.kubernetes.io/';

/** Baseline checks in the order in which findings are listed. */
export const baselineChecks: readonly PodCheck[] = [
  {
    id: 'appArmorProfile',
    check({ metadata, spec }) {
      const setters: string[] = [];
      const values: string[] = [];
      const type = spec.securityContext?.appArmorProfile?.type;
      if (type === 'Unconfined') {
        setters.push('pod');
        values.push(type);
      }
      const containers = allContainers(spec).filter(
        ({ container }) => container.securityContext?.appArmorProfile?.type === 'Unconfined',
      );
      if (containers.length > 0) {
        setters.push(containersText(containers.map(({ container }) => container.name)));
        values.push('Unconfined');
      }
      const details =
        setters.length === 0
          ? []
          : [`${setters.join(' and ')} must not set AppArmor profile type to ${quoteAll(distinct(values))}`];
      const annotations = Object.entries(metadata?.annotations ?? {})
        .filter(
          ([key, value]) =>
            key.startsWith(appArmorPrefix) &&
            value !== '' &&
            value !== 'runtime/default' &&
            !value.startsWith('localhost/'),
        )
        .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
        .sort();
      if (annotations.length > 0)
        details.push(`${plural('annotation', 'annotations', annotations.length)} ${annotations.join(', ')}`);
      const count = setters.length + annotations.length;
      return count === 0
        ? undefined
        : {
            reason: plural('forbidden AppArmor profile', 'forbidden AppArmor profiles', count),
            detail: details.join('; '),
          };
    },
  },
  {
    id: 'capabilities_baseline',
    check({ spec }) {
      const bad = allContainers(spec).map(({ container }) => ({
        name: container.name,
        added: (container.securityContext?.capabilities?.add ?? []).filter((one) => !defaultCapabilities.has(one)),
      }));
      return capabilityFinding('non-default capabilities', bad);
    },
  },
  {
    id: 'hostNamespaces',
    check({ spec }) {
      const set = [
        spec.hostNetwork === true ? 'hostNetwork=true' : '',
        spec.hostPID === true ? 'hostPID=true' : '',
        spec.hostIPC === true ? 'hostIPC=true' : '',
      ];
      return found('host namespaces', set.filter((one) => one !== '').join(', '));
    },
  },
  {
    id: 'hostPathVolumes',
    check({ spec }) {
      const names = (spec.volumes ?? []).filter((one) => one.hostPath !== undefined).map((one) => one.name);
      return found(
        'hostPath volumes',
        names.length === 0 ? '' : `${plural('volume', 'volumes', names.length)} ${quoteAll(names)}`,
      );
    },
  },
  {
    id: 'hostPorts',
    check({ spec }) {
      const names: string[] = [];
      const ports = new Set<number>();
      for (const { container } of allContainers(spec)) {
        const own = (container.ports ?? []).flatMap((one) =>
          one.hostPort === undefined || one.hostPort === 0 ? [] : [one.hostPort],
        );
        if (own.length > 0) names.push(container.name);
        for (const port of own) ports.add(port);
      }
      const listed = [...ports].sort((a, b) => a - b).join(', ');
      return found(
        'hostPort',
        names.length === 0
          ? ''
          : `${containersText(names)} ${plural('uses', 'use', names.length)} ${plural('hostPort', 'hostPorts', ports.size)} ${listed}`,
      );
    },
  },
  {
    id: 'hostProbesAndHostLifecycle',
    check({ spec }) {
      const names: string[] = [];
      const hosts: string[] = [];
      for (const { container } of allContainers(spec)) {
        const handlers = [
          container.livenessProbe,
          container.readinessProbe,
          container.startupProbe,
          container.lifecycle?.postStart,
          container.lifecycle?.preStop,
        ];
        const own = handlers
          .flatMap((one) => [one?.httpGet?.host, one?.tcpSocket?.host])
          .filter((one): one is string => one !== undefined && one !== '');
        if (own.length > 0) names.push(container.name);
        hosts.push(...own);
      }
      return found(
        'probe or lifecycle host',
        names.length === 0
          ? ''
          : `${containersText(names)} ${plural('uses', 'use', names.length)} probe or lifecycle ${plural('host', 'hosts', distinct(hosts).length)} ${quoteAll(distinct(hosts))}`,
      );
    },
  },
  {
    id: 'privileged',
    check({ spec }) {
      const names = allContainers(spec).filter(({ container }) => container.securityContext?.privileged === true);
      return found(
        'privileged',
        names.length === 0
          ? ''
          : `${containersText(names.map(({ container }) => container.name))} must not set securityContext.privileged=true`,
      );
    },
  },
  {
    id: 'procMount',
    check({ spec }) {
      const bad = allContainers(spec).filter(
        ({ container }) => (container.securityContext?.procMount ?? 'Default') !== 'Default',
      );
      const values = distinct(bad.map(({ container }) => container.securityContext?.procMount ?? ''));
      return found(
        'procMount',
        bad.length === 0
          ? ''
          : `${containersText(bad.map(({ container }) => container.name))} must not set securityContext.procMount to ${quoteAll(values)}`,
      );
    },
  },
  {
    id: 'seLinuxOptions',
    check({ spec }) {
      const setters: string[] = [];
      const types: string[] = [];
      let user = false;
      let role = false;
      const isBad = (options: { type?: string; user?: string; role?: string } | undefined): boolean => {
        if (options === undefined) return false;
        const badType = !seLinuxTypes.has(options.type ?? '');
        if (badType) types.push(options.type ?? '');
        user ||= (options.user ?? '') !== '';
        role ||= (options.role ?? '') !== '';
        return badType || (options.user ?? '') !== '' || (options.role ?? '') !== '';
      };
      if (isBad(spec.securityContext?.seLinuxOptions)) setters.push('pod');
      const names = allContainers(spec)
        .filter(({ container }) => isBad(container.securityContext?.seLinuxOptions))
        .map(({ container }) => container.name);
      if (names.length > 0) setters.push(containersText(names));
      if (setters.length === 0) return undefined;
      const data = [
        ...(types.length === 0
          ? []
          : [`${plural('type', 'types', distinct(types).length)} ${quoteAll(distinct(types))}`]),
        ...(user ? ['user may not be set'] : []),
        ...(role ? ['role may not be set'] : []),
      ];
      return found(
        'seLinuxOptions',
        `${setters.join(' and ')} set forbidden securityContext.seLinuxOptions: ${data.join('; ')}`,
      );
    },
  },
  {
    id: 'seccompProfile_baseline',
    check: ({ spec }) => seccompSetters(spec),
  },
  {
    id: 'sysctls',
    check({ spec }) {
      return found(
        'forbidden sysctls',
        (spec.securityContext?.sysctls ?? [])
          .filter((one) => !safeSysctls.has(one.name))
          .map((one) => one.name)
          .join(', '),
      );
    },
  },
  {
    id: 'windowsHostProcess',
    check({ spec }) {
      const setters = spec.securityContext?.windowsOptions?.hostProcess === true ? ['pod'] : [];
      const names = allContainers(spec).filter(
        ({ container }) => container.securityContext?.windowsOptions?.hostProcess === true,
      );
      if (names.length > 0) setters.push(containersText(names.map(({ container }) => container.name)));
      return found(
        'hostProcess',
        setters.length === 0
          ? ''
          : `${setters.join(' and ')} must not set securityContext.windowsOptions.hostProcess=true`,
      );
    },
  },
];

/** Undefined for an empty detail. */
export function found(reason: string, detail: string): Finding | undefined {
  return detail === '' ? undefined : { reason, detail };
}

/** Containers and the capabilities they must not add. */
export function capabilityFinding(
  reason: string,
  containers: readonly { readonly name: string; readonly added: readonly string[] }[],
): Finding | undefined {
  const bad = containers.filter((one) => one.added.length > 0);
  if (bad.length === 0) return undefined;
  const added = distinct(bad.flatMap((one) => one.added));
  return {
    reason,
    detail: `${containersText(bad.map((one) => one.name))} must not include ${quoteAll(added)} in securityContext.capabilities.add`,
  };
}

/** Whoever sets a seccomp profile that is neither the runtime's nor a local one. */
export function seccompSetters(spec: Parameters<PodCheck['check']>[0]['spec']): Finding | undefined {
  const isBad = (type: string | undefined): type is string =>
    type !== undefined && type !== 'RuntimeDefault' && type !== 'Localhost';
  const setters: string[] = [];
  const values: string[] = [];
  const own = spec.securityContext?.seccompProfile?.type;
  if (isBad(own)) {
    setters.push('pod');
    values.push(own);
  }
  const bad = allContainers(spec).filter(({ container }) => isBad(container.securityContext?.seccompProfile?.type));
  if (bad.length > 0) {
    setters.push(containersText(bad.map(({ container }) => container.name)));
    values.push(...bad.map(({ container }) => container.securityContext?.seccompProfile?.type ?? ''));
  }
  return found(
    'seccompProfile',
    setters.length === 0
      ? ''
      : `${setters.join(' and ')} must not set securityContext.seccompProfile.type to ${quoteAll(distinct(values))}`,
  );
}
