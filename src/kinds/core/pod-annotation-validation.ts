import type { PodSpec } from '#api';
import type { Findings } from '../findings.ts';
import { validateDescendingPath } from './security-validation.ts';

const deletionCost = 'controller.kubernetes.io/pod-deletion-cost';
const seccompPod = 'seccomp.security.alpha.kubernetes.io/pod';
const seccompContainer = 'container.seccomp.security.alpha.kubernetes.io/';
const appArmorContainer = 'container.apparmor.security.beta.kubernetes.io/';
const seccompProfiles: readonly string[] = ['runtime/default', 'docker/default', 'unconfined'];
const appArmorProfiles: readonly string[] = ['', 'runtime/default', 'unconfined'];
const localhost = 'localhost/';

/** Annotations of pods and of templates that mean something. */
export function validatePodAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  spec: PodSpec,
  field: string,
  found: Findings,
): void {
  for (const [key, value] of Object.entries(annotations ?? {})) {
    if (key === deletionCost) {
      if (!isCost(value)) found.invalid(`${field}[${key}]`, value, 'must be a 32bit integer');
    } else if (key === seccompPod || key.startsWith(seccompContainer)) validateSeccomp(value, `${field}.${key}`, found);
    else if (key.startsWith(appArmorContainer)) {
      const name = key.slice(appArmorContainer.length);
      if (!hasContainer(spec, name)) found.invalid(`${field}[${key}]`, name, 'container not found');
      if (!appArmorProfiles.includes(value) && !value.startsWith(localhost))
        found.invalid(`${field}[${key}]`, value, `invalid AppArmor profile name: ${JSON.stringify(value)}`);
    }
  }
}

/** A whole number of 32 bits, without a plus sign and without zeros before it. */
const isCost = (text: string): boolean => /^(?:0|-?[1-9]\d{0,9})$/.test(text) && Math.abs(Number(text) + 0.5) < 2 ** 31;

function validateSeccomp(profile: string, field: string, found: Findings): void {
  if (seccompProfiles.includes(profile)) return;
  if (profile.startsWith(localhost)) validateDescendingPath(profile.slice(localhost.length), field, found);
  else found.invalid(field, profile, 'must be a valid seccomp profile');
}

const hasContainer = (spec: PodSpec, name: string): boolean =>
  [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...(spec.ephemeralContainers ?? [])].some(
    (one) => one.name === name,
  );
