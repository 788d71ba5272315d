/**
 * Rules of the default policy, one text each: `verbs | groups | resources`, optionally `| resource names`, or `verbs | url | paths`.
 * Verbs R (get list watch), W (create delete deletecollection patch update) and RW stand for their sets; `core` is the group ''.
 */
export type RuleText = string;

export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

const read = ['get', 'list', 'watch'];
const write = ['create', 'delete', 'deletecollection', 'patch', 'update'];
const verbSets: Readonly<Record<string, readonly string[]>> = { R: read, W: write, RW: [...read, ...write] };

const list = (text: string): string[] => text.trim().split(/[\s,]+/);

/** Lists come out sorted, as upstream stores them. */
export function parseRule(text: RuleText): PolicyRule {
  const [verbs = '', groups = '', things = '', names] = text.split('|').map((part) => part.trim());
  const sortedVerbs = list(verbs)
    .flatMap((verb) => (Object.hasOwn(verbSets, verb) ? (verbSets[verb] ?? []) : [verb]))
    .sort();
  if (groups === 'url') return { nonResourceURLs: list(things).sort(), verbs: sortedVerbs };
  const apiGroups = list(groups)
    .map((group) => (group === 'core' ? '' : group))
    .sort();
  const resources = list(things).sort();
  return names === undefined
    ? { apiGroups, resources, verbs: sortedVerbs }
    : { apiGroups, resourceNames: list(names).sort(), resources, verbs: sortedVerbs };
}

/** Writing events, which nearly every component does. */
export const eventRule: RuleText = 'create patch update | core events.k8s.io | events';
