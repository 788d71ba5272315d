import { resource, type ServiceAccount } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';

export const serviceAccountKind = defineKind<ServiceAccount>({
  resource: resource('v1', 'serviceaccounts'),
  subresources: [
    { name: 'token', verbs: ['create'], kind: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' } },
  ],
  columns: [
    nameColumn,
    textColumn('Secrets', 'Number of secrets that it lists.', (object) => (object.secrets ?? []).length),
    ageColumn,
  ],
});
