import { allContainers } from '../pod-containers.ts';
import type { Finding, PodCheck, PodLike } from './check.ts';
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

/** With the minor version since which they count as safe. */
const safeSysctls: ReadonlyMap<string, number> = new Map([
  ['kernel.shm_rmid_forced', 0],
  ['net.ipv4.ip_local_port_range', 0],
  ['net.ipv4.tcp_syncookies', 0],
  ['net.ipv4.ping_group_range', 0],
  ['net.ipv4.ip_unprivileged_port_start', 0],
  ['net.ipv4.ip_local_reserved_ports', 27],
  ['net.ipv4.tcp_keepalive_time', 29],
  ['net.ipv4.tcp_fin_timeout', 29],
  ['net.ipv4.tcp_keepalive_intvl', 29],
  ['net.ipv4.tcp_keepalive_probes', 29],
  ['net.ipv4.tcp_rmem', 32],
  ['net.ipv4.tcp_wmem', 32],
]);

const seLinuxTypes: ReadonlyMap<string, number> = new Map([
  ['', 0],
  ['container_t', 0],
  ['container_init_t', 0],
  ['container_kvm_t', 0],
  ['container_engine_t', 31],
]);
const isKnown = (known: ReadonlyMap<string, number>, name: string, minor: number): boolean =>
  (known.get(name) ?? Number.POSITIVE_INFINITY) <= minor;

/** Since 1.35 a pod in a user namespace of its own may be root there, and see its whole /proc. */
export const isRelaxed = ({ spec }: PodLike, minor: number): boolean => minor >= 35 && spec.hostUsers === false;
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
    since: 34,
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
    check: (pod, minor) => (isRelaxed(pod, minor) ? undefined : procMounts(pod)),
  },
  {
    id: 'seLinuxOptions',
    check({ spec }, minor) {
      const setters: string[] = [];
      const types: string[] = [];
      let user = false;
      let role = false;
      const isBad = (options: { type?: string; user?: string; role?: string } | undefined): boolean => {
        if (options === undefined) return false;
        const badType = !isKnown(seLinuxTypes, options.type ?? '', minor);
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
    check: (pod, minor) => (minor < 19 ? seccompAnnotations(pod) : seccompSetters(pod.spec)),
  },
  {
    id: 'sysctls',
    check({ spec }, minor) {
      return found(
        'forbidden sysctls',
        (spec.securityContext?.sysctls ?? [])
          .filter((one) => !isKnown(safeSysctls, one.name, minor))
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

/** Who asks for a /proc other than the runtime's own. */
export function procMounts({ spec }: PodLike): Finding | undefined {
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
}

const seccompPrefix = 'seccomp.security.alpha.kubernetes.io/pod';
const containerSeccompPrefix = 'container.seccomp.security.alpha.kubernetes.io/';

/** Before 1.19 annotations said what the field says now. */
function seccompAnnotations({ metadata, spec }: PodLike): Finding | undefined {
  const annotations = metadata?.annotations ?? {};
  const keys = [
    seccompPrefix,
    ...allContainers(spec).map(({ container }) => `${containerSeccompPrefix}${container.name}`),
  ];
  const bad = distinct(
    keys.flatMap((key) => {
      const value = Object.hasOwn(annotations, key) ? annotations[key] : undefined;
      const isFine =
        value === undefined ||
        value === 'runtime/default' ||
        value === 'docker/default' ||
        value.startsWith('localhost/');
      return isFine ? [] : [`${key}=${JSON.stringify(value)}`];
    }),
  );
  return found(
    'seccompProfile',
    bad.length === 0 ? '' : `forbidden ${plural('annotation', 'annotations', bad.length)} ${bad.join(', ')}`,
  );
}

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
