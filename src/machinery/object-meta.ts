import type { LabelSelector, ObjectMeta, OwnerReference } from '#api';
import { type FieldError, forbiddenError, invalidError, requiredError, tooLongError } from './field-error.ts';
import { goQuote } from './go-text.ts';
import {
  maskTrailingDash,
  validateDns1123Label,
  validateDns1123Subdomain,
  validateLabelValue,
  validateQualifiedName,
} from './names.ts';
import { deepEqual } from './objects.ts';

type Meta = Partial<ObjectMeta>;

const annotationsLimitBytes = 256 * 1024;

const eachInvalid = (field: string, value: unknown, messages: readonly string[]): readonly FieldError[] =>
  messages.length === 0 ? noErrors : messages.map((message) => invalidError(field, value, message));

const noErrors: readonly FieldError[] = [];

/** There may be more than a call takes arguments. */
function addAll(found: FieldError[], more: readonly FieldError[]): void {
  for (const one of more) found.push(one);
}

export function validateLabels(labels: Readonly<Record<string, string>> | undefined, field: string): FieldError[] {
  const found: FieldError[] = [];
  if (labels === undefined) return found;
  for (const key of Object.keys(labels)) {
    const value = labels[key] as string;
    found.push(...eachInvalid(field, key, validateQualifiedName(key)));
    found.push(...eachInvalid(field, value, validateLabelValue(value)));
  }
  return found;
}

