import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  TopologySelectorTerm,
  VolumeAttachment,
  VolumeAttributesClass,
} from '#api';
import { type FieldError, validateDns1123Subdomain, validateQualifiedName } from '#machinery';
import { validateCsiDriverName } from '../core/volume-source-validation.ts';
import { Findings, sameValue } from '../findings.ts';

const maxParametersBytes = 256 * 1024;
const maxParameters = 512;

export function validateStorageClass(storageClass: StorageClass): FieldError[] {
  const found = new Findings();
  const { provisioner } = storageClass;
  if (found.present('provisioner', provisioner))
    found.each('provisioner', provisioner, validateQualifiedName(provisioner.toLowerCase()));
  validateParameters(storageClass.parameters, found);
  if (storageClass.reclaimPolicy) found.oneOf('reclaimPolicy', storageClass.reclaimPolicy, ['Delete', 'Retain']);
  if (storageClass.volumeBindingMode == null) found.required('volumeBindingMode');
  found.presentOneOf('volumeBindingMode', storageClass.volumeBindingMode, ['Immediate', 'WaitForFirstConsumer']);
  validateTopologies(storageClass.allowedTopologies ?? [], found);
  return found.list;
}

/** Terms without expressions count as one another's doubles, and as those of as many empty terms as there are terms. */
function validateTopologies(terms: readonly TopologySelectorTerm[], found: Findings): void {
  const seen: string[] = terms.map(() => '');
  for (const [index, term] of terms.entries()) {
    const values = new Map<string, string>();
    for (const [position, one] of (term.matchLabelExpressions ?? []).entries()) {
      const field = `allowedTopologies[${index}].matchLabelExpressions[${position}]`;
      if (!one.values?.length) found.required(`${field}.values`);
      for (const [place, value] of (one.values ?? []).entries())
        if (one.values.indexOf(value) < place) found.duplicate(`${field}.values[${place}]`, value);
      found.each(`${field}.key`, one.key ?? '', validateQualifiedName(one.key ?? ''));
      if (values.has(one.key)) found.duplicate(`${field}.key`, one.key);
      values.set(one.key, JSON.stringify([...new Set(one.values)].sort()));
    }
    const text = [...values]
      .map(([key, list]) => `${key}=${list}`)
      .sort()
      .join();
    for (const other of seen)
      if (other === text) found.duplicate(`allowedTopologies[${index}].matchLabelExpressions`, '');
    seen.push(text);
  }
}

