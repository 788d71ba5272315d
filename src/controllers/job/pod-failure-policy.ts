import type { Pod, PodFailurePolicy, PodFailurePolicyRule } from '#api';

export type FailureAction = 'Count' | 'Ignore' | 'FailJob' | 'FailIndex';

export interface FailureMatch {
  readonly action: FailureAction;
  readonly message: string;
}

/** What a job's policy says of a failed pod: the first rule that matches; without one the failure counts. */
export function matchFailure(policy: PodFailurePolicy | undefined, pod: Pod): FailureMatch {
  for (const [index, rule] of (policy?.rules ?? []).entries()) {
    const why = rule.onExitCodes === undefined ? matchConditions(rule, pod) : matchExitCodes(rule.onExitCodes, pod);
    if (why !== undefined)
      return { action: rule.action as FailureAction, message: `${why} matching ${rule.action} rule at index ${index}` };
  }
  return { action: 'Count', message: '' };
}

function matchExitCodes(wanted: NonNullable<PodFailurePolicyRule['onExitCodes']>, pod: Pod): string | undefined {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  for (const { name, state } of statuses) {
    const code = state?.terminated?.exitCode;
    if (code === undefined || code === 0) continue;
    if (wanted.containerName !== undefined && wanted.containerName !== name) continue;
    const listed = wanted.values.includes(code);
    if (listed === (wanted.operator === 'In')) {
      return `Container ${name} for pod ${pod.metadata.namespace}/${pod.metadata.name} failed with exit code ${code}`;
    }
  }
  return undefined;
}

function matchConditions({ onPodConditions = [] }: PodFailurePolicyRule, pod: Pod): string | undefined {
  for (const { type, status = 'True' } of onPodConditions) {
    if (pod.status?.conditions?.some((one) => one.type === type && one.status === status)) {
      return `Pod ${pod.metadata.namespace}/${pod.metadata.name} has condition ${type}`;
    }
  }
  return undefined;
}
