import type { Finding, PodCheck, PodLike } from './check.ts';
import { baselineChecks } from './checks-baseline.ts';
import { restrictedChecks } from './checks-restricted.ts';
import type { LevelVersion } from './policy.ts';

/** The newest standards that are known here; those of later versions are these. */
const newestMinor = 36;

/** Every way in which a pod breaks a level as some version of Kubernetes has it, in the order in which they are listed. */
export function evaluatePod(pod: PodLike, { level, version }: LevelVersion): Finding[] {
  if (level === 'privileged') return [];
  const minor = version === 'latest' ? newestMinor : Math.min(newestMinor, Number(version.slice('v1.'.length)));
  const isThere = ({ since = 0 }: PodCheck): boolean => since <= minor;
  const baseline = baselineChecks.filter(isThere);
  if (level === 'baseline') return baseline.flatMap((one) => one.check(pod, minor) ?? []);
  const restricted = restrictedChecks.filter(isThere);
  const overridden = new Set(restricted.flatMap((one) => one.overrides ?? []));
  const checks = [...baseline.filter((one) => !overridden.has(one.id)), ...restricted];
  return checks.flatMap((one) => one.check(pod, minor) ?? []);
}

/** `privileged (container "a" must not set securityContext.privileged=true), hostPort (…)`. */
export function findingsText(findings: readonly Finding[]): string {
  return findings.map((one) => `${one.reason} (${one.detail})`).join(', ');
}
