import type { Container, EphemeralContainer, Pod, SeccompProfile } from '#api';
import type { ContainerSecurity, Image, NamespaceOption, SecurityProfile } from '../cri/contract.ts';
import { ContainerConfigError } from './environment.ts';
import { podText } from './containers.ts';

const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

export interface SecurityInput {
  readonly pod: Pod;
  readonly container: Container | EphemeralContainer;
  readonly image: Image;
  /** Groups that the pod's volumes bring along. */
  readonly volumeGroups: readonly number[];
  /** The container whose process namespace an ephemeral container joins. */
  readonly targetId?: string;
  /** Directory of Localhost seccomp profiles. */
  readonly seccompDir: string;
}

/** Namespaces of a pod, for its sandbox and its containers. */
export function namespacesOf(pod: Pod, targetId?: string): NamespaceOption {
  const spec = pod.spec;
  return {
    network: spec?.hostNetwork ? 'NODE' : 'POD',
    ipc: spec?.hostIPC ? 'NODE' : 'POD',
    ...(targetId !== undefined
      ? { pid: 'TARGET', target_id: targetId }
      : { pid: spec?.hostPID ? 'NODE' : spec?.shareProcessNamespace ? 'POD' : 'CONTAINER' }),
  };
}

/** The container's privileges. Throws ContainerConfigError where the pod forbids what the image wants. */
export function containerSecurity(input: SecurityInput): ContainerSecurity {
  const { pod, container, image } = input;
  const own = container.securityContext ?? {};
  const shared = pod.spec?.securityContext ?? {};
  const privileged = own.privileged === true;
  const user = own.runAsUser ?? shared.runAsUser;
  const group = own.runAsGroup ?? shared.runAsGroup;
  if (own.runAsNonRoot ?? shared.runAsNonRoot) verifyNonRoot(input, user);
  const unmasked = own.procMount === 'Unmasked' || privileged;
  const groups = [
    ...new Set([
      ...(shared.supplementalGroups ?? []),
      ...(shared.fsGroup === undefined ? [] : [shared.fsGroup]),
      ...input.volumeGroups,
    ]),
  ];
  const selinux = own.seLinuxOptions ?? shared.seLinuxOptions;
  const apparmor = own.appArmorProfile ?? shared.appArmorProfile;
  return {
    privileged,
    readonly_rootfs: own.readOnlyRootFilesystem === true,
    no_new_privs: own.allowPrivilegeEscalation === false,
    namespace_options: namespacesOf(pod, input.targetId),
    capabilities: { add_capabilities: own.capabilities?.add ?? [], drop_capabilities: own.capabilities?.drop ?? [] },
    ...runAs(user, image),
    ...(group === undefined ? {} : { run_as_group: { value: group } }),
    supplemental_groups: groups,
    ...(shared.supplementalGroupsPolicy === 'Strict' ? { supplemental_groups_policy: 'Strict' as const } : {}),
    masked_paths: unmasked ? [] : maskedPaths,
    readonly_paths: unmasked ? [] : readonlyPaths,
    seccomp: seccompOf(own.seccompProfile ?? shared.seccompProfile, { privileged, directory: input.seccompDir }),
    ...(selinux === undefined ? {} : { selinux_options: selinux }),
    ...(apparmor === undefined
      ? {}
      : {
          apparmor: {
            profile_type: apparmor.type as SecurityProfile['profile_type'],
            localhost_ref: apparmor.localhostProfile ?? '',
          },
        }),
  };
}

/** Group without user is refused by runtimes: the image's user is then named. */
function runAs(user: number | undefined, image: Image): Partial<ContainerSecurity> {
  if (user !== undefined) return { run_as_user: { value: user } };
  if (image.uid !== undefined && image.uid !== null) return { run_as_user: { value: image.uid.value } };
  return image.username === '' ? { run_as_user: { value: 0 } } : { run_as_username: image.username };
}

function verifyNonRoot({ pod, container, image }: SecurityInput, user: number | undefined): void {
  const where = `(pod: "${podText(pod)}", container: ${container.name})`;
  const refuse = (why: string): never => {
    throw new ContainerConfigError('RunAsNonRoot', `${why} ${where}`);
  };
  if (user !== undefined) {
    if (user === 0) refuse("container's runAsUser breaks non-root policy");
    return;
  }
  if (image.uid !== undefined && image.uid !== null) {
    if (image.uid.value === 0) refuse('container has runAsNonRoot and image will run as root');
    return;
  }
  if (image.username === '') refuse('container has runAsNonRoot and image will run as root');
  refuse(
    `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root`,
  );
}

/** RuntimeDefault unless the pod says otherwise; a privileged container is never confined. */
export function seccompOf(
  profile: SeccompProfile | undefined,
  options: { readonly privileged: boolean; readonly directory: string },
): SecurityProfile {
  if (options.privileged) return { profile_type: 'Unconfined' };
  if (profile === undefined || profile.type === 'RuntimeDefault') return { profile_type: 'RuntimeDefault' };
  if (profile.type === 'Unconfined') return { profile_type: 'Unconfined' };
  const name = profile.localhostProfile ?? '';
  const parts = name.split('/');
  if (
    profile.type !== 'Localhost' ||
    name === '' ||
    parts.some((part) => part === '' || part === '.' || part === '..')
  ) {
    throw new ContainerConfigError(
      'SeccompProfile',
      `localhostProfile must be a path below the node's profile directory, not "${name}"`,
    );
  }
  return { profile_type: 'Localhost', localhost_ref: `${options.directory}/${name}` };
}
