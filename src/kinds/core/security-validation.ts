import type { AppArmorProfile, PodSpec, SeccompProfile, SecurityContext } from '#api';
import { type Findings, rangeMessage } from '../findings.ts';

const maxId = 2147483647;
const sysctlPattern = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;
const sysctlPatternText = '^([a-z0-9][-_a-z0-9]*[a-z0-9]?[\\./])*[a-z0-9][-_a-z0-9]*[a-z0-9]?$';
const profileTypes = ['Localhost', 'RuntimeDefault', 'Unconfined'];

function validateId(field: string, id: number | undefined, found: Findings): void {
  if (id != null && (id < 0 || id > maxId)) found.invalid(field, id, rangeMessage(0, maxId));
}

/** Security context of a pod. */
export function validatePodSecurity(spec: PodSpec, field: string, found: Findings): void {
  if (spec.shareProcessNamespace && spec.hostPID)
    found.invalid(
      `${field}.shareProcessNamespace`,
      spec.shareProcessNamespace,
      'ShareProcessNamespace and HostPID cannot both be enabled',
    );
  const context = spec.securityContext;
  if (context == null) return;
  const at = `${field}.securityContext`;
  validateId(`${at}.fsGroup`, context.fsGroup, found);
  validateId(`${at}.runAsUser`, context.runAsUser, found);
  validateId(`${at}.runAsGroup`, context.runAsGroup, found);
  for (const [index, group] of (context.supplementalGroups ?? []).entries())
    validateId(`${at}.supplementalGroups[${index}]`, group, found);
  const names = new Set<string>();
  for (const [index, { name }] of (context.sysctls ?? []).entries()) {
    const nameField = `${at}.sysctls[${index}].name`;
    if (!name) found.required(nameField);
    else if (name.length > 253 || !sysctlPattern.test(name))
      found.invalid(nameField, name, `must have at most 253 characters and match regex ${sysctlPatternText}`);
    else if (names.has(name)) found.duplicate(nameField, name);
    names.add(name);
  }
  found.optionalOneOf(`${at}.fsGroupChangePolicy`, context.fsGroupChangePolicy, ['Always', 'OnRootMismatch']);
  found.optionalOneOf(`${at}.supplementalGroupsPolicy`, context.supplementalGroupsPolicy, ['Merge', 'Strict']);
  validateSeccomp(context.seccompProfile, `${at}.seccompProfile`, found);
  validateAppArmor(context.appArmorProfile, `${at}.appArmorProfile`, found);
}

/** Security context of a container. */
export function validateContainerSecurity(context: SecurityContext | undefined, field: string, found: Findings): void {
  if (context == null) return;
  validateId(`${field}.runAsUser`, context.runAsUser, found);
  validateId(`${field}.runAsGroup`, context.runAsGroup, found);
  found.optionalOneOf(`${field}.procMount`, context.procMount, ['Default', 'Unmasked']);
  validateSeccomp(context.seccompProfile, `${field}.seccompProfile`, found);
  if (context.allowPrivilegeEscalation === false) {
    if (context.privileged)
      found.invalid(field, context, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true');
    if (context.capabilities?.add?.includes('CAP_SYS_ADMIN'))
      found.invalid(
        field,
        context,
        'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN',
      );
  }
  validateAppArmor(context.appArmorProfile, `${field}.appArmorProfile`, found);
}

function validateSeccomp(profile: SeccompProfile | undefined, field: string, found: Findings): void {
  if (profile == null) return;
  if (!profile.type) found.required(`${field}.type`, 'type is required when seccompProfile is set');
  else found.oneOf(`${field}.type`, profile.type, profileTypes);
  if (profile.type === 'Localhost') {
    if (profile.localhostProfile == null)
      found.required(`${field}.localhostProfile`, 'must be set when seccomp type is Localhost');
    else validateDescendingPath(profile.localhostProfile, `${field}.localhostProfile`, found);
  } else if (profile.localhostProfile != null)
    found.invalid(`${field}.localhostProfile`, profile, 'can only be set when seccomp type is Localhost');
}

function validateAppArmor(profile: AppArmorProfile | undefined, field: string, found: Findings): void {
  if (profile == null) return;
  if (!profile.type) found.required(`${field}.type`, 'type is required when appArmorProfile is set');
  else found.oneOf(`${field}.type`, profile.type, profileTypes);
  const at = `${field}.localhostProfile`;
  if (profile.type === 'Localhost') {
    const name = profile.localhostProfile?.trim() ?? '';
    if (name === '') found.required(at, 'must be set when AppArmor type is Localhost');
    else if (name !== profile.localhostProfile)
      found.invalid(at, profile.localhostProfile, 'must not be padded with whitespace');
    if (name.length > 4095) found.tooLong(at, name, 4095);
  } else if (profile.localhostProfile != null)
    found.invalid(at, profile.localhostProfile, 'can only be set when AppArmor type is Localhost');
}

/** A relative path that never goes up. */
export function validateDescendingPath(path: string, field: string, found: Findings): void {
  if (path.startsWith('/')) found.invalid(field, path, 'must be a relative path');
  validateNoBacksteps(path, field, found);
}

export function validateNoBacksteps(path: string, field: string, found: Findings): void {
  if (path.split('/').includes('..')) found.invalid(field, path, "must not contain '..'");
}
