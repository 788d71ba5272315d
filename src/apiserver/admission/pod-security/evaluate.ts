import type { Finding, PodLike } from './check.ts';
import { baselineChecks } from './checks-baseline.ts';
import { restrictedChecks } from './checks-restricted.ts';
import type { PodSecurityLevel } from './policy.ts';

const overridden: ReadonlySet<string> = new Set(restrictedChecks.flatMap((one) => one.overrides ?? []));
const checksOf = {
  privileged: [],
  baseline: baselineChecks,
  restricted: [...baselineChecks.filter((one) => !overridden.has(one.id)), ...restrictedChecks],
} as const;

/** Every way in which a pod breaks a level, in the order in which they are listed. */
export function evaluatePod(pod: PodLike, level: PodSecurityLevel): Finding[] {
  return checksOf[level].flatMap((one) => one.check(pod) ?? []);
}

/** `privileged (container "a" must not set securityContext.privileged=true), hostPort (…)`. */
export function findingsText(findings: readonly Finding[]): string {
  return findings.map((one) => `${one.reason} (${one.detail})`).join(', ');
}
