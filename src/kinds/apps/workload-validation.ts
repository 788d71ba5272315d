import type {
  DaemonSet,
  Deployment,
  LabelSelector,
  PodTemplateSpec,
  ReplicaSet,
  RollingUpdateDeployment,
  StatefulSet,
} from '#api';
import { type FieldError, labelSelectorOf } from '#machinery';
import { validateClaimSpec } from '../core/claim-validation.ts';
import { validatePodTemplate } from '../core/pod-validation.ts';
import { Findings, sameValue } from '../findings.ts';

const percentPattern = /^[0-9]+%$/;
const percentMessage =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/** A count or a percentage, not negative. */
export function validateIntOrPercent(value: number | string | undefined, field: string, found: Findings): void {
  if (typeof value === 'string') {
    if (!percentPattern.test(value)) found.invalid(field, value, percentMessage);
  } else found.nonNegative(field, value);
}

export function validateAtMostWhole(value: number | string | undefined, field: string, found: Findings): void {
  if (typeof value === 'string' && percentPattern.test(value) && Number.parseInt(value, 10) > 100)
    found.invalid(field, value, 'must not be greater than 100%');
}

const amountOf = (value: number | string | undefined): number =>
  typeof value === 'string' ? Number.parseInt(value, 10) || 0 : (value ?? 0);

interface WorkloadWords {
  /** In messages about the template. */
  readonly kind: string;
  readonly emptySelector: string;
  /** Said beside what is wrong with a selector; the template is not looked at then. Absent: it is. */
  readonly brokenSelector?: string;
}

const replicaWords: WorkloadWords = {
  kind: 'ReplicaSet',
  emptySelector: 'empty selector is invalid for deployment',
  brokenSelector: 'invalid label selector',
};
const statefulSetWords: WorkloadWords = {
  kind: 'StatefulSet',
  emptySelector: 'empty selector is invalid for statefulset',
  brokenSelector: '',
};
const daemonSetWords: WorkloadWords = { kind: 'DaemonSet', emptySelector: 'empty selector is invalid for daemonset' };

/** Selector and template of a workload whose pods always restart. */
function validateSelectorAndTemplate(
  spec: { selector?: LabelSelector; template?: PodTemplateSpec } | undefined,
  words: WorkloadWords,
  found: Findings,
): void {
  const { brokenSelector } = words;
  const selector = spec?.selector;
  const before = found.list.length;
  found.selector('spec.selector', selector);
  const isBroken = found.list.length > before;
  const isEmpty = selector != null && !hasRequirements(selector);
  if (selector == null && brokenSelector !== undefined) found.required('spec.selector');
  if (isEmpty) found.invalid('spec.selector', selector, words.emptySelector);
  if (isBroken && brokenSelector !== undefined) found.invalid('spec.selector', selector, brokenSelector);
  else {
    if (!isBroken && !isEmpty) validateMatch(selector, spec?.template, found);
    validatePodTemplate(spec?.template, 'spec.template', found);
  }
  validateTemplateRules(spec, words.kind, found);
}

const hasRequirements = ({ matchLabels, matchExpressions }: LabelSelector): boolean =>
  Object.keys(matchLabels ?? {}).length + (matchExpressions ?? []).length > 0;

/** A strategy as upstream shows one whose type it does not know. */
function strategyText(strategy: { type?: string; rollingUpdate?: RollingUpdateDeployment }): object {
  const { type = '', rollingUpdate: update } = strategy;
  const { maxUnavailable = 0, maxSurge = 0 } = update ?? {};
  return { Type: type, RollingUpdate: update == null ? null : { MaxUnavailable: maxUnavailable, MaxSurge: maxSurge } };
}

function validateTemplateRules(spec: { template?: PodTemplateSpec } | undefined, kind: string, found: Findings): void {
  const pod = spec?.template?.spec;
  if (pod?.restartPolicy !== 'Always')
    found.notSupported('spec.template.spec.restartPolicy', pod?.restartPolicy ?? '', ['Always']);
  if (pod?.activeDeadlineSeconds != null)
    found.forbidden('spec.template.spec.activeDeadlineSeconds', `activeDeadlineSeconds in ${kind} is not Supported`);
}

/** The selector must choose the pods that the template makes. */
export function validateMatch(
  selector: LabelSelector | undefined,
  template: PodTemplateSpec | undefined,
  found: Findings,
): void {
  const labels = template?.metadata?.labels;
  if (!labelSelectorOf(selector).matches(labels))
    found.invalid('spec.template.metadata.labels', labels ?? {}, '`selector` does not match template `labels`');
}

