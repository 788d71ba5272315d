import { type PodTemplate, resource } from '#api';
import { labelsText, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { applyPodTemplateDefaults } from './pod-defaults.ts';

export const podTemplateKind = defineKind<PodTemplate>({
  resource: resource('v1', 'podtemplates'),
  generation: true,
  applyDefaults: (draft) => {
    draft.template ??= {};
    applyPodTemplateDefaults(draft.template);
  },
  columns: [
    nameColumn,
    textColumn('Containers', 'Names of each container in the template.', (object) =>
      (object.template?.spec?.containers ?? []).map((one) => one.name).join(','),
    ),
    textColumn('Images', 'Images referenced by each container in the template.', (object) =>
      (object.template?.spec?.containers ?? []).map((one) => one.image ?? '').join(','),
    ),
    textColumn('Pod Labels', 'Labels of the pods made from it.', (object) =>
      labelsText(object.template?.metadata?.labels),
    ),
  ],
});
