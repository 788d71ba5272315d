import type { Container, ContainerPort, EphemeralContainer, PodSpec, Volume } from '#api';
import { validateIpAddress, validatePortName, validatePortNumber } from '#machinery';
import type { Findings } from '../findings.ts';
import { validateEnv, validateEnvFrom } from './env-validation.ts';
import { validateProbesAndLifecycle } from './probe-validation.ts';
import { validateResources } from './resource-validation.ts';
import { validateContainerSecurity, validateDescendingPath } from './security-validation.ts';

type AnyContainer = Container | EphemeralContainer;

/** What the containers of a pod or template are checked against. */
export interface ContainerContext {
  readonly spec: PodSpec;
  readonly volumes: ReadonlyMap<string, Volume>;
  readonly isPod: boolean;
}

const protocols: readonly string[] = ['SCTP', 'TCP', 'UDP'];
const pullPolicies: readonly string[] = ['Always', 'IfNotPresent', 'Never'];
const restartPolicies: readonly string[] = ['Always', 'Never', 'OnFailure'];
const notForInit = 'may not be set for init containers without restartPolicy=Always';

export function validateContainers(context: ContainerContext, field: string, found: Findings): void {
  const containers = context.spec.containers ?? [];
  if (containers.length === 0) return found.required(field);
  const names = new Set<string>();
  for (const [index, container] of containers.entries()) {
    const at = `${field}[${index}]`;
    validateContainer(container, context, at, found);
    if (names.has(container.name)) found.duplicate(`${at}.name`, container.name);
    names.add(container.name);
    validateProbesAndLifecycle(container, context.spec.terminationGracePeriodSeconds, at, found);
    found.optionalOneOf(`${at}.restartPolicy`, container.restartPolicy, restartPolicies);
  }
  validateHostPorts(containers, field, found);
}

export function validateInitContainers(context: ContainerContext, field: string, found: Findings): void {
  const names = new Set((context.spec.containers ?? []).map((one) => one.name));
  for (const [index, container] of (context.spec.initContainers ?? []).entries()) {
    const at = `${field}[${index}]`;
    validateContainer(container, context, at, found);
    if (container.name && names.has(container.name)) found.duplicate(`${at}.name`, container.name);
    names.add(container.name);
    found.optionalOneOf(`${at}.restartPolicy`, container.restartPolicy, restartPolicies);
    if (container.restartPolicy === 'Always')
      validateProbesAndLifecycle(container, context.spec.terminationGracePeriodSeconds, at, found);
    else
      for (const name of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const)
        if (container[name] != null) found.forbidden(`${at}.${name}`, notForInit);
    validateHostPorts([container], field, found);
  }
}

const notForEphemeral = [
  'lifecycle',
  'livenessProbe',
  'ports',
  'readinessProbe',
  'resizePolicy',
  'resources',
  'restartPolicy',
  'startupProbe',
] as const;

export function validateEphemeralContainers(context: ContainerContext, field: string, found: Findings): void {
  const { spec } = context;
  const others = [...(spec.containers ?? []), ...(spec.initContainers ?? [])].map((one) => one.name);
  const names = new Set(others);
  for (const [index, container] of (spec.ephemeralContainers ?? []).entries()) {
    const at = `${field}[${index}]`;
    validateContainer(container, context, at, found);
    if (container.name && names.has(container.name)) found.duplicate(`${at}.name`, container.name);
    names.add(container.name);
    if (container.targetContainerName && !others.includes(container.targetContainerName))
      found.notFound(`${at}.targetContainerName`, container.targetContainerName);
    for (const name of notForEphemeral) {
      const value = container[name];
      if (value != null && value !== '' && Object.keys(value as object).length > 0)
        found.forbidden(`${at}.${name}`, 'cannot be set for an Ephemeral Container');
    }
    for (const [position, mount] of (container.volumeMounts ?? []).entries()) {
      const mountField = `${at}.volumeMounts[${position}]`;
      if (mount.subPath) found.forbidden(`${mountField}.subPath`, 'cannot be set for an Ephemeral Container');
      if (mount.subPathExpr) found.forbidden(`${mountField}.subPathExpr`, 'cannot be set for an Ephemeral Container');
    }
  }
}

