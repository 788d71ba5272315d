import { type MutatingAdmissionPolicy, resource, type ValidatingAdmissionPolicy } from '#api';
import { ageColumn, integerColumn, nameColumn, textColumn } from '../columns.ts';
import { allMetadata, defineKind } from '../definition.ts';
import { validateMutatingPolicy, validateValidatingPolicy } from './admission-policy-validation.ts';
import { applyMatchDefaults } from './webhook-defaults.ts';

function paramKindText({ spec }: MutatingAdmissionPolicy | ValidatingAdmissionPolicy): string {
  const kind = spec?.paramKind;
  return kind == null ? '<unset>' : kind.apiVersion ? `${kind.apiVersion}/${kind.kind}` : (kind.kind ?? '');
}

export const validatingAdmissionPolicyKind = defineKind<ValidatingAdmissionPolicy>({
  resource: resource('admissionregistration.k8s.io/v1', 'validatingadmissionpolicies'),
  anyFinalizers: true,
  storageSegment: 'validatingadmissionpolicies',
  status: true,
  statusKeeps: allMetadata,
  initialStatus: {},
  generation: true,
  allowUnconditionalUpdate: false,
  applyDefaults: (draft) => {
    if (draft.spec == null) return;
    draft.spec.failurePolicy ??= 'Fail';
    applyMatchDefaults(draft.spec.matchConstraints);
  },
  validate: validateValidatingPolicy,
  columns: [
    nameColumn,
    integerColumn('Validations', 'Number of expressions.', ({ spec }) => (spec?.validations ?? []).length),
    textColumn('ParamKind', 'Kind of its parameters.', paramKindText),
    ageColumn,
  ],
});

export const mutatingAdmissionPolicyKind = defineKind<MutatingAdmissionPolicy>({
  resource: resource('admissionregistration.k8s.io/v1', 'mutatingadmissionpolicies'),
  anyFinalizers: true,
  storageSegment: 'mutatingadmissionpolicies',
  generation: true,
  allowUnconditionalUpdate: false,
  applyDefaults: (draft) => {
    if (draft.spec == null) return;
    draft.spec.failurePolicy ??= 'Fail';
    draft.spec.reinvocationPolicy ??= 'Never';
    applyMatchDefaults(draft.spec.matchConstraints);
  },
  validate: validateMutatingPolicy,
  columns: [
    nameColumn,
    integerColumn('Mutations', 'Number of mutations.', ({ spec }) => (spec?.mutations ?? []).length),
    textColumn('ParamKind', 'Kind of its parameters.', paramKindText),
    ageColumn,
  ],
});
