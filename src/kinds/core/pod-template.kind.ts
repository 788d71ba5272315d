import { type PodTemplate, resource } from '#api';
import { labelsText, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { applyPodTemplateDefaults } from './pod-defaults.ts';
import { validatePodTemplate } from './pod-validation.ts';
import { Findings } from '../findings.ts';

export const podTemplateKind = defineKind<PodTemplate>({
  resource: resource('v1', 'podtemplates'),
  generation: true,
  applyDefaults: (draft) => {
    draft.template ??= {};
    applyPodTemplateDefaults(draft.template);
  },
  validate: (object) => {
    const found = new Findings();
    validatePodTemplate(object.template, 'template', found);
    return found.list;
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
