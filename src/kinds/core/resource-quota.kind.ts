import { type ResourceQuota, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateResourceQuota, validateResourceQuotaStatus, validateResourceQuotaUpdate } from './quota-validation.ts';

function usage(quota: ResourceQuota, limits: boolean): string {
  const hard = quota.status?.hard ?? {};
  return Object.keys(hard)
    .sort()
    .filter((name) => name.startsWith('limits.') === limits)
    .map((name) => `${name}: ${quota.status?.used?.[name] ?? '0'}/${hard[name]}`)
    .join(', ');
}

export const resourceQuotaKind = defineKind<ResourceQuota>({
  resource: resource('v1', 'resourcequotas'),
  status: true,
  initialStatus: {},
  validate: validateResourceQuota,
  validateUpdate: validateResourceQuotaUpdate,
  validateStatusUpdate: validateResourceQuotaStatus,
  columns: [
    nameColumn,
    textColumn('Request', 'Requests and counts used, of what is allowed.', (quota) => usage(quota, false)),
    textColumn('Limit', 'Limits used, of what is allowed.', (quota) => usage(quota, true)),
    ageColumn,
  ],
});
