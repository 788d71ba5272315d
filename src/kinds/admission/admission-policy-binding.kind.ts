import { type MutatingAdmissionPolicyBinding, resource, type ValidatingAdmissionPolicyBinding } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind, type TypedColumn } from '../definition.ts';
import { validateMutatingPolicyBinding, validateValidatingPolicyBinding } from './admission-policy-validation.ts';
import { applyMatchDefaults } from './webhook-defaults.ts';

type AnyPolicyBinding = MutatingAdmissionPolicyBinding | ValidatingAdmissionPolicyBinding;

function paramText({ spec }: AnyPolicyBinding): string {
  const param = spec?.paramRef;
  if (param == null) return '<unset>';
  if (!param.name) return '*';
  return param.namespace ? `${param.namespace}/${param.name}` : param.name;
}

const columns: readonly TypedColumn<AnyPolicyBinding>[] = [
  nameColumn,
  textColumn('PolicyName', 'Policy that it puts to use.', ({ spec }) => spec?.policyName ?? ''),
  textColumn('ParamRef', 'Parameters of the policy.', paramText),
  ageColumn,
];

export const validatingAdmissionPolicyBindingKind = defineKind<ValidatingAdmissionPolicyBinding>({
  resource: resource('admissionregistration.k8s.io/v1', 'validatingadmissionpolicybindings'),
  anyFinalizers: true,
  storageSegment: 'validatingadmissionpolicybindings',
  generation: true,
  allowUnconditionalUpdate: false,
  applyDefaults: (draft) => applyMatchDefaults(draft.spec?.matchResources),
  validate: validateValidatingPolicyBinding,
  columns,
});

export const mutatingAdmissionPolicyBindingKind = defineKind<MutatingAdmissionPolicyBinding>({
  resource: resource('admissionregistration.k8s.io/v1', 'mutatingadmissionpolicybindings'),
  anyFinalizers: true,
  storageSegment: 'mutatingadmissionpolicybindings',
  generation: true,
  allowUnconditionalUpdate: false,
  applyDefaults: (draft) => applyMatchDefaults(draft.spec?.matchResources),
  validate: validateMutatingPolicyBinding,
  columns,
});