function validateContainer(container: AnyContainer, context: ContainerContext, field: string, found: Findings): void {
  if (found.present(`${field}.name`, container.name)) found.label(`${field}.name`, container.name);
  const image = container.image ?? '';
  if (image === '') found.required(`${field}.image`);
  const messagePolicy = container.terminationMessagePolicy;
  if (!messagePolicy) found.required(`${field}.terminationMessagePolicy`);
  else if (messagePolicy !== 'File' && messagePolicy !== 'FallbackToLogsOnError')
    found.notSupported(`${field}.terminationMessagePolicy`, messagePolicy, ['File', 'FallbackToLogsOnError']);
  validatePorts(container.ports, `${field}.ports`, found);
  validateEnv(container.env, `${field}.env`, found);
  validateEnvFrom(container.envFrom, `${field}.envFrom`, found);
  validateMounts(container, context.volumes, field, found);
  found.oneOf(`${field}.imagePullPolicy`, container.imagePullPolicy, pullPolicies);
  validateResources(container.resources, `${field}.resources`, found);
  validateClaims(container, context.spec, field, found);
  validateResizePolicy(container, context.spec, `${field}.resizePolicy`, found);
  validateContainerSecurity(container.securityContext, `${field}.securityContext`, found);
}

/** Upstream names the list, not the entry, but for an entry given twice. */
function validateResizePolicy(container: AnyContainer, spec: PodSpec, field: string, found: Findings): void {
  const resized = new Set<string>();
  for (const [index, { resourceName, restartPolicy }] of (container.resizePolicy ?? []).entries()) {
    if (resized.has(resourceName)) found.duplicate(`${field}[${index}]`, resourceName);
    resized.add(resourceName);
    found.oneOf(field, resourceName, ['cpu', 'memory']);
    found.oneOf(field, restartPolicy, ['NotRequired', 'RestartContainer']);
    if (spec.restartPolicy === 'Never' && restartPolicy !== 'NotRequired')
      found.invalid(field, restartPolicy ?? '', "must be 'NotRequired' when `restartPolicy` is 'Never'");
  }
}

function validateClaims(container: AnyContainer, spec: PodSpec, field: string, found: Findings): void {
  const names = new Set((spec.resourceClaims ?? []).map((one) => one.name));
  for (const [index, claim] of (container.resources?.claims ?? []).entries()) {
    const at = `${field}.resources.claims[${index}]`;
    if (!claim.name) found.required(`${at}.name`);
    else if (!names.has(claim.name)) found.notFound(`${at}.name`, claim.name);
  }
}

function validatePorts(ports: readonly ContainerPort[] | undefined, field: string, found: Findings): void {
  const names = new Set<string>();
  for (const [index, port] of (ports ?? []).entries()) {
    const at = `${field}[${index}]`;
    if (port.name) {
      const messages = validatePortName(port.name);
      found.each(`${at}.name`, port.name, messages);
      if (messages.length === 0 && names.has(port.name)) found.duplicate(`${at}.name`, port.name);
      names.add(port.name);
    }
    if (!port.containerPort) found.required(`${at}.containerPort`);
    else found.each(`${at}.containerPort`, port.containerPort, validatePortNumber(port.containerPort));
    if (port.hostPort) found.each(`${at}.hostPort`, port.hostPort, validatePortNumber(port.hostPort));
    if (port.hostIP) found.each(`${at}.hostIP`, port.hostIP, validateIpAddress(port.hostIP));
    found.oneOf(`${at}.protocol`, port.protocol, protocols);
  }
}

/** What only pods are held to, not templates of them. */
export function validatePodContainers(
  containers: readonly Container[] | undefined,
  field: string,
  found: Findings,
): void {
  for (const [index, { image = '' }] of (containers ?? []).entries())
    if (image.trim() !== image)
      found.invalid(`${field}[${index}].image`, image, 'must not have leading or trailing whitespace');
}

/** On the host's network, ports of containers are the host's. Templates may leave the host's port open. */
export function validateHostNetworkPorts({ spec, isPod }: ContainerContext, field: string, found: Findings): void {
  if (!spec.hostNetwork) return;
  for (const [index, container] of (spec.containers ?? []).entries())
    for (const [position, { hostPort = 0, containerPort }] of (container.ports ?? []).entries())
      if ((isPod || hostPort !== 0) && hostPort !== containerPort)
        found.invalid(
          `${field}[${index}].ports[${position}].hostPort`,
          hostPort,
          'must match `containerPort` when `hostNetwork` is true',
        );
}

