import type {
  AppArmorProfile,
  PodSecurityContext,
  PodSpec,
  SeccompProfile,
  SecurityContext,
  WindowsSecurityContextOptions,
} from '#api';
import { validateDns1123Subdomain } from '#machinery';
import { type Findings, rangeMessage } from '../findings.ts';

const maxId = 2147483647;
const sysctlPattern = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;
const sysctlPatternText = '^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$';
const profileTypes = ['Localhost', 'RuntimeDefault', 'Unconfined'];

function validateId(field: string, id: number | undefined, found: Findings): void {
  if (id != null && (id < 0 || id > maxId)) found.invalid(field, id, rangeMessage(0, maxId));
}

/** Security context of a pod. */
export function validatePodSecurity(spec: PodSpec, field: string, found: Findings): void {
  const context = spec.securityContext;
  const at = `${field}.securityContext`;
  if (context != null) validateIds(context, at, found);
  if (spec.shareProcessNamespace && spec.hostPID)
    found.invalid(
      `${at}.shareProcessNamespace`,
      spec.shareProcessNamespace,
      'ShareProcessNamespace and HostPID cannot both be enabled',
    );
  if (context == null) return;
  const names = new Set<string>();
  for (const [index, { name }] of (context.sysctls ?? []).entries()) {
    const nameField = `${at}.sysctls[${index}].name`;
    if (!name) found.required(nameField);
    else if (name.length > 253 || !sysctlPattern.test(name))
      found.invalid(nameField, name, `must have at most 253 characters and match regex ${sysctlPatternText}`);
    else if (names.has(name)) found.duplicate(nameField, name);
    names.add(name);
  }
  found.presentOneOf(`${at}.fsGroupChangePolicy`, context.fsGroupChangePolicy, ['Always', 'OnRootMismatch']);
  validateSeccomp(context.seccompProfile, `${at}.seccompProfile`, found);
  validateWindows(context.windowsOptions, `${at}.windowsOptions`, found);
  validateAppArmor(context.appArmorProfile, `${at}.appArmorProfile`, found);
  found.presentOneOf(`${at}.supplementalGroupsPolicy`, context.supplementalGroupsPolicy, ['Merge', 'Strict']);
  found.presentOneOf(`${at}.seLinuxChangePolicy`, context.seLinuxChangePolicy, ['MountOption', 'Recursive']);
}

function validateIds(context: PodSecurityContext, field: string, found: Findings): void {
  validateId(`${field}.fsGroup`, context.fsGroup, found);
  validateId(`${field}.runAsUser`, context.runAsUser, found);
  validateId(`${field}.runAsGroup`, context.runAsGroup, found);
  for (const [index, group] of (context.supplementalGroups ?? []).entries())
    validateId(`${field}.supplementalGroups[${index}]`, group, found);
}

/** Security context of a container. */
export function validateContainerSecurity(context: SecurityContext | undefined, field: string, found: Findings): void {
  if (context == null) return;
  validateId(`${field}.runAsUser`, context.runAsUser, found);
  validateId(`${field}.runAsGroup`, context.runAsGroup, found);
  found.presentOneOf(`${field}.procMount`, context.procMount || undefined, ['Default', 'Unmasked']);
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
  validateWindows(context.windowsOptions, `${field}.windowsOptions`, found);
  validateAppArmor(context.appArmorProfile, `${field}.appArmorProfile`, found);
}

const maxCredentialSpecBytes = 64 * 1024;
const controlCharacters = /[\u0000-\u001f\u007f]+/;
const domainPatterns = [
  /^(?:[^"/\\:*?<>|.\u0000-\u001f][^"/\\:*?<>|\u0000-\u001f]{0,14})$/,
  /^[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?)*$/,
];
const userCharacters = /["/\\:;|=,+*?<>@[\]]/;

function validateWindows(options: WindowsSecurityContextOptions | undefined, field: string, found: Findings): void {
  const { gmsaCredentialSpecName: name, gmsaCredentialSpec: spec, runAsUserName } = options ?? {};
  if (name != null) found.each(`${field}.gmsaCredentialSpecName`, name, validateDns1123Subdomain(name));
  const specField = `${field}.gmsaCredentialSpec`;
  if (spec === '') found.invalid(specField, spec, 'gmsaCredentialSpec cannot be an empty string');
  else if (spec != null && Buffer.byteLength(spec) > maxCredentialSpecBytes)
    found.invalid(specField, spec, `gmsaCredentialSpec size must be under ${maxCredentialSpecBytes / 1024} KiB`);
  if (runAsUserName != null)
    for (const message of userNameErrors(runAsUserName))
      found.invalid(`${field}.runAsUserName`, runAsUserName, message);
}

/** Why a Windows user, `DOMAIN\\user` or `user`, cannot be one. */
function userNameErrors(name: string): string[] {
  if (name === '') return ['runAsUserName cannot be an empty string'];
  if (controlCharacters.test(name)) return ['runAsUserName cannot contain control characters'];
  const parts = name.split('\\');
  if (parts.length > 2) return ['runAsUserName cannot contain more than one backslash'];
  const [domain = '', user = ''] = parts.length === 2 ? parts : ['', ...parts];
  const errors: string[] = [];
  if (parts.length === 2) {
    if (domain.length > 255) errors.push("runAsUserName's Domain length must be under 256 characters");
    if (!domainPatterns.some((pattern) => pattern.test(domain)))
      errors.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
  }
  if (user === '') errors.push("runAsUserName's User cannot be empty");
  else if (user.length > 104) errors.push("runAsUserName's User length must not be longer than 104 characters");
  if (/^[. ]+$/.test(user)) errors.push("runAsUserName's User cannot contain only periods or spaces");
  if (userCharacters.test(user))
    errors.push(`runAsUserName's User cannot contain the following characters: "/\\:;|=,+*?<>@[]`);
  return errors;
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