export function validateDeployment({ spec }: Deployment): FieldError[] {
  const found = new Findings();
  found.nonNegative('spec.replicas', spec?.replicas);
  validateSelectorAndTemplate(spec, replicaWords, found);
  const strategy = spec?.strategy ?? {};
  if (strategy.type === 'Recreate') {
    if (strategy.rollingUpdate != null)
      found.forbidden('spec.strategy.rollingUpdate', "may not be specified when strategy `type` is 'Recreate'");
  } else if (strategy.type === 'RollingUpdate')
    validateRollingUpdate(strategy.rollingUpdate, 'spec.strategy.rollingUpdate', found);
  else found.notSupported('spec.strategy', strategyText(strategy), ['Recreate', 'RollingUpdate']);
  found.nonNegative('spec.minReadySeconds', spec?.minReadySeconds);
  found.nonNegative('spec.revisionHistoryLimit', spec?.revisionHistoryLimit);
  const deadline = spec?.progressDeadlineSeconds;
  found.nonNegative('spec.progressDeadlineSeconds', deadline);
  if (deadline != null && deadline <= (spec?.minReadySeconds ?? 0))
    found.invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds');
  return found.list;
}

function validateRollingUpdate(update: RollingUpdateDeployment | undefined, field: string, found: Findings): void {
  if (update == null) return found.required(field, 'this should be defaulted and never be nil');
  validateIntOrPercent(update.maxUnavailable, `${field}.maxUnavailable`, found);
  validateIntOrPercent(update.maxSurge, `${field}.maxSurge`, found);
  if (amountOf(update.maxUnavailable) === 0 && amountOf(update.maxSurge) === 0)
    found.invalid(`${field}.maxUnavailable`, update.maxUnavailable, 'may not be 0 when `maxSurge` is 0');
  validateAtMostWhole(update.maxUnavailable, `${field}.maxUnavailable`, found);
}

/** Deployment, ReplicaSet and DaemonSet may not change their selector. */
export function validateSelectorUpdate(object: SelectorHolder, old: SelectorHolder): FieldError[] {
  const found = new Findings();
  found.immutable('spec.selector', object.spec?.selector, old.spec?.selector);
  return found.list;
}

interface SelectorHolder {
  spec?: { selector?: LabelSelector };
}

export function validateReplicaSet({ spec }: ReplicaSet): FieldError[] {
  const found = new Findings();
  found.nonNegative('spec.replicas', spec?.replicas);
  found.nonNegative('spec.minReadySeconds', spec?.minReadySeconds);
  validateSelectorAndTemplate(spec, replicaWords, found);
  return found.list;
}

export function validateDaemonSet({ spec }: DaemonSet): FieldError[] {
  const found = new Findings();
  validateSelectorAndTemplate(spec, daemonSetWords, found);
  found.nonNegative('spec.minReadySeconds', spec?.minReadySeconds);
  const strategy = spec?.updateStrategy ?? {};
  const field = 'spec.updateStrategy.rollingUpdate';
  if (strategy.type === 'RollingUpdate') {
    const update = strategy.rollingUpdate;
    if (update == null) found.required(field);
    else {
      validateIntOrPercent(update.maxUnavailable, `${field}.maxUnavailable`, found);
      validateIntOrPercent(update.maxSurge, `${field}.maxSurge`, found);
      const unavailable = amountOf(update.maxUnavailable) !== 0;
      const surge = amountOf(update.maxSurge) !== 0;
      if (unavailable && surge)
        found.invalid(`${field}.maxSurge`, update.maxSurge, 'may not be set when maxUnavailable is non-zero');
      if (!unavailable && !surge) found.required(`${field}.maxUnavailable`, 'cannot be 0 when maxSurge is 0');
      validateAtMostWhole(update.maxUnavailable, `${field}.maxUnavailable`, found);
      validateAtMostWhole(update.maxSurge, `${field}.maxSurge`, found);
    }
  } else if (strategy.type !== 'OnDelete')
    found.notSupported('spec.updateStrategy', strategyText(strategy), ['RollingUpdate', 'OnDelete']);
  found.nonNegative('spec.revisionHistoryLimit', spec?.revisionHistoryLimit);
  return found.list;
}

const managementPolicies: readonly string[] = ['OrderedReady', 'Parallel'];
const retentionPolicies: readonly string[] = ['Delete', 'Retain'];

