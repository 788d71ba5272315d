import { type IngressClass, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateIngressClass, validateIngressClassUpdate } from './ingress-validation.ts';

export const ingressClassKind = defineKind<IngressClass>({
  resource: resource('networking.k8s.io/v1', 'ingressclasses'),
  storageSegment: 'ingressclasses',
  generation: true,
  applyDefaults: (draft) => {
    if (draft.spec?.parameters != null) draft.spec.parameters.scope ??= 'Cluster';
  },
  validate: validateIngressClass,
  validateUpdate: validateIngressClassUpdate,
  columns: [
    nameColumn,
    textColumn('Controller', 'Controller that serves the class.', (object) => object.spec?.controller ?? ''),
    textColumn('Parameters', 'Object with more configuration.', ({ spec }) => {
      const parameters = spec?.parameters;
      if (parameters == null) return '<none>';
      const group = parameters.apiGroup ? `.${parameters.apiGroup}` : '';
      return `${parameters.kind}${group}/${parameters.name}`;
    }),
    ageColumn,
  ],
});