function validateParameters(parameters: Record<string, string> | undefined, found: Findings): void {
  const entries = Object.entries(parameters ?? {});
  if (entries.length > maxParameters) return found.tooLong('parameters', '', maxParameters);
  let size = 0;
  for (const [key, value] of entries) {
    if (key === '') found.invalid('parameters', key, 'field can not be empty.');
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (size > maxParametersBytes) found.tooLong('parameters', '', maxParametersBytes);
}

export function validateStorageClassUpdate(storageClass: StorageClass, old: StorageClass): FieldError[] {
  const found = new Findings();
  for (const name of ['parameters', 'provisioner', 'reclaimPolicy'] as const)
    if (!sameValue(storageClass[name], old[name])) found.forbidden(name, `updates to ${name} are forbidden.`);
  found.immutable('volumeBindingMode', storageClass.volumeBindingMode, old.volumeBindingMode);
  return found.list;
}

export function validateVolumeAttributesClass(attributes: VolumeAttributesClass): FieldError[] {
  const found = new Findings();
  validateCsiDriverName(attributes.driverName ?? '', 'driverName', found);
  if (Object.keys(attributes.parameters ?? {}).length === 0)
    found.required('parameters', 'must contain at least one key/value pair');
  validateParameters(attributes.parameters, found);
  return found.list;
}

export function validateVolumeAttributesClassUpdate(
  attributes: VolumeAttributesClass,
  old: VolumeAttributesClass,
): FieldError[] {
  const found = new Findings();
  for (const name of ['driverName', 'parameters'] as const)
    if (!sameValue(attributes[name], old[name])) found.forbidden(name, `updates to ${name} are forbidden.`);
  return found.list;
}

export function validateVolumeAttachment({ spec }: VolumeAttachment): FieldError[] {
  const found = new Findings();
  found.present('spec.attacher', spec?.attacher);
  const { inlineVolumeSpec, persistentVolumeName } = spec?.source ?? {};
  const exactlyOne = 'must specify exactly one of inlineVolumeSpec and persistentVolumeName';
  if (inlineVolumeSpec == null && persistentVolumeName == null) found.required('spec.source', exactlyOne);
  else if (inlineVolumeSpec != null && persistentVolumeName != null) found.forbidden('spec.source', exactlyOne);
  else if (persistentVolumeName === '')
    found.required('spec.source.persistentVolumeName', 'must specify non empty persistentVolumeName');
  found.each('spec.nodeName', spec?.nodeName ?? '', validateDns1123Subdomain(spec?.nodeName ?? ''));
  validateCsiDriverName(spec?.attacher ?? '', 'spec.attacher', found);
  if (persistentVolumeName != null) found.subdomain('spec.source.persistentVolumeName', persistentVolumeName);
  return found.list;
}

export function validateVolumeAttachmentUpdate(attachment: VolumeAttachment, old: VolumeAttachment): FieldError[] {
  const found = new Findings();
  found.immutable('spec', attachment.spec, old.spec);
  return found.list;
}

export function validateCsiDriver({ metadata, spec }: CSIDriver): FieldError[] {
  const found = new Findings();
  validateCsiDriverName(metadata.name ?? '', 'metadata.name', found);
  found.presentOneOf('spec.fsGroupPolicy', spec?.fsGroupPolicy, ['File', 'None', 'ReadWriteOnceWithFSType']);
  for (const mode of spec?.volumeLifecycleModes ?? [])
    found.presentOneOf('spec.volumeLifecycleModes', mode, ['Persistent', 'Ephemeral']);
  const audiences = new Set<string>();
  for (const [index, request] of (spec?.tokenRequests ?? []).entries()) {
    const field = `spec.tokenRequests[${index}]`;
    if (audiences.has(request.audience)) found.duplicate(`${field}.audience`, request.audience);
    audiences.add(request.audience);
    const seconds = request.expirationSeconds;
    if (seconds != null && seconds < 600)
      found.invalid(`${field}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes');
    if (seconds != null && seconds > 2 ** 32)
      found.invalid(`${field}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds');
  }
  return found.list;
}

export function validateCsiDriverUpdate(driver: CSIDriver, old: CSIDriver): FieldError[] {
  const found = new Findings();
  found.immutable('spec.attachRequired', driver.spec?.attachRequired, old.spec?.attachRequired);
  found.immutable('spec.volumeLifecycleModes', driver.spec?.volumeLifecycleModes, old.spec?.volumeLifecycleModes);
  return found.list;
}

export function validateCsiNode({ spec }: CSINode): FieldError[] {
  const found = new Findings();
  const names = new Set<string>();
  for (const [index, driver] of (spec?.drivers ?? []).entries()) {
    const field = `spec.drivers[${index}]`;
    validateCsiDriverName(driver.name ?? '', `${field}.name`, found);
    if (!driver.nodeID) found.required(`${field}.nodeID`);
    else if (driver.nodeID.length > 256)
      found.invalid(`${field}.nodeID`, driver.nodeID, 'must be 256 characters or less');
    found.nonNegative(`${field}.allocatable.count`, driver.allocatable?.count);
    if (names.has(driver.name)) found.duplicate(`${field}.name`, driver.name ?? '');
    names.add(driver.name);
    const keys = new Set<string>();
    for (const key of driver.topologyKeys ?? []) {
      if (!key) found.required(field);
      if (keys.has(key)) found.duplicate(field, key);
      keys.add(key);
      found.each(field, key, validateQualifiedName(key));
    }
  }
  return found.list;
}

export function validateStorageCapacity(capacity: CSIStorageCapacity): FieldError[] {
  const found = new Findings();
  found.selector('nodeTopology', capacity.nodeTopology);
  const name = capacity.storageClassName ?? '';
  found.each('storageClassName', name, validateDns1123Subdomain(name));
  found.nonNegativeQuantity('capacity', capacity.capacity);
  found.nonNegativeQuantity('maximumVolumeSize', capacity.maximumVolumeSize);
  return found.list;
}

export function validateStorageCapacityUpdate(capacity: CSIStorageCapacity, old: CSIStorageCapacity): FieldError[] {
  const found = new Findings();
  found.immutable('nodeTopology', capacity.nodeTopology, old.nodeTopology);
  found.immutable('storageClassName', capacity.storageClassName, old.storageClassName);
  return found.list;
}