function validateHostPorts(containers: readonly Container[], field: string, found: Findings): void {
  const taken = new Set<string>();
  for (const [index, container] of containers.entries())
    for (const [position, port] of (container.ports ?? []).entries()) {
      if (!port.hostPort) continue;
      const key = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`;
      if (taken.has(key)) found.duplicate(`${field}[${index}].ports[${position}].hostPort`, key);
      taken.add(key);
    }
}

function validateMounts(
  container: AnyContainer,
  volumes: ReadonlyMap<string, Volume>,
  field: string,
  found: Findings,
): void {
  const devices = new Set((container.volumeDevices ?? []).map((one) => one.name));
  const devicePaths = new Set((container.volumeDevices ?? []).map((one) => one.devicePath));
  const mountPaths = new Set<string>();
  const mounted = new Set<string>();
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const at = `${field}.volumeMounts[${index}]`;
    if (!mount.name) found.required(`${at}.name`);
    if (!volumes.has(mount.name)) found.notFound(`${at}.name`, mount.name ?? '');
    if (!mount.mountPath) found.required(`${at}.mountPath`);
    if (mountPaths.has(mount.mountPath)) found.invalid(`${at}.mountPath`, mount.mountPath, 'must be unique');
    mountPaths.add(mount.mountPath);
    mounted.add(mount.name);
    if (devices.has(mount.name)) found.invalid(`${at}.name`, mount.name, 'must not already exist in volumeDevices');
    if (devicePaths.has(mount.mountPath))
      found.invalid(`${at}.mountPath`, mount.mountPath, 'must not already exist as a path in volumeDevices');
    if (volumes.get(mount.name)?.image != null)
      for (const name of ['subPath', 'subPathExpr'] as const)
        if (mount[name]) found.invalid(`${at}.${name}`, mount[name], 'not allowed in image volume sources');
    if (mount.subPath) validateDescendingPath(mount.subPath, `${field}.volumeMounts.subPath`, found);
    if (mount.subPathExpr) {
      if (mount.subPath)
        found.invalid(`${at}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive');
      validateDescendingPath(mount.subPathExpr, `${field}.volumeMounts.subPathExpr`, found);
    }
    if (mount.mountPropagation != null) {
      const propagations = ['Bidirectional', 'HostToContainer', 'None'];
      const propagation = `${field}.volumeMounts.mountPropagation`;
      if (!propagations.includes(mount.mountPropagation))
        found.notSupported(propagation, mount.mountPropagation, propagations);
      if (mount.mountPropagation === 'Bidirectional' && !container.securityContext?.privileged)
        found.forbidden(propagation, 'Bidirectional mount propagation is available only to privileged containers');
    }
    if (mount.recursiveReadOnly != null && mount.recursiveReadOnly !== 'Disabled') {
      const recursive = `${field}.volumeMounts.recursiveReadOnly`;
      if (!['Enabled', 'IfPossible'].includes(mount.recursiveReadOnly)) {
        found.notSupported(recursive, mount.recursiveReadOnly, ['Disabled', 'Enabled', 'IfPossible']);
        continue;
      }
      if (!mount.readOnly) found.forbidden(recursive, 'may only be specified when readOnly is true');
      if (mount.mountPropagation != null && mount.mountPropagation !== 'None')
        found.forbidden(recursive, 'may only be specified when mountPropagation is None or not specified');
    }
  }
  validateDevices(container, volumes, mounted, mountPaths, field, found);
}

function validateDevices(
  container: AnyContainer,
  volumes: ReadonlyMap<string, Volume>,
  mounted: ReadonlySet<string>,
  mountPaths: ReadonlySet<string>,
  field: string,
  found: Findings,
): void {
  const names = new Set<string>();
  const paths = new Set<string>();
  for (const [index, { name, devicePath }] of (container.volumeDevices ?? []).entries()) {
    const at = `${field}.volumeDevices[${index}]`;
    if (!name) found.required(`${at}.name`);
    if (names.has(name)) found.invalid(`${at}.name`, name, 'must be unique');
    const volume = volumes.get(name);
    if (volume === undefined) found.notFound(`${at}.name`, name ?? '');
    else if (volume !== undefined && volume.persistentVolumeClaim == null && volume.ephemeral == null)
      found.invalid(
        `${at}.name`,
        name,
        'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode',
      );
    if (!devicePath) found.required(`${at}.devicePath`);
    if (devicePath && paths.has(devicePath)) found.invalid(`${at}.devicePath`, devicePath, 'must be unique');
    if (devicePath?.includes('..')) found.invalid(`${at}.devicePath`, devicePath, "can not contain backsteps ('..')");
    names.add(name);
    paths.add(devicePath);
    if (mounted.has(name)) found.invalid(`${at}.name`, name, 'must not already exist in volumeMounts');
    if (mountPaths.has(devicePath))
      found.invalid(`${at}.devicePath`, devicePath, 'must not already exist as a path in volumeMounts');
  }
}
