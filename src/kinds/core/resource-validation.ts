import type { ResourceRequirements } from '#api';
import { compareQuantities, isQuantity, quantityMilli, validateQualifiedName } from '#machinery';
import type { Findings } from '../findings.ts';

const hugePagePrefix = 'hugepages-';
const nativePrefix = 'kubernetes.io/';
const containerResources: readonly string[] = ['cpu', 'memory', 'ephemeral-storage'];

/** Names without a domain, or of the domain kubernetes.io: Kubernetes' own. */
export function isNativeResource(name: string): boolean {
  return !name.includes('/') || name.includes(nativePrefix);
}

/** A resource that operators add, like `example.com/gpu`: whole numbers, never more requested than limited. */
export function isExtendedResource(name: string): boolean {
  return (
    !isNativeResource(name) && !name.startsWith('requests.') && validateQualifiedName(`requests.${name}`).length === 0
  );
}

export const isHugePage = (name: string): boolean => name.startsWith(hugePagePrefix);

/** CPU, memory and what may be given out twice; the others must be requested exactly as limited. */
export function isOvercommitAllowed(name: string): boolean {
  return isNativeResource(name) && !isHugePage(name);
}

/** Resources of a container, or of a pod. */
export function validateResources(resources: ResourceRequirements | undefined, field: string, found: Findings): void {
  if (resources == null) return;
  const limits = resources.limits ?? {};
  const requests = resources.requests ?? {};
  for (const [name, amount] of Object.entries(limits)) validateAmount(name, amount, `${field}.limits[${name}]`, found);
  for (const [name, amount] of Object.entries(requests)) {
    validateAmount(name, amount, `${field}.requests[${name}]`, found);
    const limit = Object.hasOwn(limits, name) ? limits[name] : undefined;
    if (limit === undefined) {
      if (!isOvercommitAllowed(name))
        found.required(`${field}.limits`, 'Limit must be set for non overcommitable resources');
      continue;
    }
    if (!isQuantity(String(amount)) || !isQuantity(String(limit))) continue;
    const order = compareQuantities(amount, limit);
    if (!isOvercommitAllowed(name) && order !== 0)
      found.invalid(`${field}.requests`, amount, `must be equal to ${name} limit of ${limit}`);
    else if (order > 0)
      found.invalid(`${field}.requests`, amount, `must be less than or equal to ${name} limit of ${limit}`);
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  if (names.some(isHugePage) && !names.includes('cpu') && !names.includes('memory'))
    found.forbidden(field, 'HugePages require cpu or memory');
}

/** Amounts of a pod's or a class' overhead, each field path ending in `limits`, as upstream has it. */
export function validateOverhead(overhead: Record<string, string> | undefined, field: string, found: Findings): void {
  for (const [name, amount] of Object.entries(overhead ?? {}))
    validateAmount(name, amount, `${field}.limits[${name}]`, found);
}

function validateAmount(name: string, amount: string, field: string, found: Findings): void {
  validateContainerResourceName(name, field, found);
  validateResourceAmount(name, amount, field, found);
}

export function validateContainerResourceName(name: string, field: string, found: Findings): void {
  validateResourceName(name, field, found);
  if (!name.includes('/')) {
    if (!containerResources.includes(name) && !isHugePage(name))
      found.invalid(field, name, 'must be a standard resource for containers');
  } else if (!isNativeResource(name) && !isExtendedResource(name))
    found.invalid(field, name, "doesn't follow extended resource name standard");
}

/** Not negative; whole for extended resources. */
export function validateResourceAmount(name: string, amount: string, field: string, found: Findings): void {
  found.nonNegativeQuantity(field, amount);
  if (isExtendedResource(name) && isQuantity(String(amount)) && quantityMilli(amount) % 1000 !== 0)
    found.invalid(field, amount, 'must be an integer');
}

/** Resources of a node or pod: any qualified name. */
export function validateResourceName(name: string, field: string, found: Findings): void {
  const messages = validateQualifiedName(name);
  found.each(field, name, messages);
  if (messages.length === 0 && !name.includes('/') && !standardResources.has(name) && !isHugePage(name))
    found.invalid(field, name, 'must be a standard resource type or fully qualified');
}

const standardResources: ReadonlySet<string> = new Set([
  'cpu',
  'memory',
  'ephemeral-storage',
  'requests.cpu',
  'requests.memory',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'storage',
  'requests.storage',
  'services.nodeports',
  'services.loadbalancers',
]);
