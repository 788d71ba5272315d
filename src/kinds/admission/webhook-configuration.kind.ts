import { type MutatingWebhookConfiguration, resource, type ValidatingWebhookConfiguration } from '#api';
import { ageColumn, integerColumn, nameColumn } from '../columns.ts';
import { defineKind, type TypedColumn } from '../definition.ts';
import { applyWebhookDefaults } from './webhook-defaults.ts';
import { validateWebhookConfiguration } from './webhook-validation.ts';

const columns: readonly TypedColumn<MutatingWebhookConfiguration | ValidatingWebhookConfiguration>[] = [
  nameColumn,
  integerColumn('Webhooks', 'Number of webhooks.', (object) => (object.webhooks ?? []).length),
  ageColumn,
];

export const mutatingWebhookConfigurationKind = defineKind<MutatingWebhookConfiguration>({
  resource: resource('admissionregistration.k8s.io/v1', 'mutatingwebhookconfigurations'),
  anyFinalizers: true,
  storageSegment: 'mutatingwebhookconfigurations',
  generation: true,
  allowUnconditionalUpdate: false,
  applyDefaults: (draft) => applyWebhookDefaults(draft, true),
  validate: validateWebhookConfiguration,
  columns,
});

export const validatingWebhookConfigurationKind = defineKind<ValidatingWebhookConfiguration>({
  resource: resource('admissionregistration.k8s.io/v1', 'validatingwebhookconfigurations'),
  anyFinalizers: true,
  storageSegment: 'validatingwebhookconfigurations',
  generation: true,
  allowUnconditionalUpdate: false,
  applyDefaults: (draft) => applyWebhookDefaults(draft, false),
  validate: validateWebhookConfiguration,
  columns,
});
