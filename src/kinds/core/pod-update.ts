import type { Container, ContainerStatus, Pod, PodSpec, Toleration } from '#api';
import { type FieldError, validateIpAddress, validateQualifiedName } from '#machinery';
import { changesText, Findings, rangeMessage, sameValue } from '../findings.ts';

const maxInt32 = 2147483647;

const mutableFields = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
].join(',');

/** What an update of a pod may change: a few fields, in one direction. */
export function validatePodUpdate(pod: Pod, old: Pod): FieldError[] {
  const found = new Findings();
  validateMirrorAnnotation(pod, old, found);
  const before = old.spec ?? { containers: [] };
  const after = { ...(pod.spec ?? { containers: [] }) };
  for (const list of ['containers', 'initContainers'] as const) {
    if ((after[list] ?? []).length !== (before[list] ?? []).length) {
      found.forbidden(`spec.${list}`, 'pod updates may not add or remove containers');
      return found.list;
    }
    if (after[list] !== undefined) after[list] = withImagesOf(after[list], before[list] ?? []);
  }
  if (!validateDeadline(after, before, found)) return found.list;
  after.activeDeadlineSeconds = before.activeDeadlineSeconds;
  if (after.terminationGracePeriodSeconds === 1 && (before.terminationGracePeriodSeconds ?? 0) < 0)
    after.terminationGracePeriodSeconds = before.terminationGracePeriodSeconds;
  validateAddedTolerations(after.tolerations ?? [], before.tolerations ?? [], found);
  after.tolerations = before.tolerations;
  allowUngating(after, before, found);
  if (!sameValue(after, before))
    found.forbidden(
      'spec',
      `pod updates may not change fields other than ${mutableFields}\n${changesText(after, before)}`,
    );
  return found.list;
}

function withImagesOf(containers: readonly Container[], old: readonly Container[]): Container[] {
  return containers.map((one, index) => ({ ...one, image: old[index]?.image }));
}

function validateMirrorAnnotation(pod: Pod, old: Pod, found: Findings): void {
  const key = 'kubernetes.io/config.mirror';
  const before = old.metadata.annotations?.[key];
  const after = pod.metadata.annotations?.[key];
  if (before === after) return;
  found.forbidden(
    `metadata.annotations[${key}]`,
    before === undefined ? 'may not add mirror pod annotation' : 'may not remove or update mirror pod annotation',
  );
}

/** May be set, or lowered; false where nothing more can be said. */
function validateDeadline(after: PodSpec, before: PodSpec, found: Findings): boolean {
  const field = 'spec.activeDeadlineSeconds';
  const value = after.activeDeadlineSeconds;
  if (value == null) {
    if (before.activeDeadlineSeconds != null)
      found.invalid(field, value, 'must not update from a positive integer to nil value');
    return true;
  }
  if (value < 0 || value > maxInt32) found.invalid(field, value, rangeMessage(0, maxInt32));
  else if (before.activeDeadlineSeconds != null && before.activeDeadlineSeconds < value)
    found.invalid(field, value, 'must be less than or equal to previous value');
  else return true;
  return false;
}

function validateAddedTolerations(after: readonly Toleration[], before: readonly Toleration[], found: Findings): void {
  const kept = (old: Toleration): boolean =>
    after.some((one) => sameValue({ ...one, tolerationSeconds: undefined }, { ...old, tolerationSeconds: undefined }));
  if (!before.every(kept))
    found.forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds');
}

/** Scheduling gates may only go; while there are some, the node selector may grow and affinity may be tightened. */
function allowUngating(after: PodSpec, before: PodSpec, found: Findings): void {
  const gates = new Set((before.schedulingGates ?? []).map((one) => one.name));
  for (const { name } of after.schedulingGates ?? [])
    if (!gates.has(name))
      found.forbidden('spec.schedulingGates', `only deletion is allowed, but found new scheduling gate '${name}'`);
  after.schedulingGates = before.schedulingGates;
  if (gates.size === 0) return;
  const kept = Object.entries(before.nodeSelector ?? {}).every(([key, value]) => after.nodeSelector?.[key] === value);
  if (kept) after.nodeSelector = before.nodeSelector;
  else found.invalid('spec.nodeSelector', after.nodeSelector, 'only additions to spec.nodeSelector are allowed');
  if (before.affinity?.nodeAffinity == null || after.affinity?.nodeAffinity != null) {
    const affinity = { ...after.affinity, nodeAffinity: before.affinity?.nodeAffinity };
    after.affinity = affinity;
  }
}

