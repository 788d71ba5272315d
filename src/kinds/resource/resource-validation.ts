import type {
  DeviceClass,
  ResourceClaimSpec,
  ResourceClaimTemplate,
  ResourceSlice,
  ResourceV1ResourceClaim,
} from '#api';
import { type FieldError, validateDns1123Label, validateDns1123Subdomain } from '#machinery';
import { Findings } from '../findings.ts';

const allocationModes: readonly string[] = ['All', 'ExactCount'];
const maxRequests = 32;

function validateClaimSpec(spec: ResourceClaimSpec | undefined, field: string, found: Findings): void {
  const requests = spec?.devices?.requests ?? [];
  if (requests.length > maxRequests) found.tooMany(`${field}.devices.requests`, requests.length, maxRequests);
  const names = new Set<string>();
  for (const [index, request] of requests.entries()) {
    const at = `${field}.devices.requests[${index}]`;
    if (found.present(`${at}.name`, request.name))
      found.each(`${at}.name`, request.name, validateDns1123Label(request.name));
    if (names.has(request.name)) found.duplicate(at, request.name);
    names.add(request.name);
    const alternatives = request.firstAvailable ?? [];
    if (request.exactly != null && alternatives.length > 0)
      found.invalid(
        at,
        request,
        'exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set',
      );
    else if (request.exactly == null && alternatives.length === 0)
      found.required(at, 'exactly one of `exactly` or `firstAvailable` is required');
    if (request.exactly != null) validateDevices(request.exactly, `${at}.exactly`, found);
    for (const [position, one] of alternatives.entries())
      validateDevices(one, `${at}.firstAvailable[${position}]`, found);
  }
}

function validateDevices(
  request: { deviceClassName?: string; allocationMode?: string; count?: number },
  field: string,
  found: Findings,
): void {
  if (found.present(`${field}.deviceClassName`, request.deviceClassName))
    found.each(
      `${field}.deviceClassName`,
      request.deviceClassName,
      validateDns1123Subdomain(request.deviceClassName ?? ''),
    );
  found.oneOf(`${field}.allocationMode`, request.allocationMode, allocationModes);
  if (request.allocationMode === 'ExactCount' && !((request.count ?? 0) > 0))
    found.invalid(`${field}.count`, request.count ?? 0, 'must be greater than zero');
  if (request.allocationMode === 'All' && request.count)
    found.invalid(`${field}.count`, request.count, "must not be specified when allocationMode is 'All'");
}

export function validateResourceClaim(claim: ResourceV1ResourceClaim): FieldError[] {
  const found = new Findings();
  validateClaimSpec(claim.spec, 'spec', found);
  return found.list;
}

export function validateResourceClaimUpdate(claim: { spec?: unknown }, old: { spec?: unknown }): FieldError[] {
  const found = new Findings();
  found.immutable('spec', claim.spec, old.spec);
  return found.list;
}

export function validateResourceClaimTemplate(template: ResourceClaimTemplate): FieldError[] {
  const found = new Findings();
  validateClaimSpec(template.spec?.spec, 'spec.spec', found);
  return found.list;
}

export function validateDeviceClass({ spec }: DeviceClass): FieldError[] {
  const found = new Findings();
  for (const [index, selector] of (spec?.selectors ?? []).entries())
    if (selector.cel == null) found.required(`spec.selectors[${index}].cel`);
    else if (!selector.cel.expression) found.required(`spec.selectors[${index}].cel.expression`);
  return found.list;
}

export function validateResourceSlice({ spec }: ResourceSlice): FieldError[] {
  const found = new Findings();
  if (found.present('spec.driver', spec?.driver))
    found.each('spec.driver', spec.driver, validateDns1123Subdomain(spec.driver));
  found.present('spec.pool.name', spec?.pool?.name);
  const chosen = ['nodeName', 'nodeSelector', 'allNodes', 'perDeviceNodeSelection'].filter(
    (name) => (spec as unknown as Record<string, unknown> | undefined)?.[name],
  );
  if (chosen.length === 0)
    found.required(
      'spec',
      'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required',
    );
  if (chosen.length > 1)
    found.invalid(
      'spec',
      `{\`${chosen.join('`, `')}\`}`,
      'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set',
    );
  const names = new Set<string>();
  for (const [index, device] of (spec?.devices ?? []).entries()) {
    const field = `spec.devices[${index}]`;
    found.each(`${field}.name`, device.name ?? '', validateDns1123Label(device.name ?? ''));
    if (names.has(device.name)) found.duplicate(`${field}.name`, device.name);
    names.add(device.name);
  }
  return found.list;
}

export function validateResourceSliceUpdate(slice: ResourceSlice, old: ResourceSlice): FieldError[] {
  const found = new Findings();
  found.immutable('spec.driver', slice.spec?.driver, old.spec?.driver);
  found.immutable('spec.pool.name', slice.spec?.pool?.name, old.spec?.pool?.name);
  found.immutable('spec.nodeName', slice.spec?.nodeName, old.spec?.nodeName);
  return found.list;
}
