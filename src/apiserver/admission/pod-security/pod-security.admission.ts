import type { AnyObject, Pod, PodSpec, PodTemplateSpec } from '#api';
import { deepEqual, errInvalid, type FieldError, invalidError } from '#machinery';
import type { AdmissionAttributes, AdmissionPlugin } from '../../contract.ts';
import type { AdmissionOptions } from '../options.ts';
import { refuse } from '../refuse.ts';
import type { PodLike } from './check.ts';
import { evaluatePod, findingsText } from './evaluate.ts';
import {
  isLevel,
  isVersion,
  labelPrefix,
  levelText,
  modes,
  type NamespacePolicy,
  namespacePolicy,
  type PodSecurityDefaults,
} from './policy.ts';

type TemplateReader = (object: AnyObject) => PodTemplateSpec | undefined;

const specTemplate: TemplateReader = (object) => (object.spec as { template?: PodTemplateSpec } | undefined)?.template;

/** Where kinds that make pods keep their template. */
const templates: Readonly<Record<string, TemplateReader>> = {
  podtemplates: (object) => object.template as PodTemplateSpec | undefined,
  replicationcontrollers: specTemplate,
  replicasets: specTemplate,
  deployments: specTemplate,
  daemonsets: specTemplate,
  statefulsets: specTemplate,
  jobs: specTemplate,
  cronjobs: (object) =>
    (object.spec as { jobTemplate?: { spec?: { template?: PodTemplateSpec } } } | undefined)?.jobTemplate?.spec
      ?.template,
};

const templateGroups: ReadonlySet<string> = new Set(['', 'apps', 'batch']);
const defaults: PodSecurityDefaults = { enforce: 'privileged', warn: 'baseline', audit: 'baseline' };
const annotationPrefix = 'pod-security.kubernetes.io/';
const listedPods = 3000;

/** The Pod Security Standards: refuses pods below the namespace's enforced level, warns and audits those below the other two. */
export function podSecurity(options: AdmissionOptions): AdmissionPlugin {
  const namespaces = options.objects.view('v1', 'namespaces');
  const fallback = options.podSecurity ?? defaults;

  const policyOf = async (namespace: string): Promise<NamespacePolicy> => {
    if (!namespaces.isReady) await namespaces.ready;
    return namespacePolicy(namespaces.get(undefined, namespace)?.metadata.labels, fallback);
  };

  const checkPod = async (attributes: AdmissionAttributes): Promise<void> => {
    const pod = attributes.object as unknown as Pod;
    if (pod.spec === undefined || (attributes.operation === 'UPDATE' && !isSignificant(attributes))) return;
    judge(attributes, pod as PodLike, await policyOf(attributes.namespace), true);
  };

  const checkTemplate = async (attributes: AdmissionAttributes): Promise<void> => {
    const read = templates[attributes.resource];
    const template = attributes.object === undefined ? undefined : read?.(attributes.object);
    if (template?.spec === undefined) return;
    const before = attributes.oldObject === undefined ? undefined : read?.(attributes.oldObject);
    if (before !== undefined && deepEqual(before, template)) return;
    judge(attributes, template as PodLike, await policyOf(attributes.namespace), false);
  };

  const checkNamespace = async (attributes: AdmissionAttributes): Promise<void> => {
    const { object, oldObject } = attributes;
    if (object === undefined) return;
    const errors = labelErrors(object, oldObject);
    if (errors.length > 0) throw errInvalid({ group: '', kind: 'Namespace' }, object.metadata.name, errors);
    const wanted = namespacePolicy(object.metadata.labels, fallback).enforce;
    const before = namespacePolicy(oldObject?.metadata.labels, fallback).enforce;
    if (
      oldObject === undefined ||
      wanted.level === 'privileged' ||
      (wanted.level === before.level && wanted.version === before.version)
    )
      return;
    const pods = options.objects.view('v1', 'pods');
    if (!pods.isReady) await pods.ready;
    const lines = existingViolations(
      pods.list(object.metadata.name).slice(0, listedPods) as unknown as readonly Pod[],
      wanted,
    );
    if (lines.length === 0) return;
    attributes.warn(
      `existing pods in namespace ${JSON.stringify(object.metadata.name)} violate the new PodSecurity enforce level ${JSON.stringify(levelText(wanted))}`,
    );
    for (const line of lines) attributes.warn(line);
  };

  return {
    name: 'PodSecurity',
    handles(operation, definition, subresource) {
      if (definition === undefined || (operation !== 'CREATE' && operation !== 'UPDATE')) return false;
      const { group, plural } = definition.resource;
      if (plural === 'pods' && group === '') return subresource === '' || subresource === 'ephemeralcontainers';
      if (subresource !== '') return false;
      return (
        (plural === 'namespaces' && group === '') || (templateGroups.has(group) && Object.hasOwn(templates, plural))
      );
    },
    validate(attributes) {
      if (attributes.resource === 'pods') return checkPod(attributes);
      return attributes.resource === 'namespaces' ? checkNamespace(attributes) : checkTemplate(attributes);
    },
  };
}

