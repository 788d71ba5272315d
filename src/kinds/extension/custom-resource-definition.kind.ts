import { type CustomResourceDefinition, resource } from '#api';
import { plainColumns } from '../columns.ts';
import { allMetadata, defineKind } from '../definition.ts';
import {
  validateCustomResourceDefinition,
  validateCustomResourceDefinitionUpdate,
} from './custom-resource-definition-validation.ts';

export const customResourceDefinitionKind = defineKind<CustomResourceDefinition>({
  resource: resource('apiextensions.k8s.io/v1', 'customresourcedefinitions'),
  anyFinalizers: true,
  storageSegment: 'apiextensions.k8s.io/customresourcedefinitions',
  status: true,
  statusKeeps: allMetadata,
  generation: true,
  applyDefaults: (draft) => {
    const spec = draft.spec;
    if (spec == null) return;
    if (spec.names != null) {
      if (!spec.names.singular) spec.names.singular = (spec.names.kind ?? '').toLowerCase();
      if (!spec.names.listKind && spec.names.kind) spec.names.listKind = `${spec.names.kind}List`;
    }
    spec.conversion ??= { strategy: 'None' };
    const service = spec.conversion.webhook?.clientConfig?.service;
    if (service != null) service.port ??= 443;
    const { status } = draft;
    if (status != null && !status.storedVersions?.length)
      status.storedVersions = (spec.versions ?? []).filter((one) => one.storage).map((one) => one.name);
  },
  prepareForCreate: (draft) => {
    draft.status = {
      acceptedNames: { plural: '', kind: '' },
      storedVersions: (draft.spec?.versions ?? [])
        .filter((one) => one.storage)
        .slice(0, 1)
        .map((one) => one.name),
    };
  },
  prepareForUpdate: (draft, old) => {
    const stored = old.status?.storedVersions ?? [];
    const added = (draft.spec?.versions ?? []).filter((one) => one.storage && !stored.includes(one.name));
    if (added.length > 0)
      draft.status = { ...draft.status, storedVersions: [...stored, ...added.map((one) => one.name)] };
  },
  allowUnconditionalUpdate: false,
  validate: validateCustomResourceDefinition,
  validateUpdate: validateCustomResourceDefinitionUpdate,
  columns: plainColumns,
});
