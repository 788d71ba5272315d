import { resource, type ServiceCIDR } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateServiceCidr, validateServiceCidrUpdate } from './address-kinds-validation.ts';

export const serviceCidrKind = defineKind<ServiceCIDR>({
  resource: resource('networking.k8s.io/v1', 'servicecidrs'),
  storageSegment: 'servicecidrs',
  status: true,
  initialStatus: {},
  validate: validateServiceCidr,
  validateUpdate: validateServiceCidrUpdate,
  columns: [
    nameColumn,
    textColumn('CIDRs', 'Ranges of addresses.', (object) => (object.spec?.cidrs ?? []).join(',')),
    ageColumn,
  ],
});
