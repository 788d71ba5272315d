import type { DaemonSet, Node, NodeSelectorTerm, PodSpec, Toleration } from '#api';
import { meetsNodeRequirement } from '#machinery';
import { tolerates } from '../taint-eviction/plan.ts';

/** What every daemon pod tolerates, beside what its template says. */
const daemonTolerations: readonly Toleration[] = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
];
const hostNetworkToleration: Toleration = {
  key: 'node.kubernetes.io/network-unavailable',
  operator: 'Exists',
  effect: 'NoSchedule',
};

export function withDaemonTolerations(spec: PodSpec): PodSpec {
  const given = spec.tolerations ?? [];
  const wanted = spec.hostNetwork ? [...daemonTolerations, hostNetworkToleration] : daemonTolerations;
  const same = (a: Toleration, b: Toleration): boolean =>
    a.key === b.key && a.operator === b.operator && a.effect === b.effect;
  return {
    ...spec,
    tolerations: [
      ...given,
      ...wanted.filter((one) => !given.some((other) => same(one, other) && other.tolerationSeconds === undefined)),
    ],
  };
}

/** The pod's spec, bound to one node by affinity: the scheduler still decides when it fits. */
export function pinnedTo(spec: PodSpec, nodeName: string): PodSpec {
  const term: NodeSelectorTerm = { matchFields: [{ key: 'metadata.name', operator: 'In', values: [nodeName] }] };
  const nodeAffinity = spec.affinity?.nodeAffinity;
  const required = nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return {
    ...spec,
    affinity: {
      ...spec.affinity,
      nodeAffinity: {
        ...nodeAffinity,
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms:
            required.length === 0 ? [term] : required.map((one) => ({ ...one, matchFields: term.matchFields })),
        },
      },
    },
  };
}

/** Which node a daemon pod is for: where it runs, or where its affinity pins it. */
export function nodeOfDaemonPod(spec: PodSpec): string | undefined {
  if (spec.nodeName) return spec.nodeName;
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  for (const { matchFields = [] } of terms) {
    const name = matchFields.find((one) => one.key === 'metadata.name' && one.operator === 'In')?.values?.[0];
    if (name !== undefined) return name;
  }
  return undefined;
}

/** `shouldRun`: a pod belongs here. `shouldContinue`: one that is here may stay (a new NoSchedule taint does not drive it away). */
export function placementOn(set: DaemonSet, node: Node): { shouldRun: boolean; shouldContinue: boolean } {
  const spec = withDaemonTolerations(set.spec.template.spec ?? { containers: [] });
  if (spec.nodeName && spec.nodeName !== node.metadata.name) return { shouldRun: false, shouldContinue: false };
  if (!matchesSelector(spec, node)) return { shouldRun: false, shouldContinue: false };
  const untolerated = (node.spec.taints ?? []).filter(
    (taint) => !(spec.tolerations ?? []).some((one) => tolerates(one, taint)),
  );
  if (untolerated.some((one) => one.effect === 'NoExecute')) return { shouldRun: false, shouldContinue: false };
  return { shouldRun: !untolerated.some((one) => one.effect === 'NoSchedule'), shouldContinue: true };
}

function matchesSelector(spec: PodSpec, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  for (const [key, value] of Object.entries(spec.nodeSelector ?? {})) if (labels[key] !== value) return false;
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return terms === undefined || terms.some((term) => matchesTerm(term, node));
}

function matchesTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, node: Node): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false;
  const labels = node.metadata.labels ?? {};
  const label = (key: string): string | undefined => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  return (
    matchExpressions.every((one) => meetsNodeRequirement(one, label(one.key))) &&
    matchFields.every((one) => one.key === 'metadata.name' && meetsNodeRequirement(one, node.metadata.name))
  );
}
