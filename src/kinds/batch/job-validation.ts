import type { Job, JobSpec, LabelSelector, PodFailurePolicyRule } from '#api';
import {
  type FieldError,
  labelSelectorOf,
  validateDns1123Label,
  validateLabelSelector,
  validateQualifiedName,
} from '#machinery';
import { validateMatch } from '../apps/workload-validation.ts';
import { validatePodTemplate } from '../core/pod-validation.ts';
import { Findings, sameValue } from '../findings.ts';

const maxIndexedParallelism = 100000;
const completionModes: readonly string[] = ['NonIndexed', 'Indexed'];
const failureActions: readonly string[] = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
const quotedList = (list: readonly string[]): string => `valid values: [${list.map((one) => `"${one}"`).join(' ')}]`;

export function validateJob(job: Job): FieldError[] {
  const found = new Findings();
  const spec = job.spec ?? ({} as JobSpec);
  validateGeneratedLabels(job, found);
  validateJobSpec(spec, 'spec', found);
  if (spec.selector == null) found.required('spec.selector');
  const before = found.list.length;
  found.selector('spec.selector', spec.selector);
  if (found.list.length === before) validateMatch(spec.selector, spec.template, found);
  if (spec.completionMode === 'Indexed' && (spec.completions ?? 0) > 0) {
    const hostname = `${job.metadata.name}-${(spec.completions ?? 0) - 1}`;
    if (validateDns1123Label(hostname).length > 0)
      found.invalid(
        'metadata.name',
        job.metadata.name,
        `will not able to create pod with invalid DNS label: ${hostname}`,
      );
  }
  return found.list;
}

function validateGeneratedLabels({ metadata, spec }: Job, found: Findings): void {
  if (spec?.manualSelector || spec?.selector == null) return;
  if (!metadata.uid) found.required('metadata.uid');
  const labels = spec.template?.metadata?.labels ?? {};
  const expected = [
    ['controller-uid', metadata.uid],
    ['batch.kubernetes.io/controller-uid', metadata.uid],
    ['job-name', metadata.name],
    ['batch.kubernetes.io/job-name', metadata.name],
  ] as const;
  for (const [key, value] of expected) {
    const field = `spec.template.metadata.labels[${key}]`;
    if (!Object.hasOwn(labels, key)) found.required(field, `must be '${value}'`);
    else if (labels[key] !== value) found.invalid(field, labels, `must be '${value}'`);
  }
  if (isBrokenSelector(spec.selector)) return;
  const made = Object.fromEntries(expected.map(([key, value]) => [key, String(value)]));
  if (!labelSelectorOf(spec.selector).matches(made))
    found.invalid('spec.selector', spec.selector, '`selector` not auto-generated');
}

function isBrokenSelector(selector: LabelSelector): boolean {
  const found = new Findings();
  found.selector('spec.selector', selector);
  return found.list.length > 0;
}