function judge(attributes: AdmissionAttributes, pod: PodLike, policy: NamespacePolicy, enforce: boolean): void {
  if (enforce) {
    attributes.annotate(`${annotationPrefix}enforce-policy`, levelText(policy.enforce));
  }
  const findings = enforce ? evaluatePod(pod, policy.enforce) : [];
  const audited = evaluatePod(pod, policy.audit);
  if (audited.length > 0)
    attributes.annotate(
      `${annotationPrefix}audit-violations`,
      `would violate PodSecurity ${JSON.stringify(levelText(policy.audit))}: ${findingsText(audited)}`,
    );
  if (findings.length > 0)
    throw refuse(
      attributes,
      `violates PodSecurity ${JSON.stringify(levelText(policy.enforce))}: ${findingsText(findings)}`,
    );
  const warned = levelText(policy.warn) === levelText(policy.audit) ? audited : evaluatePod(pod, policy.warn);
  if (warned.length > 0)
    attributes.warn(`would violate PodSecurity ${JSON.stringify(levelText(policy.warn))}: ${findingsText(warned)}`);
}

/** Whether an update touches anything that a check looks at; the few fields that pods may change freely are none of it. */
function isSignificant({ object, oldObject }: AdmissionAttributes): boolean {
  const now = object as unknown as Pod;
  const before = oldObject as unknown as Pod | undefined;
  if (before?.spec === undefined || now.spec === undefined) return true;
  const relevant = ({
    tolerations,
    activeDeadlineSeconds,
    terminationGracePeriodSeconds,
    schedulingGates,
    ...rest
  }: PodSpec): object => rest;
  return (
    !deepEqual(relevant(now.spec), relevant(before.spec)) ||
    !deepEqual(now.metadata.annotations ?? {}, before.metadata.annotations ?? {})
  );
}

function labelErrors(object: AnyObject, oldObject: AnyObject | undefined): FieldError[] {
  const errors: FieldError[] = [];
  for (const mode of modes) {
    for (const [key, isGood, words] of [
      [`${labelPrefix}${mode}`, isLevel, 'must be one of privileged, baseline, restricted'],
      [`${labelPrefix}${mode}-version`, isVersion, 'must be "latest" or "v1.x"'],
    ] as const) {
      const value = object.metadata.labels?.[key];
      if (value !== undefined && value !== oldObject?.metadata.labels?.[key] && !isGood(value))
        errors.push(invalidError(`metadata.labels[${key}]`, value, words));
    }
  }
  return errors;
}

/** One line for each way of breaking the level: `web (and 2 other pods): privileged, hostPort`. */
function existingViolations(pods: readonly Pod[], level: NamespacePolicy['enforce']): string[] {
  const byReasons = new Map<string, string[]>();
  for (const pod of pods) {
    if (pod.spec === undefined) continue;
    const reasons = evaluatePod(pod as PodLike, level)
      .map((one) => one.reason)
      .join(', ');
    if (reasons !== '') byReasons.set(reasons, [...(byReasons.get(reasons) ?? []), pod.metadata.name]);
  }
  return [...byReasons]
    .map(([reasons, names]) => {
      const others = names.length - 1;
      const more = others === 0 ? '' : others === 1 ? ' (and 1 other pod)' : ` (and ${others} other pods)`;
      return `${names.sort()[0]}${more}: ${reasons}`;
    })
    .sort();
}
