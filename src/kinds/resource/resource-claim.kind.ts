import { type ResourceV1ResourceClaim as ResourceClaim, type ResourceClaimTemplate, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { allMetadata, defineKind } from '../definition.ts';
import { applyClaimDefaults } from './claim-defaults.ts';
import {
  validateResourceClaim,
  validateResourceClaimTemplate,
  validateResourceClaimUpdate,
} from './resource-validation.ts';

function stateText({ metadata, status }: ResourceClaim): string {
  const states: string[] = [];
  if (metadata.deletionTimestamp) states.push('deleted');
  if (status?.allocation == null) {
    if (!metadata.deletionTimestamp) states.push('pending');
  } else {
    states.push('allocated');
    if (status.reservedFor?.length) states.push('reserved');
  }
  return states.join(',');
}

export const resourceClaimKind = defineKind<ResourceClaim>({
  resource: resource('resource.k8s.io/v1', 'resourceclaims'),
  storageSegment: 'resourceclaims',
  status: true,
  statusKeeps: allMetadata,
  initialStatus: {},
  applyDefaults: (draft) => applyClaimDefaults(draft.spec),
  validate: validateResourceClaim,
  validateUpdate: validateResourceClaimUpdate,
  columns: [nameColumn, textColumn('State', 'Life of the claim in one word.', stateText), ageColumn],
});

export const resourceClaimTemplateKind = defineKind<ResourceClaimTemplate>({
  resource: resource('resource.k8s.io/v1', 'resourceclaimtemplates'),
  storageSegment: 'resourceclaimtemplates',
  applyDefaults: (draft) => applyClaimDefaults(draft.spec?.spec),
  validate: validateResourceClaimTemplate,
  validateUpdate: validateResourceClaimUpdate,
  columns: [nameColumn, ageColumn],
});