export function validateStatefulSet({ spec }: StatefulSet, old?: StatefulSet): FieldError[] {
  const found = new Findings();
  const policy = spec?.podManagementPolicy;
  if (!policy) found.required('spec.podManagementPolicy');
  else if (!managementPolicies.includes(policy))
    found.invalid('spec.podManagementPolicy', policy, "must be 'OrderedReady' or 'Parallel'");
  const strategy = spec?.updateStrategy ?? {};
  const field = 'spec.updateStrategy.rollingUpdate';
  if (!strategy.type) found.required('spec.updateStrategy');
  else if (strategy.type === 'OnDelete') {
    if (strategy.rollingUpdate != null)
      found.invalid(field, strategy.rollingUpdate, "only allowed for updateStrategy 'RollingUpdate'");
  } else if (strategy.type === 'RollingUpdate') {
    found.nonNegative(`${field}.partition`, strategy.rollingUpdate?.partition);
    const unavailable = strategy.rollingUpdate?.maxUnavailable;
    if (unavailable != null) {
      validateIntOrPercent(unavailable, `${field}.maxUnavailable`, found);
      if (amountOf(unavailable) === 0) found.invalid(`${field}.maxUnavailable`, unavailable, 'cannot be 0');
      validateAtMostWhole(unavailable, `${field}.maxUnavailable`, found);
    }
  } else found.invalid('spec.updateStrategy', strategy, "must be 'RollingUpdate' or 'OnDelete'");
  const retention = spec?.persistentVolumeClaimRetentionPolicy;
  for (const name of ['whenDeleted', 'whenScaled'] as const)
    if (retention?.[name] !== undefined && !retentionPolicies.includes(retention[name]))
      found.notSupported(`spec.persistentVolumeClaimRetentionPolicy.${name}`, retention[name], retentionPolicies);
  found.nonNegative('spec.replicas', spec?.replicas);
  found.nonNegative('spec.minReadySeconds', spec?.minReadySeconds);
  found.nonNegative('spec.ordinals.start', spec?.ordinals?.start);
  if (spec?.serviceName && spec.serviceName !== old?.spec?.serviceName)
    found.label('spec.serviceName', spec.serviceName);
  validateSelectorAndTemplate(withClaimVolumes(spec), statefulSetWords, found);
  for (const [index, claim] of (spec?.volumeClaimTemplates ?? []).entries())
    validateClaimSpec(claim.spec, `spec.volumeClaimTemplates[${index}].spec`, found);
  return found.list;
}

/** Claim templates become volumes of the pods, so mounts may name them. */
function withClaimVolumes(spec: StatefulSet['spec'] | undefined): typeof spec {
  if (spec?.template?.spec == null || !spec.volumeClaimTemplates?.length) return spec;
  const names = new Set((spec.template.spec.volumes ?? []).map((one) => one.name));
  const volumes = spec.volumeClaimTemplates
    .filter((one) => one.metadata?.name && !names.has(one.metadata.name))
    .map((one) => ({ name: one.metadata.name, persistentVolumeClaim: { claimName: one.metadata.name } }));
  const pod = { ...spec.template.spec, volumes: [...(spec.template.spec.volumes ?? []), ...volumes] };
  return { ...spec, template: { ...spec.template, spec: pod } };
}

const mutableFields = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const;

/** A StatefulSet keeps its selector, service and claims. */
export function validateStatefulSetUpdate(object: StatefulSet, old: StatefulSet): FieldError[] {
  const found = new Findings();
  const strip = (spec: StatefulSet['spec']) => {
    const rest: Record<string, unknown> = { ...spec };
    for (const field of mutableFields) delete rest[field];
    return rest;
  };
  if (!sameValue(strip(object.spec), strip(old.spec)))
    found.forbidden(
      'spec',
      "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    );
  return found.list;
}

interface ReplicaStatus {
  observedGeneration?: number;
  replicas?: number;
  collisionCount?: number;
}

/** Counts are not negative and do not exceed all replicas. `counts` are the fields to look at. */
export function validateReplicaStatus(
  status: ReplicaStatus | undefined,
  old: ReplicaStatus | undefined,
  counts: readonly string[],
): FieldError[] {
  const found = new Findings();
  const all = (status ?? {}) as Record<string, number | undefined>;
  for (const name of ['observedGeneration', 'replicas', ...counts, 'collisionCount'])
    found.nonNegative(`status.${name}`, all[name]);
  for (const name of counts)
    if ((all[name] ?? 0) > (all['replicas'] ?? 0))
      found.invalid(`status.${name}`, all[name], 'cannot be greater than status.replicas');
  if (counts.includes('availableReplicas') && (all['availableReplicas'] ?? 0) > (all['readyReplicas'] ?? 0))
    found.invalid('status.availableReplicas', all['availableReplicas'], 'cannot be greater than readyReplicas');
  if ((status?.collisionCount ?? 0) < (old?.collisionCount ?? 0))
    found.invalid('status.collisionCount', status?.collisionCount ?? 0, 'cannot be decremented');
  return found.list;
}
