import { type ClusterRole, type Role, resource } from '#api';
import { plainColumns } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { pathSegmentName } from '../names.ts';
import { validateClusterRole, validateRole } from './rbac-validation.ts';

export const roleKind = defineKind<Role>({
  resource: resource('rbac.authorization.k8s.io/v1', 'roles'),
  storageSegment: 'roles',
  allowCreateOnUpdate: true,
  validateName: pathSegmentName,
  validate: validateRole,
  columns: plainColumns,
});

export const clusterRoleKind = defineKind<ClusterRole>({
  resource: resource('rbac.authorization.k8s.io/v1', 'clusterroles'),
  storageSegment: 'clusterroles',
  allowCreateOnUpdate: true,
  validateName: pathSegmentName,
  validate: validateClusterRole,
  columns: plainColumns,
});
