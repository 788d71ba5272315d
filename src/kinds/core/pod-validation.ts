import type { ObjectMeta, Pod, PodSpec, PodTemplateSpec } from '#api';
import {
  type FieldError,
  validateAnnotations,
  validateIpAddress,
  validateQualifiedName,
  validateUnderscoredSubdomain,
} from '#machinery';
import { Findings } from '../findings.ts';
import { validateAffinity, validateTolerations, validateTopologySpread } from './affinity-validation.ts';
import {
  validateContainers,
  validateEphemeralContainers,
  validateHostNetworkPorts,
  validateInitContainers,
  validatePodContainers,
} from './container-validation.ts';
import { validateOverhead, validateResources } from './resource-validation.ts';
import { validatePodAnnotations } from './pod-annotation-validation.ts';
import { validatePodSecurity } from './security-validation.ts';
import { validateVolumes } from './volume-validation.ts';

const restartPolicies: readonly string[] = ['Always', 'OnFailure', 'Never'];
const dnsPolicies: readonly string[] = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];
const preemptionPolicies: readonly string[] = ['PreemptLowerPriority', 'Never'];
const maxInt32 = 2147483647;
const mirrorAnnotation = 'kubernetes.io/config.mirror';

/** A pod as it stands; updates add `validatePodUpdate`. */
export function validatePod(pod: Pod): FieldError[] {
  const found = new Findings();
  const spec = pod.spec ?? { containers: [] };
  const mirror = pod.metadata.annotations?.[mirrorAnnotation];
  if (mirror !== undefined && !spec.nodeName)
    found.invalid(
      `metadata.annotations[${mirrorAnnotation}]`,
      mirror,
      'must set spec.nodeName if mirror pod annotation is set',
    );
  validatePodAnnotations(pod.metadata.annotations, spec, 'metadata.annotations', found);
  validatePodSpec(spec, pod.metadata, 'spec', found);
  if (!spec.serviceAccountName)
    for (const [index, volume] of (spec.volumes ?? []).entries())
      for (const [position, source] of (volume.projected?.sources ?? []).entries())
        if (source.serviceAccountToken != null)
          found.forbidden(
            `spec.volumes[${index}].projected.sources[${position}].serviceAccountToken`,
            'must not be specified when serviceAccountName is not set',
          );
  validatePodContainers(spec.containers, 'spec.containers', found);
  validatePodContainers(spec.initContainers, 'spec.initContainers', found);
  return found.list;
}