/** Spec of a Job, or of a CronJob's template. */
export function validateJobSpec(spec: JobSpec, field: string, found: Findings): void {
  for (const name of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
  ] as const)
    found.nonNegative(`${field}.${name}`, spec[name]);
  if (spec.maxFailedIndexes != null && spec.backoffLimitPerIndex == null)
    found.required(`${field}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified');
  validateIndexing(spec, field, found);
  for (const [index, rule] of (spec.podFailurePolicy?.rules ?? []).entries())
    validateFailureRule(rule, spec, `${field}.podFailurePolicy.rules[${index}]`, found);
  if (spec.podFailurePolicy != null) {
    if (spec.podReplacementPolicy !== 'Failed')
      found.notSupported(`${field}.podReplacementPolicy`, spec.podReplacementPolicy, ['Failed']);
  } else
    found.optionalOneOf(`${field}.podReplacementPolicy`, spec.podReplacementPolicy, ['Failed', 'TerminatingOrFailed']);
  validatePodTemplate(spec.template, `${field}.template`, found);
  const restart = spec.template?.spec?.restartPolicy ?? '';
  const at = `${field}.template.spec.restartPolicy`;
  if (restart === '' || restart === 'Always') found.required(at, 'valid values: "OnFailure", "Never"');
  else if (restart !== 'OnFailure' && restart !== 'Never') found.notSupported(at, restart, ['OnFailure', 'Never']);
  else if (spec.podFailurePolicy != null && restart !== 'Never')
    found.invalid(at, restart, 'only "Never" is supported when podFailurePolicy is specified');
}

function validateIndexing(spec: JobSpec, field: string, found: Findings): void {
  const mode = spec.completionMode ?? 'NonIndexed';
  if (!completionModes.includes(mode)) found.notSupported(`${field}.completionMode`, mode, completionModes);
  if (mode === 'Indexed') {
    if (spec.completions == null) found.required(`${field}.completions`, 'when completion mode is Indexed');
    if ((spec.parallelism ?? 0) > maxIndexedParallelism)
      found.invalid(
        `${field}.parallelism`,
        spec.parallelism,
        `must be less than or equal to ${maxIndexedParallelism} when completion mode is Indexed`,
      );
    if (spec.completions != null && spec.maxFailedIndexes != null && spec.maxFailedIndexes > spec.completions)
      found.invalid(`${field}.maxFailedIndexes`, spec.maxFailedIndexes, 'must be less than or equal to completions');
    if (spec.successPolicy != null && !spec.successPolicy.rules?.length)
      found.required(
        `${field}.successPolicy.rules`,
        'at least one rules must be specified when the successPolicy is specified',
      );
  }
  if (mode === 'NonIndexed') {
    for (const name of ['backoffLimitPerIndex', 'maxFailedIndexes', 'successPolicy'] as const)
      if (spec[name] != null) found.invalid(`${field}.${name}`, spec[name], 'requires indexed completion mode');
  }
}

function validateFailureRule(rule: PodFailurePolicyRule, spec: JobSpec, field: string, found: Findings): void {
  if (!rule.action) found.required(`${field}.action`, quotedList(failureActions));
  else if (rule.action === 'FailIndex') {
    if (spec.backoffLimitPerIndex == null)
      found.invalid(`${field}.action`, rule.action, 'requires the backoffLimitPerIndex to be set');
  } else found.oneOf(`${field}.action`, rule.action, failureActions);
  const codes = rule.onExitCodes;
  if (codes != null) {
    const at = `${field}.onExitCodes`;
    if (!codes.operator) found.required(`${at}.operator`, quotedList(['In', 'NotIn']));
    else found.oneOf(`${at}.operator`, codes.operator, ['In', 'NotIn']);
    const pod = spec.template?.spec;
    const names = [...(pod?.containers ?? []), ...(pod?.initContainers ?? [])].map((one) => one.name);
    if (codes.containerName != null && !names.includes(codes.containerName))
      found.invalid(
        `${at}.containerName`,
        codes.containerName,
        'must be one of the container or initContainer names in the pod template',
      );
    const values = codes.values ?? [];
    if (values.length === 0) found.invalid(`${at}.values`, values, 'at least one value is required');
    else if (values.length > 255) found.tooMany(`${at}.values`, values.length, 255);
    for (const [index, value] of values.entries()) {
      if (codes.operator === 'In' && value === 0)
        found.invalid(`${at}.values[${index}]`, value, 'must not be 0 for the In operator');
      if (values.indexOf(value) !== index) found.duplicate(`${at}.values[${index}]`, value);
    }
    if (values.some((value, index) => index > 0 && (values[index - 1] ?? 0) > value))
      found.invalid(`${at}.values`, values, 'must be ordered');
  }
  const patterns = rule.onPodConditions ?? [];
  for (const [index, pattern] of patterns.entries()) {
    const at = `${field}.onPodConditions[${index}]`;
    found.each(`${at}.type`, pattern.type, validateQualifiedName(pattern.type ?? ''));
    found.oneOf(`${at}.status`, pattern.status, ['False', 'True', 'Unknown']);
  }
  if (codes != null && patterns.length > 0)
    found.invalid(field, rule, 'specifying both OnExitCodes and OnPodConditions is not supported');
  if (codes == null && patterns.length === 0)
    found.invalid(field, rule, 'specifying one of OnExitCodes and OnPodConditions is required');
}

const immutableFields = [
  'selector',
  'completionMode',
  'podFailurePolicy',
  'backoffLimitPerIndex',
  'managedBy',
  'successPolicy',
] as const;

/** A Job keeps its pods' shape; a suspended one that never started may still be moved to other nodes. */
export function validateJobUpdate(job: Job, old: Job): FieldError[] {
  const found = new Findings();
  const spec = job.spec ?? ({} as JobSpec);
  const before = old.spec ?? ({} as JobSpec);
  if (spec.completionMode !== 'Indexed') found.immutable('spec.completions', spec.completions, before.completions);
  else if (spec.completions != null && spec.completions !== before.completions && spec.completions !== spec.parallelism)
    found.invalid('spec.completions', spec.completions, 'can only be modified in tandem with spec.parallelism');
  found.immutable('spec.selector', spec.selector, before.selector);
  const movable = before.suspend === true && !old.status?.startTime;
  const template = movable ? withPlacementOf(spec.template, before.template) : spec.template;
  if (!sameValue(template, before.template)) found.invalid('spec.template', spec.template, 'field is immutable');
  for (const name of immutableFields)
    if (name !== 'selector') found.immutable(`spec.${name}`, spec[name], before[name]);
  return found.list;
}

type Template = JobSpec['template'];

function withPlacementOf(template: Template, old: Template): Template {
  const { nodeSelector, tolerations, schedulingGates, affinity } = old.spec ?? { containers: [] };
  const oldMeta = old.metadata ?? {};
  return {
    ...template,
    metadata: { ...template.metadata, annotations: oldMeta.annotations, labels: oldMeta.labels },
    spec: {
      ...(template.spec ?? { containers: [] }),
      nodeSelector,
      tolerations,
      schedulingGates,
      affinity: { ...template.spec?.affinity, nodeAffinity: affinity?.nodeAffinity },
    },
  };
}

export function validateJobStatusUpdate(job: Job, old: Job): FieldError[] {
  const found = new Findings();
  for (const name of ['active', 'succeeded', 'failed', 'ready', 'terminating'] as const)
    found.nonNegative(`status.${name}`, job.status?.[name]);
  const isTrue = (one: Job, type: string) =>
    (one.status?.conditions ?? []).some((condition) => condition.type === type && condition.status === 'True');
  for (const type of ['Failed', 'Complete', 'FailureTarget'])
    if (isTrue(old, type) && !isTrue(job, type))
      found.invalid('status.conditions', job.status?.conditions, `cannot disable the terminal ${type}=True condition`);
  if (isTrue(job, 'Complete') && isTrue(job, 'Failed'))
    found.invalid('status.conditions', job.status?.conditions, 'cannot set Complete=True and Failed=true conditions');
  return found.list;
}