/** Keys (in any case) and the total size of 256 KiB. */
export function validateAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  field: string,
): FieldError[] {
  const found: FieldError[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    found.push(...eachInvalid(field, key, validateQualifiedName(key.toLowerCase())));
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (size > annotationsLimitBytes) found.push(tooLongError(field, '', annotationsLimitBytes));
  return found;
}

/** The API's LabelSelector structure, upstream's ValidateLabelSelector. */
export function validateLabelSelector(selector: LabelSelector | undefined, field: string): FieldError[] {
  if (selector === undefined) return [];
  const found = validateLabels(selector.matchLabels, `${field}.matchLabels`);
  (selector.matchExpressions ?? []).forEach(({ key, operator, values = [] }, index) => {
    const at = `${field}.matchExpressions[${index}]`;
    if (operator === 'In' || operator === 'NotIn') {
      if (values.length === 0) {
        found.push(requiredError(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
      }
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (values.length > 0) {
        found.push(
          forbiddenError(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        );
      }
    } else found.push(invalidError(`${at}.operator`, operator, 'not a valid selector operator'));
    found.push(...eachInvalid(`${at}.key`, key, validateQualifiedName(key)));
    values.forEach((value, valueIndex) => {
      found.push(...eachInvalid(`${at}.values[${valueIndex}]`, value, validateLabelValue(value)));
    });
  });
  return found;
}

export interface ObjectMetaRules {
  readonly namespaced: boolean;
  /** Upstream's messages for a name; `prefix` when it is a generateName. Default: DNS subdomain. */
  readonly validateName?: ((name: string, prefix: boolean) => string[]) | undefined;
  /** Default `metadata`. */
  readonly field?: string;
}

const subdomainName = (name: string, prefix: boolean): string[] =>
  validateDns1123Subdomain(maskTrailingDash(name, prefix));

/** Everything that holds for the metadata of a new object of any kind. */
export function validateObjectMeta(meta: Meta, rules: ObjectMetaRules): FieldError[] {
  const { namespaced, validateName = subdomainName, field = 'metadata' } = rules;
  const found: FieldError[] = [];
  const { name, generateName, namespace } = meta;
  if (generateName !== undefined && generateName !== '') {
    found.push(...eachInvalid(`${field}.generateName`, generateName, validateName(generateName, true)));
  }
  if (name === undefined || name === '') found.push(requiredError(`${field}.name`, 'name or generateName is required'));
  else found.push(...eachInvalid(`${field}.name`, name, validateName(name, false)));
  if (namespaced) {
    if (namespace === undefined || namespace === '') found.push(requiredError(`${field}.namespace`));
    else found.push(...eachInvalid(`${field}.namespace`, namespace, validateDns1123Label(namespace)));
  } else if (namespace !== undefined && namespace !== '') {
    found.push(forbiddenError(`${field}.namespace`, 'not allowed on this type'));
  }
  if ((meta.generation ?? 0) < 0) {
    found.push(invalidError(`${field}.generation`, meta.generation, 'must be greater than or equal to 0'));
  }
  addAll(found, validateSharedParts(meta, field));
  addAll(found, validateFinalizers(meta.finalizers, `${field}.finalizers`));
  return found;
}

function validateSharedParts(meta: Meta, field: string): FieldError[] {
  const found: FieldError[] = [];
  if (meta.labels !== undefined) addAll(found, validateLabels(meta.labels, `${field}.labels`));
  if (meta.annotations !== undefined) addAll(found, validateAnnotations(meta.annotations, `${field}.annotations`));
  if (meta.ownerReferences !== undefined) {
    addAll(found, validateOwnerReferences(meta.ownerReferences, `${field}.ownerReferences`));
  }
  (meta.managedFields ?? []).forEach((entry, index) => {
    const at = `${field}.managedFields[${index}]`;
    if (entry.operation !== 'Apply' && entry.operation !== 'Update') {
      found.push(invalidError(`${at}.operation`, entry.operation, 'must be `Apply` or `Update`'));
    }
    if (entry.fieldsType !== undefined && entry.fieldsType !== '' && entry.fieldsType !== 'FieldsV1') {
      found.push(invalidError(`${at}.fieldsType`, entry.fieldsType, 'must be `FieldsV1`'));
    }
    found.push(...validateFieldManager(entry.manager ?? '', `${at}.manager`));
  });
  return found;
}

/** The name of a field manager: at most 128 bytes, printable. */
export function validateFieldManager(manager: string, field: string): FieldError[] {
  const found: FieldError[] = [];
  if (Buffer.byteLength(manager) > 128) found.push(tooLongError(field, manager, 128));
  const bad = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.exec(manager);
  if (bad !== null) {
    found.push(invalidError(field, manager, `should only contain printable characters (invalid rune at ${bad.index})`));
  }
  return found;
}

const mostOtherControllers = 8;

function validateOwnerReferences(references: readonly OwnerReference[], field: string): FieldError[] {
  const found: FieldError[] = [];
  let controller: string | undefined;
  let more = 0;
  for (const reference of references) {
    const { apiVersion = '', kind = '', name = '', uid = '' } = reference;
    const parts = apiVersion.split('/');
    if (parts.length > 2 || parts[parts.length - 1] === '') {
      found.push(invalidError(`${field}.apiVersion`, apiVersion, 'version must not be empty'));
    }
    if (kind === '') found.push(invalidError(`${field}.kind`, kind, 'must not be empty'));
    if (name === '') found.push(invalidError(`${field}.name`, name, 'must not be empty'));
    if (uid === '') found.push(invalidError(`${field}.uid`, uid, 'must not be empty'));
    if (kind === 'Event' && apiVersion === 'v1') {
      found.push(invalidError(field, reference, `${apiVersion}, Kind=${kind} is disallowed from being an owner`));
    }
    if (reference.controller !== true) continue;
    if (controller !== undefined) {
      // Each shows all references: a few say enough.
      if (++more > mostOtherControllers) continue;
      const detail = `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${kind}/${name}`;
      found.push(invalidError(field, references, detail));
    } else controller = `${kind}/${name}`;
  }
  return found;
}

const standardFinalizers = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);

function validateFinalizers(finalizers: readonly string[] | undefined, field: string): FieldError[] {
  const found: FieldError[] = [];
  for (const one of finalizers ?? []) found.push(...eachInvalid(field, one, validateQualifiedName(one)));
  if (finalizers?.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    found.push(invalidError(field, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'));
  }
  return found;
}

/** Beyond its form, a finalizer of a built-in kind is one of Kubernetes' own or has a domain. */
export function validateKnownFinalizers(meta: Meta, field = 'metadata.finalizers'): FieldError[] {
  const found: FieldError[] = [];
  for (const [index, one] of (meta.finalizers ?? []).entries()) {
    if (one.includes('/') || standardFinalizers.has(one)) continue;
    const detail = 'name is neither a standard finalizer name nor is it fully qualified';
    found.push(invalidError(`${field}[${index}]`, one, detail));
  }
  return found;
}

/** What may change in metadata, and that what may is fine. */
export function validateObjectMetaUpdate(meta: Meta, oldMeta: Meta, field = 'metadata'): FieldError[] {
  const found: FieldError[] = [];
  if (oldMeta.deletionTimestamp !== undefined) {
    const old = new Set(oldMeta.finalizers ?? []);
    const added = [...new Set(meta.finalizers ?? [])].filter((one) => !old.has(one)).sort();
    if (added.length > 0) {
      const list = `[]string{${added.map(goQuote).join(', ')}}`;
      const detail = `no new finalizers can be added if the object is being deleted, found new finalizers ${list}`;
      found.push(forbiddenError(`${field}.finalizers`, detail));
    }
  }
  if (meta.resourceVersion === undefined || meta.resourceVersion === '') {
    found.push(invalidError(`${field}.resourceVersion`, '', 'must be specified for an update'));
  }
  if ((meta.generation ?? 0) < (oldMeta.generation ?? 0)) {
    found.push(invalidError(`${field}.generation`, meta.generation ?? 0, 'must not be decremented'));
  }
  for (const name of immutable) {
    if (meta[name] !== oldMeta[name] && !deepEqual(meta[name] ?? null, oldMeta[name] ?? null)) {
      found.push(invalidError(`${field}.${name}`, meta[name], 'field is immutable'));
    }
  }
  addAll(found, validateSharedParts(meta, field));
  const sameFinalizers = deepEqual(meta.finalizers ?? [], oldMeta.finalizers ?? []);
  if (!sameFinalizers) addAll(found, validateFinalizers(meta.finalizers, `${field}.finalizers`));
  return found;
}

const immutable = [
  'name',
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
] as const;