/** `/status`: conditions, addresses, and no container comes back from the dead where the restart policy says never. */
export function validatePodStatusUpdate(pod: Pod, old: Pod): FieldError[] {
  const found = new Findings();
  const status = pod.status ?? {};
  if ((pod.spec?.nodeName ?? '') !== (old.spec?.nodeName ?? ''))
    found.forbidden('status.nodeName', 'may not be changed directly');
  if (status.nominatedNodeName) found.subdomain('status.nominatedNodeName', status.nominatedNodeName);
  const policy = old.spec?.restartPolicy;
  validateTransitions(
    status.containerStatuses,
    old.status?.containerStatuses,
    'status.containerStatuses',
    policy,
    found,
  );
  const initPolicy = policy === 'Always' ? 'OnFailure' : policy;
  const sidecars = new Set(
    (old.spec?.initContainers ?? []).filter((one) => one.restartPolicy != null).map((one) => one.name),
  );
  validateTransitions(
    status.initContainerStatuses?.filter((one) => !sidecars.has(one.name)),
    old.status?.initContainerStatuses?.filter((one) => !sidecars.has(one.name)),
    'status.initContainerStatuses',
    initPolicy,
    found,
  );
  for (const [index, { ip }] of (status.podIPs ?? []).entries())
    found.each(`status.podIPs[${index}]`, ip ?? '', validateIpAddress(ip ?? ''));
  for (const [index, condition] of (status.conditions ?? []).entries())
    if (!systemConditions.has(condition.type))
      found.each(`status.conditions[${index}].Type`, condition.type, validateQualifiedName(condition.type ?? ''));
  return found.list;
}

const systemConditions: ReadonlySet<string> = new Set(['PodScheduled', 'Ready', 'Initialized', 'ContainersReady']);

function validateTransitions(
  after: readonly ContainerStatus[] | undefined,
  before: readonly ContainerStatus[] | undefined,
  field: string,
  policy: string | undefined,
  found: Findings,
): void {
  if (policy === 'Always') return;
  for (const [index, old] of (before ?? []).entries()) {
    const ended = old.state?.terminated;
    if (ended == null || (ended.exitCode !== 0 && policy === 'OnFailure')) continue;
    const now = after?.find((one) => one.name === old.name);
    if (now !== undefined && now.state?.terminated == null)
      found.forbidden(`${field}[${index}].state`, 'may not be transitioned to non-terminated state');
  }
}

/** `/ephemeralcontainers`: containers may be added, never changed or taken away, and nothing else changes. */
export function validateEphemeralContainersUpdate(pod: Pod, old: Pod): FieldError[] {
  const found = new Findings();
  const now = new Map((pod.spec?.ephemeralContainers ?? []).map((one) => [one.name, one]));
  for (const before of old.spec?.ephemeralContainers ?? []) {
    const after = now.get(before.name);
    if (after === undefined)
      found.forbidden(
        'spec.ephemeralContainers',
        `existing ephemeral containers "${before.name}" may not be removed\n`,
      );
    else if (!sameValue(after, before))
      found.forbidden(
        'spec.ephemeralContainers',
        `existing ephemeral containers "${before.name}" may not be changed\n${changesText(after, before)}`,
      );
  }
  return found.list;
}

/** `/resize`: only CPU and memory of containers change, and neither the QoS class nor which resources are named. */
export function validatePodResize(pod: Pod, old: Pod, qosClass: (pod: Pod) => string): FieldError[] {
  const found = new Findings();
  if (qosClass(pod) !== (old.status?.qosClass ?? qosClass(old)))
    found.invalid('spec', qosClass(pod), 'Pod QOS Class may not change as a result of resizing');
  const withoutResources = (list: readonly Container[] | undefined) =>
    (list ?? []).map((one) => ({ ...one, resources: undefined, resizePolicy: undefined }));
  for (const list of ['containers', 'initContainers'] as const)
    if (!sameValue(withoutResources(pod.spec?.[list]), withoutResources(old.spec?.[list])))
      found.forbidden('spec', 'only cpu and memory resources are mutable');
  for (const [index, container] of (pod.spec?.containers ?? []).entries())
    for (const side of ['requests', 'limits'] as const) {
      const before = old.spec?.containers[index]?.resources?.[side] ?? {};
      const after = container.resources?.[side] ?? {};
      for (const name of new Set([...Object.keys(before), ...Object.keys(after)]))
        if (name !== 'cpu' && name !== 'memory' && before[name] !== after[name])
          found.forbidden(`spec.containers[${index}].resources.${side}`, 'only cpu and memory resources are mutable');
    }
  return found.list;
}
