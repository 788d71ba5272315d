import type {
  Container,
  EphemeralContainer,
  HTTPGetAction,
  Pod,
  PodSpec,
  PodTemplateSpec,
  Probe,
  ResourceRequirements,
} from '#api';
import { defaultPullPolicy } from './image-name.ts';
import { containersRequests } from './pod-resources.ts';
import { applyVolumeDefaults } from './volume-defaults.ts';

const podLevelResource = /^(cpu|memory|hugepages-.*)$/;

/** Defaults of a pod: those of its spec and some that templates do not get. */
export function applyPodDefaults(pod: Pod): void {
  pod.spec ??= { containers: [] };
  const spec = pod.spec;
  applyPodSpecDefaults(spec);
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) {
    if (container.resources?.limits != null) requestLimits(container.resources);
    if (spec.hostNetwork) {
      for (const port of container.ports ?? []) if (!port.hostPort) port.hostPort = port.containerPort;
    }
  }
  if (spec.resources?.limits != null && Object.keys(spec.resources.limits).length > 0) applyPodLevelRequests(pod);
  spec.enableServiceLinks ??= true;
}

/** What is not requested is requested as limited. */
function requestLimits(resources: ResourceRequirements): void {
  resources.requests = { ...resources.requests, ...resources.limits, ...resources.requests };
}

function applyPodLevelRequests(pod: Pod): void {
  const resources = pod.spec?.resources;
  if (resources === undefined) return;
  const supported = (list: Record<string, string> | undefined) =>
    Object.fromEntries(Object.entries(list ?? {}).filter(([name]) => podLevelResource.test(name)));
  resources.requests = {
    ...supported(resources.limits),
    ...supported(containersRequests(pod)),
    ...resources.requests,
  };
}

/** Defaults of a pod template: only what is stable for every controller that compares templates. */
export function applyPodTemplateDefaults(template: PodTemplateSpec): void {
  template.spec ??= { containers: [] };
  applyPodSpecDefaults(template.spec);
}

function applyPodSpecDefaults(spec: PodSpec): void {
  if (!spec.dnsPolicy) spec.dnsPolicy = 'ClusterFirst';
  if (!spec.restartPolicy) spec.restartPolicy = 'Always';
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  if (!spec.schedulerName) spec.schedulerName = 'default-scheduler';
  const account = spec.serviceAccountName || spec.serviceAccount;
  if (account) {
    spec.serviceAccountName = account;
    spec.serviceAccount = account;
  }
  for (const container of spec.initContainers ?? []) applyContainerDefaults(container);
  for (const container of spec.containers ?? []) applyContainerDefaults(container);
  for (const container of spec.ephemeralContainers ?? []) applyContainerDefaults(container);
  for (const volume of spec.volumes ?? []) applyVolumeDefaults(volume);
}

function applyContainerDefaults(container: Container | EphemeralContainer): void {
  if (!container.imagePullPolicy) container.imagePullPolicy = defaultPullPolicy(container.image);
  if (!container.terminationMessagePath) container.terminationMessagePath = '/dev/termination-log';
  if (!container.terminationMessagePolicy) container.terminationMessagePolicy = 'File';
  container.resources ??= {};
  for (const port of container.ports ?? []) if (!port.protocol) port.protocol = 'TCP';
  for (const variable of container.env ?? []) {
    const { fieldRef, resourceFieldRef } = variable.valueFrom ?? {};
    if (fieldRef != null && !fieldRef.apiVersion) fieldRef.apiVersion = 'v1';
    if (resourceFieldRef != null) resourceFieldRef.divisor ??= '0';
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe])
    if (probe != null) applyProbeDefaults(probe);
  applyHttpGetDefaults(container.lifecycle?.postStart?.httpGet);
  applyHttpGetDefaults(container.lifecycle?.preStop?.httpGet);
}

function applyProbeDefaults(probe: Probe): void {
  if (!probe.timeoutSeconds) probe.timeoutSeconds = 1;
  if (!probe.periodSeconds) probe.periodSeconds = 10;
  if (!probe.successThreshold) probe.successThreshold = 1;
  if (!probe.failureThreshold) probe.failureThreshold = 3;
  applyHttpGetDefaults(probe.httpGet);
  if (probe.grpc != null) probe.grpc.service ??= '';
}

function applyHttpGetDefaults(action: HTTPGetAction | undefined): void {
  if (action == null) return;
  if (!action.path) action.path = '/';
  if (!action.scheme) action.scheme = 'HTTP';
}
