import { type IPAddress, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateAddress, validateAddressName, validateAddressUpdate } from './address-kinds-validation.ts';

function parentText({ spec }: IPAddress): string {
  const parent = spec?.parentRef;
  if (parent == null) return '<none>';
  const resourceName = parent.group ? `${parent.resource}.${parent.group}` : parent.resource;
  return [resourceName, parent.namespace, parent.name].filter((part) => part).join('/');
}

export const ipAddressKind = defineKind<IPAddress>({
  resource: resource('networking.k8s.io/v1', 'ipaddresses'),
  storageSegment: 'ipaddresses',
  validateName: validateAddressName,
  validate: validateAddress,
  validateUpdate: validateAddressUpdate,
  columns: [nameColumn, textColumn('ParentRef', 'Object that uses the address.', parentText), ageColumn],
});
