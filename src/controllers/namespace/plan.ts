import type { NamespaceCondition, NamespaceStatus } from '#api';
import { deepEqual } from '#machinery';

/** What deleting a namespace's content has come to. */
export interface Sweep {
  /** `group/version` that could not be discovered. */
  readonly undiscovered: readonly string[];
  /** What could not be deleted, one message a resource. */
  readonly failures: readonly string[];
  /** Objects still there, by `plural.group`. */
  readonly remaining: ReadonlyMap<string, number>;
  /** Finalizers still on them: how many objects carry each. */
  readonly finalizers: ReadonlyMap<string, number>;
}

interface Judgement {
  readonly type: string;
  readonly bad: boolean;
  readonly reason: string;
  readonly message: string;
}

function judge(sweep: Sweep): Judgement[] {
  const { undiscovered, failures, remaining, finalizers } = sweep;
  const resources = [...remaining].toSorted(byName).map(([name, count]) => `${name} has ${count} resource instances`);
  const holders = [...finalizers].toSorted(byName).map(([name, count]) => `${name} in ${count} resource instances`);
  const found = (type: string, bad: boolean, badly: [string, string], well: [string, string]): Judgement => {
    const [reason, message] = bad ? badly : well;
    return { type, bad, reason, message };
  };
  return [
    found(
      'NamespaceDeletionDiscoveryFailure',
      undiscovered.length > 0,
      [
        'DiscoveryFailed',
        `Discovery failed for some groups, ${undiscovered.length} failing: ${undiscovered.join(', ')}`,
      ],
      ['ResourcesDiscovered', 'All resources successfully discovered'],
    ),
    found(
      'NamespaceDeletionGroupVersionParsingFailure',
      false,
      ['GroupVersionParsingFailed', ''],
      ['ParsedGroupVersions', 'All legacy kube types successfully parsed'],
    ),
    found(
      'NamespaceDeletionContentFailure',
      failures.length > 0,
      [
        'ContentDeletionFailed',
        `Failed to delete all resource types, ${failures.length} remaining: ${failures.join(', ')}`,
      ],
      ['ContentDeleted', 'All content successfully deleted, may be waiting on finalization'],
    ),
    found(
      'NamespaceContentRemaining',
      resources.length > 0,
      ['SomeResourcesRemain', `Some resources are remaining: ${resources.join(', ')}`],
      ['ContentRemoved', 'All content successfully removed'],
    ),
    found(
      'NamespaceFinalizersRemaining',
      holders.length > 0,
      ['SomeFinalizersRemain', `Some content in the namespace has finalizers remaining: ${holders.join(', ')}`],
      ['ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
    ),
  ];
}

const byName = ([a]: readonly [string, number], [b]: readonly [string, number]): number => (a < b ? -1 : 1);

/** Nothing is left and nothing failed: the namespace itself may go. */
export function isSwept({ undiscovered, failures, remaining }: Sweep): boolean {
  return undiscovered.length === 0 && failures.length === 0 && remaining.size === 0;
}

/** A terminating namespace's status after a sweep; undefined when it says so already. */
export function planNamespaceStatus(
  old: NamespaceStatus | undefined,
  sweep: Sweep,
  now: string,
): NamespaceStatus | undefined {
  const conditions: NamespaceCondition[] = [...(old?.conditions ?? [])];
  for (const { type, bad, reason, message } of judge(sweep)) {
    const status = bad ? 'True' : 'False';
    const at = conditions.findIndex((one) => one.type === type);
    const present = conditions[at];
    if (present === undefined) conditions.push({ type, status, lastTransitionTime: now, reason, message });
    else if (present.status !== status || present.reason !== reason || present.message !== message) {
      const lastTransitionTime = present.status === status ? (present.lastTransitionTime ?? now) : now;
      conditions[at] = { type, status, lastTransitionTime, reason, message };
    }
  }
  const status: NamespaceStatus = { ...old, phase: 'Terminating', conditions };
  return deepEqual(status, old) ? undefined : status;
}