/** A pod template of any workload. `field` is the template's path. */
export function validatePodTemplate(template: PodTemplateSpec | undefined, field: string, found: Findings): void {
  found.labels(`${field}.labels`, template?.metadata?.labels);
  found.add(validateAnnotations(template?.metadata?.annotations, `${field}.annotations`));
  const spec = template?.spec ?? { containers: [] };
  validatePodAnnotations(template?.metadata?.annotations, spec, `${field}.annotations`, found);
  validatePodSpec(spec, undefined, `${field}.spec`, found);
  if (spec.ephemeralContainers?.length)
    found.forbidden(`${field}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template');
}

/** The spec of a pod (`meta` given) or of a template (absent). */
function validatePodSpec(spec: PodSpec, meta: ObjectMeta | undefined, field: string, found: Findings): void {
  const isPod = meta !== undefined;
  const volumes = validateVolumes(spec.volumes, meta?.name, `${field}.volumes`, found);
  const context = { spec, volumes, isPod };
  validateResourceClaims(spec, field, found);
  validateContainers(context, `${field}.containers`, found);
  validateInitContainers(context, `${field}.initContainers`, found);
  validateEphemeralContainers(context, `${field}.ephemeralContainers`, found);
  validateResources(spec.resources, `${field}.resources`, found);
  validateHostNetworkPorts(context, `${field}.containers`, found);
  found.oneOf(`${field}.restartPolicy`, spec.restartPolicy, restartPolicies);
  found.oneOf(`${field}.dnsPolicy`, spec.dnsPolicy, dnsPolicies);
  found.labels(`${field}.nodeSelector`, spec.nodeSelector);
  validatePodSecurity(spec, field, found);
  for (const [index, secret] of (spec.imagePullSecrets ?? []).entries())
    if (Object.keys(secret).some((key) => key !== 'name'))
      found.invalid(`${field}.imagePullSecrets[${index}]`, secret, 'only name may be set');
  validateAffinity(spec.affinity, `${field}.affinity`, found);
  validateDns(spec, field, found);
  for (const [index, gate] of (spec.readinessGates ?? []).entries())
    found.each(
      `${field}.readinessGates[${index}].conditionType`,
      gate.conditionType,
      validateQualifiedName(gate.conditionType ?? ''),
    );
  validateSchedulingGates(spec, field, found);
  validateTopologySpread(spec.topologySpreadConstraints, `${field}.topologySpreadConstraints`, found);
  if (spec.hostUsers === false)
    for (const [name, path] of hostNamespaces)
      if (spec[name]) found.forbidden(`${field}.${path}`, 'when `pod.Spec.HostUsers` is false');
  if (spec.serviceAccountName) found.subdomain(`${field}.serviceAccountName`, spec.serviceAccountName);
  if (spec.nodeName) found.subdomain(`${field}.nodeName`, spec.nodeName);
  found.range(`${field}.activeDeadlineSeconds`, spec.activeDeadlineSeconds, 1, maxInt32);
  if (spec.hostname) found.label(`${field}.hostname`, spec.hostname);
  if (spec.subdomain) found.label(`${field}.subdomain`, spec.subdomain);
  validateTolerations(spec.tolerations, `${field}.tolerations`, found);
  for (const [index, { ip = '', hostnames }] of (spec.hostAliases ?? []).entries()) {
    const at = `${field}.hostAliases[${index}]`;
    found.each(`${at}.ip`, ip, validateIpAddress(ip));
    for (const [position, name] of (hostnames ?? []).entries()) found.subdomain(`${at}.hostnames[${position}]`, name);
  }
  if (spec.priorityClassName) found.subdomain(`${field}.priorityClassName`, spec.priorityClassName);
  if (spec.runtimeClassName != null) found.subdomain(`${field}.runtimeClassName`, spec.runtimeClassName);
  if (spec.preemptionPolicy != null)
    found.oneOf(`${field}.preemptionPolicy`, spec.preemptionPolicy, preemptionPolicies);
  validateOverhead(spec.overhead, `${field}.overhead`, found);
  if (spec.os != null && !spec.os.name) found.required(`${field}.os.name`, 'cannot be empty');
  else found.optionalOneOf(`${field}.os`, spec.os?.name, ['linux', 'windows']);
}

/** Fields of the host's namespaces, and the names that upstream gives them in this one message. */
const hostNamespaces = [
  ['hostNetwork', 'hostNetwork'],
  ['hostPID', 'HostPID'],
  ['hostIPC', 'HostIPC'],
] as const;

function validateDns({ dnsPolicy, dnsConfig }: PodSpec, field: string, found: Findings): void {
  const at = `${field}.dnsConfig`;
  if (dnsPolicy === 'None') {
    if (dnsConfig == null) return found.required(at, 'must provide `dnsConfig` when `dnsPolicy` is None');
    if (!dnsConfig.nameservers?.length)
      return found.required(`${at}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None');
  }
  if (dnsConfig == null) return;
  const { nameservers = [], searches = [], options = [] } = dnsConfig;
  if (nameservers.length > 3) found.invalid(`${at}.nameservers`, nameservers, 'must not have more than 3 nameservers');
  for (const [index, server] of nameservers.entries())
    found.each(`${at}.nameservers[${index}]`, server, validateIpAddress(server));
  if (searches.length > 32) found.invalid(`${at}.searches`, searches, 'must not have more than 32 search paths');
  if (searches.join(' ').length > 2048)
    found.invalid(
      `${at}.searches`,
      searches,
      'must not have more than 2048 characters (including spaces) in the search list',
    );
  for (const [index, search] of searches.entries())
    if (search !== '.') {
      const name = search.replace(/\.$/, '');
      found.each(`${at}.searches[${index}]`, name, validateUnderscoredSubdomain(name));
    }
  for (const [index, option] of options.entries())
    if (!option.name) found.required(`${at}.options[${index}]`, 'must not be empty');
}

function validateSchedulingGates(spec: PodSpec, field: string, found: Findings): void {
  const names = new Set<string>();
  for (const [index, { name }] of (spec.schedulingGates ?? []).entries()) {
    const at = `${field}.schedulingGates[${index}]`;
    found.each(at, name, validateQualifiedName(name ?? ''));
    if (names.has(name)) found.duplicate(at, name);
    names.add(name);
  }
  if (spec.nodeName && spec.schedulingGates?.length)
    found.forbidden(`${field}.nodeName`, 'cannot be set until all schedulingGates have been cleared');
}

function validateResourceClaims(spec: PodSpec, field: string, found: Findings): void {
  const names = new Set<string>();
  for (const [index, claim] of (spec.resourceClaims ?? []).entries()) {
    const at = `${field}.resourceClaims[${index}]`;
    if (!claim.name) found.required(`${at}.name`);
    else if (names.has(claim.name)) found.duplicate(`${at}.name`, claim.name);
    else found.label(`${at}.name`, claim.name);
    names.add(claim.name);
    const sources = [claim.resourceClaimName, claim.resourceClaimTemplateName].filter((one) => one != null).length;
    if (sources > 1)
      found.invalid(at, claim, 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified');
    if (sources === 0)
      found.invalid(at, claim, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`');
  }
}
