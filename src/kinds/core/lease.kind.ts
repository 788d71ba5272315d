import { type Lease, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateLease } from './lease-validation.ts';

export const leaseKind = defineKind<Lease>({
  resource: resource('coordination.k8s.io/v1', 'leases'),
  allowCreateOnUpdate: true,
  allowUnconditionalUpdate: false,
  validate: validateLease,
  columns: [
    nameColumn,
    textColumn('Holder', 'Who holds the lease.', (object) => object.spec?.holderIdentity ?? ''),
    ageColumn,
  ],
});
